"""What every strategy needs to know of a space of candidates, and nothing more.

A candidate is made by choosing one part after another until it is complete; parts are numbered, and
a candidate is the sequence of its parts' numbers. For blocks (:mod:`blockqnn.space.block_space`) a
part is a layer of the Network Structure Code; a benchmark plugs another space in.
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
"""Stands for the last part where there is none yet; no part has this number."""

RandomStep = Literal["TypeFirst", "Flat"]
"""How a random part is drawn: its type first and then within it, or among all parts alike."""

Key = tuple[Hashable, ...]
"""Names what values are kept for, or what a reward is put down to."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Choices:
    """The legal next parts."""

    numbers: Sequence[int]
    """Their numbers, ascending."""
    by_type: tuple[Sequence[int], ...]
    """The same numbers, apart for each type of part that is legal, in the order of the types."""
    masked: frozenset[int] | None = None
    """The numbers again, where something else than the last part and their place rules others out;
    None where nothing does."""

    def __len__(self) -> int:
        return len(self.numbers)


class SearchSpace(Protocol):
    """The candidates that a search may propose.

    The first half is what any strategy needs. The second half describes decisions in terms that
    generalise, for values that are shared between similar decisions
    (:mod:`blockqnn.learning.back_off`): a *situation* is what matters of a prefix, and an *option*
    is a group of next parts that are not told apart in it.
    """

    @property
    def longest(self) -> int:
        """The most parts that a candidate has."""
        ...

    def choices(self, prefix: Prefix) -> Choices:
        """Return the parts that may follow a prefix which is not complete; at least one."""
        ...

    def is_complete(self, prefix: Prefix) -> bool:
        """Whether the parts make a candidate, which nothing can follow."""
        ...

    def identity(self, candidate: Candidate) -> str:
        """Name the experiment that a candidate means: equal for equal experiments only."""
        ...

    def mutate(self, candidate: Candidate, random: Random) -> Candidate:
        """Return a legal candidate that differs from this one in one small change."""
        ...

    def situation(self, prefix: Prefix) -> Key:
        """Return what of a prefix matters to the choice of the next part."""
        ...

    def options(self, situation: Key) -> Sequence[Key]:
        """Return the groups of next parts in a situation, always in the same order."""
        ...

    def option(self, prefix: Prefix, number: int) -> Key:
        """Return the group that a next part belongs to."""
        ...

    def draw(self, prefix: Prefix, option: Key, random: Random) -> int:
        """Draw one part of a group, each with the same probability."""
        ...

    def names(self, situation: Key, option: Key) -> tuple[Key, Key]:
        """Return the names under which the value of an option is kept, the coarse and the fine."""
        ...

    def encoding(self, candidate: Candidate) -> Mapping[Key, float]:
        """Return what the reward of a candidate may be predicted from, by name; zeros left out."""
        ...

    def features(self, prefix: Prefix, number: int) -> Sequence[Key]:
        """Return what a part of a block's reward may be put down to when this part comes next."""
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
    """Draw a whole candidate, part by part."""
    numbers: list[int] = []
    while not space.is_complete(numbers):
        numbers.append(draw_part(space.choices(numbers), random, step))
    return tuple(numbers)
