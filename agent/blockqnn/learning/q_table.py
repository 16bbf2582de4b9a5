"""Tabular Q-learning over layers: the values, their update, and the epsilon-greedy choice.

CVPR 2018, section 3.2. The state is the layer chosen last, the action is the next layer. For a
block of T layers, terminal included, with the reward r, the update goes backwards::

    Q(s[T-1], a[T]) = (1 - alpha) Q(s[T-1], a[T]) + alpha r[T]
    Q(s[t], a)      = (1 - alpha) Q(s[t], a) + alpha (r[t] + gamma max Q(s[t+1], a'))

Backwards, because each maximum then already includes this block's result; the paper does not say,
but MetaQNN, which it follows, does so. The paper starts at t = 1 and does not say how the first
layer is chosen; here it is an action like the others, from a start state at t = 0.

A worked example. A chain of one convolution: T = 2, layers a1 = (1,1,3,0,0) and a2 = (2,7,0,0,0),
reward r = 60, alpha = 0.01, gamma = 1, all values 0, the CVPR shaping (r/T = 30, then r = 60)::

    Q(a1, a2)    = 0.99 x 0 + 0.01 x 60           = 0.6
    Q(start, a1) = 0.99 x 0 + 0.01 x (30 + 0.6)   = 0.306

Once more::

    Q(a1, a2)    = 0.99 x 0.6   + 0.01 x 60           = 1.194
    Q(start, a1) = 0.99 x 0.306 + 0.01 x (30 + 1.194) = 0.61488

So after n visits a value that begins at 0 has 1 - 0.99^n of its limit: it shows how often an action
was drawn rather than its worth. The papers do not give the initial values. If values begin at their
first target, they are 60 and 90 after the first visit, and stay there (docs/papers.md has the
results of each reading).
"""

from collections.abc import Mapping, Sequence
from math import inf
from random import Random

from blockqnn.space.protocol import (
    START,
    Candidate,
    Choices,
    Prefix,
    RandomStep,
    SearchSpace,
    draw_part,
    pick,
)


class QTable:
    """The value of each next layer after each last layer, in percent.

    Only updated values are stored; of the two million in the papers' space, a whole search updates
    some tens of thousands.

    Args:
        space: the layers that may follow each prefix.
        learning_rate: alpha, the share of the distance that an update moves a value, above 0 and
            at most 1.
        discount: gamma, the weight of what comes after the next reward, from 0 to 1.
        initial_value: the value of a layer that was never tried; None sets a value to its first
            target, and chooses among layers that were tried, if there are any.
        step: the way in which one of several layers of equal value is drawn.
    """

    def __init__(
        self,
        space: SearchSpace,
        learning_rate: float,
        discount: float,
        initial_value: float | None,
        step: RandomStep,
    ) -> None:
        self._space = space
        self._rate = learning_rate
        self._discount = discount
        self._initial = -inf if initial_value is None else initial_value
        self._step = step
        self._candidates: list[Candidate] = []
        self._offers: list[tuple[Choices, ...]] = []
        """The choices at each layer of each candidate."""
        self._rows: dict[int, dict[int, float]] = {}
        self._bests: dict[int, float] = {}
        """The highest stored value of each row."""

    @property
    def rows(self) -> Mapping[int, Mapping[int, float]]:
        """The stored values: number of the last layer -> number of the next layer -> value."""
        return self._rows

    def add(self, candidate: Candidate) -> None:
        """Add the next block; blocks are numbered from 0."""
        self._candidates.append(candidate)
        choices = self._space.choices
        self._offers.append(
            tuple([choices(candidate[:position]) for position in range(len(candidate))])
        )

    def update(self, number: int, rewards: Sequence[float]) -> None:
        """Learn from one block, from its terminal back to its first layer.

        Args:
            number: the number of the block.
            rewards: the reward of each of its layers.
        """
        layers, offers = self._candidates[number], self._offers[number]
        rate, keep, initial = self._rate, 1 - self._rate, self._initial
        rows, bests = self._rows, self._bests
        target = rewards[-1]
        for position in range(len(layers) - 1, -1, -1):
            state = layers[position - 1] if position else START
            row = rows.get(state)
            if row is None:
                row = rows[state] = {}
                bests[state] = -inf
            action = layers[position]
            before = row.get(action, initial)
            value = row[action] = target if before == -inf else keep * before + rate * target
            best = bests[state]
            if value >= best:
                best = bests[state] = value
            elif before == best:
                best = bests[state] = max(row.values())
            if not position:
                break
            choices = offers[position]
            if choices.masked is None:
                tried = len(row)
            else:
                legal = [value for layer, value in row.items() if layer in choices.masked]
                tried, best = len(legal), max(legal, default=-inf)
            if best < initial and tried < len(choices):
                best = initial
            target = rewards[position - 1] + self._discount * best

    def best(self, prefix: Prefix, random: Random) -> int:
        """Choose the next layer with the highest value.

        Args:
            prefix: the layers chosen so far.
            random: decides among layers of equal value, as a random layer is drawn.
        """
        choices = self._space.choices(prefix)
        row = self._rows.get(prefix[-1] if prefix else START)
        if not row:
            return draw_part(choices, random, self._step)
        if choices.masked is not None:
            row = {layer: value for layer, value in row.items() if layer in choices.masked}
            if not row:
                return draw_part(choices, random, self._step)
        best = max(row.values())
        untried = len(row) < len(choices)
        if untried and self._initial >= best:
            initial = self._initial
            equals = [layer for layer in choices.numbers if row.get(layer, initial) == initial]
        else:
            equals = sorted([layer for layer, value in row.items() if value == best])
        return _draw_among(equals, choices, random, self._step)


def _draw_among(equals: list[int], choices: Choices, random: Random, step: RandomStep) -> int:
    if len(equals) == 1:
        return equals[0]
    if step == "Flat":
        return pick(equals, random)
    by_type = [[layer for layer in equals if layer in numbers] for numbers in choices.by_type]
    return pick(pick([numbers for numbers in by_type if numbers], random), random)
