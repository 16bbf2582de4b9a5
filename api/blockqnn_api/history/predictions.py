"""Quality of a predictor: its predictions beside the measured rewards. Pure."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from blockqnn.learning.calibration import rank_correlation
from blockqnn_api.history.trial_record import TrialRecord

FEWEST = 3
"""With fewer trials a correlation means nothing."""


@dataclass(slots=True)
class Predictions:
    """The trials that a predictor has chosen, in trial order.

    Both numbers of a trial are the share of the trials before its iteration that are worse: by the
    prediction, and by the measured reward. So trials of all iterations can be compared, although
    later ones have better rivals.
    """

    predicted: list[float] = field(default_factory=list)
    measured: list[float] = field(default_factory=list)
    _rewards: list[float] = field(default_factory=list)
    """Those of the earlier iterations, ascending."""
    _latest: list[float] = field(default_factory=list)
    _iteration: int = -1
    _known: tuple[int, float | None] = (0, None)

    def __len__(self) -> int:
        return len(self.predicted)

    def add(self, record: TrialRecord) -> None:
        """Add the next record of the history."""
        if record.iteration != self._iteration:
            self._iteration = record.iteration
            self._rewards = sorted(self._rewards + self._latest)
            self._latest = []
        if record.reward is None:
            return
        self._latest.append(record.reward)
        if record.predicted is not None and self._rewards:
            self.predicted.append(record.predicted)
            worse = bisect_left(self._rewards, record.reward)
            alike = bisect_right(self._rewards, record.reward) - worse
            self.measured.append((worse + alike / 2) / len(self._rewards))

    @property
    def rank_correlation(self) -> float | None:
        """Spearman's correlation, from -1 to 1; None for too few trials."""
        if self._known[0] != len(self):
            enough = len(self) >= FEWEST
            correlation = rank_correlation(self.predicted, self.measured) if enough else None
            self._known = (len(self), correlation)
        return self._known[1]
