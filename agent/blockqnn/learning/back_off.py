"""Values that similar decisions share: Q-learning that generalises by backing off.

With the papers' state, the layer chosen last with its index and its predecessors, hardly any
decision occurs twice within a thousand trials. Here each value is stored under two names, a coarse
one and a fine one. The more often the fine name has occurred, the more its value counts::

    estimate = (1 - w) Q[coarse] + w Q[fine],    w = N / (N + 3)

where N is the number of trained candidates with the fine name. On NAS-Bench-201 backing off from
(position, last operation) to the position alone closed 1 to 3 points more of the gap between random
search and the optimum than either alone (docs/benchmarks/search.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from blockqnn.space.protocol import Candidate, Key, Prefix, SearchSpace, pick

_CONFIDENCE = 3
"""Number of occurrences from which a fine value counts as much as the coarse one."""

ValueIndices = tuple[int, int]
"""The indices of one abstract action's values: the coarse and the fine."""


@dataclass(slots=True)
class Offer:
    """All abstract actions of a state, arranged to find the highest estimate quickly."""

    actions: tuple[ValueIndices, ...]
    """Every abstract action, in the order of the space; at least one."""
    met: list[ValueIndices] = field(default_factory=list)
    """The actions that candidates have taken, here or in another state of their fine name."""
    others: list[ValueIndices] = field(default_factory=list)
    """One action for each coarse value among those not taken; that value is their estimate."""
    likely: ValueIndices = (0, 0)
    """The abstract action whose estimate was the highest at the last request."""

    def __post_init__(self) -> None:
        self.likely = self.actions[0]

    def arrange(self, counts: Sequence[int]) -> None:
        """Separate the actions that occurred from the others, given the count of each value."""
        self.met = [indices for indices in self.actions if counts[indices[1]]]
        self.others = list(
            {indices[0]: indices for indices in self.actions if not counts[indices[1]]}.values()
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """A candidate as the decisions that made it."""

    taken: tuple[ValueIndices, ...]
    """The abstract action taken at each decision."""
    offered: tuple[Offer, ...]
    """All abstract actions of each decision."""


class BackOffTable:
    """The values of a search, each under several names.

    Args:
        space: says which decisions are alike.
        learning_rate: alpha, the share of the distance that an update moves a value.
        discount: gamma, the weight of what comes after the next reward.
        initial_value: the value of an abstract action that has never occurred.
    """

    def __init__(
        self, space: SearchSpace, learning_rate: float, discount: float, initial_value: float
    ) -> None:
        self._space = space
        self._rate = learning_rate
        self._discount = discount
        self._initial = initial_value
        self._places: dict[Key, int] = {}
        self._indices: dict[tuple[Key, Key], ValueIndices] = {}
        self._values: list[float] = []
        self._counts: list[int] = []
        self._weights: list[float] = []
        self._offers: dict[Key, Offer] = {}
        self._offering: dict[int, list[Offer]] = {}
        """By fine value: the offers that have it among their abstract actions."""
        self._traces: list[Trace] = []

    @property
    def values(self) -> dict[Key, float]:
        """The values that are not the initial one, by name."""
        return {
            key: self._values[index]
            for key, index in self._places.items()
            if self._values[index] != self._initial
        }

    def add(self, candidate: Candidate) -> None:
        """Add the next trained candidate; candidates are numbered from 0."""
        taken: list[ValueIndices] = []
        offered: list[Offer] = []
        for position, number in enumerate(candidate):
            prefix = candidate[:position]
            state = self._space.state(prefix)
            offered.append(self._offer(state))
            indices = self._locate(state, self._space.abstract_action(prefix, number))
            taken.append(indices)
            fine = indices[1]
            self._counts[fine] += 1
            if self._counts[fine] == 1:
                for offer in self._offering[fine]:
                    offer.arrange(self._counts)
            self._weights[fine] = self._counts[fine] / (self._counts[fine] + _CONFIDENCE)
        self._traces.append(Trace(tuple(taken), tuple(offered)))

    def update(self, number: int, rewards: Sequence[float]) -> None:
        """Learn from one candidate, from its last decision back to its first.

        Args:
            number: the number of the candidate.
            rewards: the reward of each of its decisions.
        """
        trace = self._traces[number]
        taken, offered = trace.taken, trace.offered
        values, rate = self._values, self._rate
        target = rewards[-1]
        for position in range(len(rewards) - 1, -1, -1):
            coarse, fine = taken[position]
            values[coarse] += rate * (target - values[coarse])
            values[fine] += rate * (target - values[fine])
            if position:
                target = rewards[position - 1] + self._discount * self._highest(offered[position])

    def best(self, prefix: Prefix, random: Random) -> int:
        """Choose a part of the action with the highest estimate; ties are broken at random."""
        state = self._space.state(prefix)
        actions = self._space.abstract_actions(state)
        if len(actions) == 1:
            return self._space.draw(prefix, actions[0], random)
        estimates = self._estimates(self._offer(state).actions)
        highest = max(estimates)
        equals = [
            action
            for action, estimate in zip(actions, estimates, strict=True)
            if estimate == highest
        ]
        return self._space.draw(prefix, pick(equals, random), random)

    def _offer(self, state: Key) -> Offer:
        offer = self._offers.get(state)
        if offer is None:
            actions = self._space.abstract_actions(state)
            offer = Offer(tuple([self._locate(state, action) for action in actions]))
            offer.arrange(self._counts)
            self._offers[state] = offer
            for _, fine in offer.actions:
                self._offering.setdefault(fine, []).append(offer)
        return offer

    def _locate(self, state: Key, action: Key) -> ValueIndices:
        indices = self._indices.get((state, action))
        if indices is None:
            coarse, fine = self._space.value_keys(state, action)
            indices = self._indices[state, action] = (
                self._place(coarse),
                self._place(fine),
            )
        return indices

    def _place(self, key: Key) -> int:
        index = self._places.setdefault(key, len(self._places))
        if index == len(self._values):
            self._values.append(self._initial)
            self._counts.append(0)
            self._weights.append(0.0)
        return index

    def _estimates(self, actions: Sequence[ValueIndices]) -> list[float]:
        values, weights = self._values, self._weights
        return [
            values[coarse] + weights[fine] * (values[fine] - values[coarse])
            for coarse, fine in actions
        ]

    def _highest(self, offer: Offer) -> float:
        """Return the highest estimate of an offer.

        An estimate lies between the coarse and the fine value, rounding included. So an action is
        skipped if neither of its values is above the highest estimate so far.
        """
        values, weights = self._values, self._weights
        coarse, fine = offer.likely
        best = values[coarse] + weights[fine] * (values[fine] - values[coarse])
        for indices in offer.others:
            base = values[indices[0]]
            if base > best:
                best, offer.likely = base, indices
        for coarse, fine in offer.met:
            base, value = values[coarse], values[fine]
            if value > best or base > best:
                estimate = base + weights[fine] * (value - base)
                if estimate > best:
                    best, offer.likely = estimate, (coarse, fine)
        return best
