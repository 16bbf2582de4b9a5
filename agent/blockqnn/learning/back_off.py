"""Values that similar decisions share: Q-learning that generalises by backing off.

With the papers' state, the layer chosen last with its index and its predecessors, hardly any
decision is met twice within a thousand trials. Here each value is kept under two names, a coarse
one and a fine one, and the estimate moves to the fine one as far as that has been met::

    estimate = (1 - w) Q[coarse] + w Q[fine],    w = N / (N + 3)

where N counts the trained candidates that met the fine name. On NAS-Bench-201 backing off from
(position, last operation) to the position alone closed 1 to 3 points more of the gap between random
search and the optimum than either alone (docs/benchmarks.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from blockqnn.space.protocol import Candidate, Key, Prefix, SearchSpace, pick

_CONFIDENCE = 3
"""How many meetings make a fine value count as much as the coarse one."""

Names = tuple[int, int]
"""The places of one option's values: the coarse and the fine."""


@dataclass(slots=True)
class Offer:
    """All options of a situation, arranged so that the highest estimate is found quickly."""

    options: tuple[Names, ...]
    """Every option, in the order of the space; at least one."""
    met: list[Names] = field(default_factory=list)
    """The options that candidates have taken, here or in another situation of their fine name."""
    others: list[Names] = field(default_factory=list)
    """Of those that none has taken, whose estimate is the coarse value, one for each such value."""
    likely: Names = (0, 0)
    """The option whose estimate was the highest when that was last asked for."""

    def __post_init__(self) -> None:
        self.likely = self.options[0]

    def arrange(self, counts: Sequence[int]) -> None:
        """Tell the options that were met from the others, given how often each value was met."""
        self.met = [names for names in self.options if counts[names[1]]]
        self.others = list(
            {names[0]: names for names in self.options if not counts[names[1]]}.values()
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """A candidate as the decisions that made it."""

    taken: tuple[Names, ...]
    """The option taken at each decision."""
    offered: tuple[Offer, ...]
    """All options of each decision."""


class BackOffTable:
    """The values of a search, each under several names.

    Args:
        space: says which decisions are alike.
        learning_rate: alpha, how far an update moves a value.
        discount: gamma, the weight of what comes after the next reward.
        initial_value: the value of what was never met.
    """

    def __init__(
        self, space: SearchSpace, learning_rate: float, discount: float, initial_value: float
    ) -> None:
        self._space = space
        self._rate = learning_rate
        self._discount = discount
        self._initial = initial_value
        self._places: dict[Key, int] = {}
        self._names: dict[tuple[Key, Key], Names] = {}
        self._values: list[float] = []
        self._counts: list[int] = []
        self._weights: list[float] = []
        self._offers: dict[Key, Offer] = {}
        self._offering: dict[int, list[Offer]] = {}
        """By fine value: where it is among the options."""
        self._traces: list[Trace] = []

    @property
    def values(self) -> dict[Key, float]:
        """The values that are not the initial one, by name."""
        return {
            key: self._values[place]
            for key, place in self._places.items()
            if self._values[place] != self._initial
        }

    def add(self, candidate: Candidate) -> None:
        """Take in the next candidate that was trained; its number counts from 0."""
        taken: list[Names] = []
        offered: list[Offer] = []
        for place, number in enumerate(candidate):
            prefix = candidate[:place]
            situation = self._space.situation(prefix)
            offered.append(self._offer(situation))
            names = self._locate(situation, self._space.option(prefix, number))
            taken.append(names)
            fine = names[1]
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
        for place in range(len(rewards) - 1, -1, -1):
            coarse, fine = taken[place]
            values[coarse] += rate * (target - values[coarse])
            values[fine] += rate * (target - values[fine])
            if place:
                target = rewards[place - 1] + self._discount * self._highest(offered[place])

    def best(self, prefix: Prefix, random: Random) -> int:
        """Choose the next part: one of the option of the highest estimate, ties at random."""
        situation = self._space.situation(prefix)
        options = self._space.options(situation)
        if len(options) == 1:
            return self._space.draw(prefix, options[0], random)
        estimates = self._estimates(self._offer(situation).options)
        highest = max(estimates)
        equals = [
            option
            for option, estimate in zip(options, estimates, strict=True)
            if estimate == highest
        ]
        return self._space.draw(prefix, pick(equals, random), random)

    def _offer(self, situation: Key) -> Offer:
        known = self._offers.get(situation)
        if known is None:
            options = self._space.options(situation)
            known = Offer(tuple([self._locate(situation, option) for option in options]))
            known.arrange(self._counts)
            self._offers[situation] = known
            for _, fine in known.options:
                self._offering.setdefault(fine, []).append(known)
        return known

    def _locate(self, situation: Key, option: Key) -> Names:
        known = self._names.get((situation, option))
        if known is None:
            coarse, fine = self._space.names(situation, option)
            known = self._names[situation, option] = self._place(coarse), self._place(fine)
        return known

    def _place(self, key: Key) -> int:
        place = self._places.setdefault(key, len(self._places))
        if place == len(self._values):
            self._values.append(self._initial)
            self._counts.append(0)
            self._weights.append(0.0)
        return place

    def _estimates(self, options: Sequence[Names]) -> list[float]:
        values, weights = self._values, self._weights
        return [
            values[coarse] + weights[fine] * (values[fine] - values[coarse])
            for coarse, fine in options
        ]

    def _highest(self, offer: Offer) -> float:
        """Return the highest estimate of an offer.

        An estimate lies between the coarse and the fine value, rounding included: an option of
        which neither is above the highest estimate so far is passed over.
        """
        values, weights = self._values, self._weights
        coarse, fine = offer.likely
        best = values[coarse] + weights[fine] * (values[fine] - values[coarse])
        for names in offer.others:
            base = values[names[0]]
            if base > best:
                best, offer.likely = base, names
        for coarse, fine in offer.met:
            base, value = values[coarse], values[fine]
            if value > best or base > best:
                estimate = base + weights[fine] * (value - base)
                if estimate > best:
                    best, offer.likely = estimate, (coarse, fine)
        return best
