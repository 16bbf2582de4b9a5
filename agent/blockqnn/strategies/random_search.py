"""Random search: the papers' baseline (CVPR 2018, appendix A)."""

from collections.abc import Sequence
from typing import ClassVar

from blockqnn.settings.search import AgentSettings
from blockqnn.space.protocol import Candidate, SearchSpace
from blockqnn.strategies.base import Feedback, StrategySettings
from blockqnn.strategies.duplicates import RandomPhase


class RandomSearch:
    """Draws every candidate at random, exactly as Q-learning of the same seed does at epsilon 1.

    So the comparison of both starts from the same exploration, as in the paper.
    """

    uses: ClassVar = frozenset({"random_step", "duplicates"})
    Settings: ClassVar = StrategySettings

    def __init__(self, settings: AgentSettings, space: SearchSpace, seed: int) -> None:
        self._phase = RandomPhase(settings, space, seed)

    def epsilon(self, iteration: int) -> float:
        """Return 1."""
        return 1.0

    def proposable(self, iteration: int, learned: int) -> bool:
        """Return True, as nothing is learned."""
        return True

    def propose(self, iteration: int, in_flight: Sequence[Candidate] = ()) -> tuple[Candidate, ...]:
        """Return the candidates of an iteration, which avoid those of all before it."""
        return self._phase.propose(iteration)

    def expected(self, candidate: Candidate) -> None:
        """Return None: nothing is predicted."""

    def learn(self, iteration: int, batch: Sequence[Feedback]) -> None:
        """Do nothing: there is nothing to learn."""
