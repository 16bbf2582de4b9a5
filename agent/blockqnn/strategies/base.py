"""What every strategy of search offers, and what it is given.

A strategy is a deterministic state machine: iterations are learned one after the other, in order,
and what it proposes depends on its settings, its seed and what it has learned, on nothing else.
So a search that was interrupted is recovered by learning its history again.

Strategies know candidates only as sequences of numbers (:mod:`blockqnn.space.protocol`), so the
same strategy searches blocks and the spaces of benchmarks.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, Protocol

from blockqnn.space.protocol import Candidate
from blockqnn.surrogate.ridge import Prediction


class Feedback(NamedTuple):
    """What became of a candidate."""

    candidate: Candidate
    reward: float | None
    """The higher the better; None when the trial failed, which teaches nothing."""


class Strategy(Protocol):
    """A way to search."""

    def epsilon(self, iteration: int) -> float:
        """Return the probability with which an iteration draws a part at random, 0 to 1."""
        ...

    def proposable(self, iteration: int, learned: int) -> bool:
        """Whether an iteration can be proposed when `learned` iterations have been learned.

        True as long as more learning would not change the proposals, so that such iterations can
        all run at once, and false again once the state that they depend on is gone.
        """
        ...

    def propose(self, iteration: int, in_flight: Sequence[Candidate] = ()) -> tuple[Candidate, ...]:
        """Return the candidates of an iteration that is proposable, in trial order.

        Args:
            iteration: its number.
            in_flight: the candidates of the iterations before it that are not learned yet; where
                nothing is to be proposed twice, these count too.
        """
        ...

    def expected(self, candidate: Candidate) -> Prediction | None:
        """Return what a predictor said of a candidate that was proposed last; None without one."""
        ...

    def learn(self, iteration: int, batch: Sequence[Feedback]) -> None:
        """Take in all trials of the next iteration, in trial order."""
        ...


def trial_random(seed: int, trial: int) -> Random:
    """Return the source of all random choices of one trial."""
    return Random(f"{seed}:{trial}")


def replay_random(seed: int, iteration: int) -> Random:
    """Return the source of the random choices in learning from one iteration."""
    return Random(f"{seed}:replay:{iteration}")
