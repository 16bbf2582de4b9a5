"""The replay memory: past trials for repeated learning (CVPR 2018, section 4.2)."""

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Literal

from blockqnn.space.protocol import pick

Weighting = Literal["Uniform", "Rank"]

_TOP_SHARE = 0.05
"""Share of the memory, from the best down, after which the weight has fallen to one half."""


class ReplayMemory:
    """The rewards of all trained blocks of a search, in trial order.

    A block that was proposed twice is stored twice, as in the papers' batches.
    """

    def __init__(self, weighting: Weighting) -> None:
        self._weighting = weighting
        self._rewards: list[float] = []
        self._best_first: list[int] = []
        """The numbers of the blocks as of the last draw by rank, the best first."""

    def __len__(self) -> int:
        return len(self._rewards)

    @property
    def rewards(self) -> Sequence[float]:
        """The rewards; their indices are the numbers that :meth:`draw` returns."""
        return self._rewards

    def append(self, reward: float) -> None:
        """Remember the next block."""
        self._rewards.append(reward)

    def draw(self, size: int, random: Random) -> list[int]:
        """Draw numbers of blocks with replacement; none if the memory is empty.

        With the weighting `Uniform` all are equally likely. With `Rank` the probability of the
        block with k better ones, of m, is proportional to 1 / (k + 0.05 m + 1).
        """
        count = len(self._rewards)
        if not count:
            return []
        if self._weighting == "Uniform":
            return [pick(range(count), random) for _ in range(size)]
        # Sorting is stable, backwards too: the first of equals comes first. What is sorted but for
        # the latest takes little time.
        best_first = self._best_first
        best_first += range(len(best_first), count)
        best_first.sort(key=self._rewards.__getitem__, reverse=True)
        limits = list(accumulate(1 / (k + _TOP_SHARE * count + 1) for k in range(count)))
        total = limits[-1]
        return [
            best_first[min(bisect(limits, random.random() * total), count - 1)] for _ in range(size)
        ]
