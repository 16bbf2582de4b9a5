"""What every strategy of search offers, and what it is given.

A strategy is a deterministic state machine: iterations are learned one after the other, in order,
and what it proposes depends on its settings, its seed and what it has learned, on nothing else.
So a search that was interrupted is recovered by learning its history again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from blockqnn.nsc import Block


@dataclass(frozen=True, slots=True)
class Experience:
    """What became of one trial."""

    trial: int
    """Its number, counted from 0 over the whole search."""
    block: Block
    """The block that was trained: as proposed, or as an earlier version had proposed it."""
    reward: float | None
    """The redefined reward in percent; None when the trial failed, which teaches nothing."""


class Strategy(Protocol):
    """A way to search."""

    def epsilon(self, iteration: int) -> float:
        """Return the probability with which an iteration draws a layer at random, 0 to 1."""
        ...

    def proposable(self, iteration: int, learned: int) -> bool:
        """Whether an iteration can be proposed when `learned` iterations have been learned.

        True as long as more learning would not change the proposals, so that such iterations can
        all run at once, and false again once the state that they depend on is gone.
        """
        ...

    def propose(self, iteration: int) -> tuple[Block, ...]:
        """Return the blocks of an iteration that is proposable, in trial order."""
        ...

    def learn(self, iteration: int, batch: Sequence[Experience]) -> None:
        """Take in all trials of the next iteration, in trial order.

        Raises:
            InvalidBlock: when a block does not belong to the space of this search.
        """
        ...


def trial_random(seed: int, trial: int) -> Random:
    """Return the source of all random choices of one trial."""
    return Random(f"{seed}:{trial}")


def replay_random(seed: int, iteration: int) -> Random:
    """Return the source of the random choices in learning from one iteration."""
    return Random(f"{seed}:replay:{iteration}")
