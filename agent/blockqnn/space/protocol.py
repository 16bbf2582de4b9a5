"""Interface of a space of candidates, as every strategy uses it.

A candidate is built by choosing one part after another until it is complete; parts are numbered,
and a candidate is the sequence of its parts' numbers. For blocks
(:mod:`blockqnn.space.block_space`) a part is a layer of the Network Structure Code; a benchmark
plugs in another space.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol, TypeVar

Candidate = tuple[int, ...]
"""A complete candidate: the numbers of its parts, in the order in which they were chosen."""

Prefix = Sequence[int]
"""The parts chosen so far."""

START = 0
"""Stands for the last part if there is none yet; no part has this number."""

RandomStep = Literal["TypeFirst", "Flat"]
"""Way to draw a random part: first its type, then one of that type; or one of all parts."""

Key = tuple[Hashable, ...]
"""Name of a value, or of a feature that explains a reward."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Choices:
    """The legal next parts."""

    numbers: Sequence[int]
    """Their numbers, ascending."""
    by_type: tuple[Sequence[int], ...]
    """The same numbers, grouped by the types of parts that are legal, in the order of the types."""
    masked: frozenset[int] | None = None
    """The numbers again if others are excluded by more than the last part and their position; None
    if no others are excluded."""

    def __len__(self) -> int:
        return len(self.numbers)


class SearchSpace(Protocol):
    """The candidates that a search may propose.

    The first half serves any strategy. The second half describes decisions in terms that
    generalise, for values that are shared between similar decisions
    (:mod:`blockqnn.learning.back_off`): a *state* is the relevant part of a prefix, and an
    *abstract action* is a group of next parts that are not distinguished in it.
    """

    @property
    def longest(self) -> int:
        """The maximum number of parts of a candidate."""
        ...

    def choices(self, prefix: Prefix) -> Choices:
        """Return the parts that may follow a prefix which is not complete; at least one."""
        ...

    def is_complete(self, prefix: Prefix) -> bool:
        """Return whether the parts are a complete candidate, which nothing can follow."""
        ...

    def identity(self, candidate: Candidate) -> str:
        """Return the name of the candidate's experiment: equal for equal experiments only."""
        ...

    def mutate(self, candidate: Candidate, random: Random) -> Candidate:
        """Return a legal candidate that differs from this one in one small change."""
        ...

    def state(self, prefix: Prefix) -> Key:
        """Return the features of a prefix that matter to the choice of the next part."""
        ...

    def abstract_actions(self, state: Key) -> Sequence[Key]:
        """Return the groups of next parts in a state, always in the same order."""
        ...

    def abstract_action(self, prefix: Prefix, number: int) -> Key:
        """Return the group that a next part belongs to."""
        ...

    def draw(self, prefix: Prefix, abstract_action: Key, random: Random) -> int:
        """Draw one part of a group, each with the same probability."""
        ...

    def value_keys(self, state: Key, abstract_action: Key) -> tuple[Key, Key]:
        """Return the names of an abstract action's values, the coarse and the fine."""
        ...

    def encoding(self, candidate: Candidate) -> Mapping[Key, float]:
        """Return the features that may predict a candidate's reward, by name, without zeros."""
        ...

    def features(self, prefix: Prefix, number: int) -> Sequence[Key]:
        """Return the features of a next part that may explain a part of the reward."""
        ...


def pick(items: Sequence[Item], random: Random) -> Item:
    """Draw one of the items, each with the same probability.

    Python promises to repeat `Random.random` in later versions, but not the methods on top of it:
    an upgrade in the middle of a search must not change what it proposes.
    """
    return items[int(random.random() * len(items))]


def draw_part(choices: Choices, random: Random, step: RandomStep) -> int:
    """Draw one of the choices at random and return its number."""
    if step == "Flat":
        return pick(choices.numbers, random)
    return pick(pick(choices.by_type, random), random)


def draw_candidate(space: SearchSpace, random: Random, step: RandomStep) -> Candidate:
    """Draw a complete candidate, part by part."""
    numbers: list[int] = []
    while not space.is_complete(numbers):
        numbers.append(draw_part(space.choices(numbers), random, step))
    return tuple(numbers)
