"""Numbers about many ratios: their geometric mean, how sure it is, and how two rankings agree."""

from collections.abc import Sequence
from statistics import geometric_mean, median
from typing import NamedTuple

import numpy

_RESAMPLES = 2000
"""Bootstrap samples: the 2.5 % tails then have 50 each."""


class Ratio(NamedTuple):
    """A geometric mean over blocks with its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio_of(blocks: Sequence[Sequence[float]]) -> Ratio:
    """Summarise the ratios that were measured: for each block, one for each repeat.

    A block counts with its median, which one disturbed repeat does not move. The interval is a
    bootstrap over blocks.
    """
    logarithms = numpy.log([median(repeats) for repeats in blocks])
    random = numpy.random.default_rng(0)
    means = random.choice(logarithms, (_RESAMPLES, len(logarithms))).mean(1)
    low, high = numpy.exp(numpy.quantile(means, (0.025, 0.975)))
    return Ratio(geometric_mean([median(repeats) for repeats in blocks]), float(low), float(high))


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation; equal values share their mean rank. 0 where one is constant."""
    ranks = numpy.stack([_ranks(first), _ranks(second)])
    if (ranks.std(1) == 0).any():
        return 0.0
    return float(numpy.corrcoef(ranks)[0, 1])


def _ranks(values: Sequence[float]) -> list[float]:
    in_order = sorted(values)
    # The first and the last position of equal values, counted from 0, in the middle.
    return [in_order.index(value) + (in_order.count(value) - 1) / 2 for value in values]
