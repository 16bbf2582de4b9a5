"""Tabular Q-learning over layers: the values, their update, and the epsilon-greedy choice.

CVPR 2018, section 3.2. The state is the layer chosen last, the action is the next layer. For a
block of T layers, terminal included, with the reward r, the update goes backwards::

    Q(s[T-1], a[T]) = (1 - alpha) Q(s[T-1], a[T]) + alpha r[T]
    Q(s[t], a)      = (1 - alpha) Q(s[t], a) + alpha (r[t] + gamma max Q(s[t+1], a'))

Backwards, because each maximum then already sees this block's result; the paper does not say, and
MetaQNN, which it follows, does so. The paper starts at t = 1 and is silent on how the first layer
is chosen; here it is an action like the others, from a start state at t = 0.

A worked example. A chain of one convolution: T = 2, layers a1 = (1,1,3,0,0) and a2 = (2,7,0,0,0),
reward r = 60, alpha = 0.01, gamma = 1, all values 0, the CVPR shaping (r/T = 30, then r = 60)::

    Q(a1, a2)    = 0.99 x 0 + 0.01 x 60           = 0.6
    Q(start, a1) = 0.99 x 0 + 0.01 x (30 + 0.6)   = 0.306

Once more::

    Q(a1, a2)    = 0.99 x 0.6   + 0.01 x 60           = 1.194
    Q(start, a1) = 0.99 x 0.306 + 0.01 x (30 + 1.194) = 0.61488
"""

from collections.abc import Mapping
from random import Random
from typing import Literal

from blockqnn.replay import Episode
from blockqnn.settings import AgentSettings
from blockqnn.space import START, Choices, RandomStep, Space, pick

Shaping = Literal["AAAI2017", "CVPR2018", "MetaQNN", "Uniform"]


def shaped(reward: float, length: int, shaping: Shaping) -> tuple[float, float]:
    """Split the reward of a block over its layers.

    Over a block of T layers the sums are, with a discount of 1: MetaQNN and Uniform r, CVPR2018
    r + r (T - 1) / T, AAAI2017 T r. So the papers' own two favour long blocks.

    Args:
        reward: the reward r of the block.
        length: the number T of its layers, the terminal included.
        shaping: `CVPR2018` (section 3.2), `AAAI2017` (equation 2), `MetaQNN` (nothing before the
            end) or `Uniform` (every layer the same share).

    Returns:
        The reward of each layer before the terminal, and that of the terminal.
    """
    share = reward / length
    match shaping:
        case "AAAI2017":
            return reward, reward
        case "CVPR2018":
            return share, reward
        case "MetaQNN":
            return 0.0, reward
        case "Uniform":
            return share, share


class QTable:
    """The value of each next layer after each last layer, in percent.

    Only values that were ever updated are stored; of the two million in the papers' space, a whole
    search touches some tens of thousands.
    """

    def __init__(self, space: Space, settings: AgentSettings) -> None:
        self._space = space
        self._rate = settings.learning_rate
        self._discount = settings.discount
        self._shaping: Shaping = settings.shaping
        self._initial = settings.initial_value
        self._rows: dict[int, dict[int, float]] = {}
        self._sizes = [len(space.choices(index)) for index in range(1, space.max_layers + 1)]

    @property
    def rows(self) -> Mapping[int, Mapping[int, float]]:
        """The stored values: number of the last layer -> number of the next layer -> value."""
        return self._rows

    def update(self, episode: Episode) -> None:
        """Learn from one block, from its terminal back to its first layer."""
        layers = episode.layers
        before, last = shaped(episode.reward, len(layers), self._shaping)
        rate, keep, initial = self._rate, 1 - self._rate, self._initial
        target = last
        for place in range(len(layers) - 1, -1, -1):
            state = layers[place - 1] if place else START
            row = self._rows.get(state)
            if row is None:
                row = self._rows[state] = {}
            action = layers[place]
            row[action] = keep * row.get(action, initial) + rate * target
            best = max(row.values())
            if best < initial and len(row) < self._sizes[place]:
                best = initial
            target = before + self._discount * best

    def best(self, state: int, index: int, random: Random, step: RandomStep) -> int:
        """Choose the next layer with the highest value.

        Args:
            state: the number of the last layer.
            index: the index of the next layer.
            random: decides among layers of equal value.
            step: how it decides: as a random layer is drawn, but among the equals only.
        """
        choices = self._space.choices(index)
        row = self._rows.get(state)
        if not row:
            return self._space.draw(choices, random, step)
        best = max(row.values())
        untried = len(row) < len(choices)
        if untried and self._initial >= best:
            initial = self._initial
            equals = [one for one in choices.numbers if row.get(one, initial) == initial]
        else:
            equals = sorted([one for one, value in row.items() if value == best])
        return _draw_among(equals, choices, random, step)


def _draw_among(equals: list[int], choices: Choices, random: Random, step: RandomStep) -> int:
    if len(equals) == 1:
        return equals[0]
    if step == "Flat":
        return pick(equals, random)
    by_type = [[one for one in equals if one in numbers] for numbers in choices.by_type]
    return pick(pick([numbers for numbers in by_type if numbers], random), random)
