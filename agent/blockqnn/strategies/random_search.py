"""Random search: the papers' baseline (CVPR 2018, appendix A)."""

from collections.abc import Sequence

from blockqnn.nsc import Block
from blockqnn.settings import SearchSettings
from blockqnn.space import Space
from blockqnn.strategies.base import Experience, trial_random


class RandomSearch:
    """Draws every block at random, exactly as Q-learning of the same seed does at epsilon 1.

    So the two are compared from the same exploration on, as the paper compares them.
    """

    def __init__(self, settings: SearchSettings, seed: int) -> None:
        self._space = Space(settings.space)
        self._step = settings.agent.random_step
        self._batch_size = settings.agent.batch_size
        self._seed = seed

    def epsilon(self, iteration: int) -> float:
        """Return 1."""
        return 1.0

    def proposable(self, iteration: int, learned: int) -> bool:
        """Return True: nothing is learned, so nothing need be waited for."""
        return True

    def propose(self, iteration: int) -> tuple[Block, ...]:
        """Return the blocks of an iteration."""
        first = iteration * self._batch_size
        return tuple(
            self._space.random_block(trial_random(self._seed, trial), self._step)
            for trial in range(first, first + self._batch_size)
        )

    def learn(self, iteration: int, batch: Sequence[Experience]) -> None:
        """Check that the blocks belong to this search; there is nothing to learn."""
        for experience in batch:
            self._space.encode(experience.block)
