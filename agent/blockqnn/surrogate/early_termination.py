"""Early end of trainings whose blocks will not be among the best.

For each of a few epochs, a line fitted to the complete trainings so far predicts the accuracy after
the last epoch from that after this one. A training ends if its extrapolated accuracy stays some
deviations below that of the best share. Prediction of learning curves as in Domhan et al. 2015 and
Baker et al. 2017, simplified for little data.
"""

from collections.abc import Sequence
from math import fsum, sqrt
from operator import mul
from typing import NamedTuple

from blockqnn.contract.training import StoppingRule
from blockqnn.settings.search import EarlyTermination

_FEWEST = 10
"""Minimum number of complete trainings for a line."""

_TWELFTHS = range(4, 9)
"""Twelfths of a training after which it may stop: epochs 4 to 8 of the papers' twelve."""


def stopping_epochs(epochs: int) -> tuple[int, ...]:
    """Return the epochs after which a training may stop: from 4/12 to 8/12 of all.

    Each is rounded to the nearest epoch, halves up. A training of one epoch has none.

    Args:
        epochs: the number of epochs of a complete training.
    """
    rounded = ((epochs * twelfths + 6) // 12 for twelfths in _TWELFTHS)
    return tuple(dict.fromkeys(epoch for epoch in rounded if 1 <= epoch < epochs))


class _Line(NamedTuple):
    """Line that predicts the last accuracy from the accuracy after an epoch."""

    epoch: int
    intercept: float
    slope: float
    deviation: float
    """Standard deviation of complete trainings from the line."""


class LearningCurves:
    """The learning curves of a search's complete trainings."""

    def __init__(self, settings: EarlyTermination) -> None:
        self._settings = settings
        self._curves: list[Sequence[float]] = []
        self._rewards: list[float] = []
        self._lines: tuple[_Line, ...] = ()
        self._fitted = 0

    def add(self, curve: Sequence[float], reward: float) -> None:
        """Add a complete training.

        Args:
            curve: the accuracy after each epoch, 0 to 1; all curves have the same length.
            reward: the reward of the block, in percent.
        """
        self._curves.append(curve)
        self._rewards.append(reward)

    def rules(self, discount: float) -> tuple[StoppingRule, ...]:
        """Return the rules by which the training of a block may stop, the earliest epoch first.

        Args:
            discount: the reduction of the reward by the block's cost, in percent; negative for a
                bonus.
        """
        if len(self._curves) < max(self._settings.warmup, _FEWEST):
            return ()
        best = sorted(self._rewards, reverse=True)
        wanted = best[min(int(self._settings.share * len(best)), len(best) - 1)]
        accuracy = (wanted + discount) / 100
        rules = []
        for line in self._fit():
            margin = self._settings.deviations * line.deviation
            below = (accuracy - margin - line.intercept) / line.slope
            if below > 0:
                rules.append(
                    StoppingRule(
                        epoch=line.epoch,
                        below=min(below, 1.0),
                        intercept=line.intercept,
                        slope=line.slope,
                    )
                )
        return tuple(rules)

    def _fit(self) -> tuple[_Line, ...]:
        if self._fitted != len(self._curves):
            last = [curve[-1] for curve in self._curves]
            lines = [
                _line(epoch, [curve[epoch - 1] for curve in self._curves], last)
                for epoch in self._settings.epochs
                if epoch < len(self._curves[0])
            ]
            self._lines = tuple([line for line in lines if line is not None])
            self._fitted = len(self._curves)
        return self._lines


def _line(epoch: int, early: Sequence[float], last: Sequence[float]) -> _Line | None:
    """Fit a line by least squares; None if more accuracy early does not mean more at the end.

    `fsum` rounds once, in every version of Python alike; `sum` does not.
    """
    count = len(early)
    early_mean, last_mean = fsum(early) / count, fsum(last) / count
    before = [accuracy - early_mean for accuracy in early]
    after = [accuracy - last_mean for accuracy in last]
    spread, together = fsum(map(mul, before, before)), fsum(map(mul, before, after))
    if spread <= 0 or together <= 0:
        return None
    slope = together / spread
    residuals = [b - slope * a for a, b in zip(before, after, strict=True)]
    deviation = sqrt(fsum(map(mul, residuals, residuals)) / (count - 2))
    return _Line(epoch, last_mean - slope * early_mean, slope, deviation)
