"""Interface of the strategies of search.

A strategy is a deterministic state machine: it learns iterations one after the other, in order, and
its proposals depend only on its settings, its seed and the learned iterations. So an interrupted
search is recovered by learning its history again.

Strategies know candidates only as sequences of numbers (:mod:`blockqnn.space.protocol`), so the
same strategy searches blocks and the spaces of benchmarks.
"""

from collections.abc import Sequence
from random import Random
from typing import ClassVar, NamedTuple, Protocol, Self

from blockqnn.model import Model
from blockqnn.settings.search import AgentSettings
from blockqnn.space.protocol import Candidate, SearchSpace
from blockqnn.surrogate.ridge import Prediction


class Feedback(NamedTuple):
    """Result of a candidate's trial."""

    candidate: Candidate
    reward: float | None
    """The higher the better; None if the trial failed and is not learned from."""


class StrategySettings(Model):
    """Settings of a strategy's own, in `agent.settings`; this base has none.

    A subclass declares the fields. They are written in camelCase, and unknown ones are refused.
    """

    @classmethod
    def of(cls, agent: AgentSettings) -> Self:
        """Return the strategy's own settings among those of the agent."""
        return cls.model_validate(agent.settings)


class Strategy(Protocol):
    """A strategy of search, as its class is registered (:mod:`blockqnn.strategies.registry`)."""

    uses: ClassVar[frozenset[str]]
    """The fields of :class:`AgentSettings` that have an effect with this strategy, besides
    `batch_size`, which always has one. A user who sets another field is told to leave it out."""

    Settings: ClassVar[type[StrategySettings]]
    """The strategy's own settings; :class:`StrategySettings` itself if it has none."""

    def __init__(self, settings: AgentSettings, space: SearchSpace, seed: int) -> None: ...

    def epsilon(self, iteration: int) -> float:
        """Return the probability with which an iteration draws a part at random, 0 to 1."""
        ...

    def proposable(self, iteration: int, learned: int) -> bool:
        """Return whether an iteration can be proposed after `learned` iterations are learned.

        True as long as more learning would not change the proposals, so that such iterations can
        all run at once; false again once the state that they depend on is gone.
        """
        ...

    def propose(self, iteration: int, in_flight: Sequence[Candidate] = ()) -> tuple[Candidate, ...]:
        """Return the candidates of an iteration that is proposable, in trial order.

        Args:
            iteration: its number.
            in_flight: the candidates of the iterations before it that are not learned yet; a
                strategy that avoids duplicates avoids these, too.
        """
        ...

    def expected(self, candidate: Candidate) -> Prediction | None:
        """Return the prediction for a candidate proposed last; None without a predictor."""
        ...

    def learn(self, iteration: int, batch: Sequence[Feedback]) -> None:
        """Learn all trials of the next iteration, in trial order."""
        ...


def trial_random(seed: int, trial: int) -> Random:
    """Return the source of all random choices of one trial."""
    return Random(f"{seed}:{trial}")


def replay_random(seed: int, iteration: int) -> Random:
    """Return the source of the random choices in learning from one iteration."""
    return Random(f"{seed}:replay:{iteration}")
