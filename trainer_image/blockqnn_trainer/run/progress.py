"""Progress of a trial."""

from typing import Any

from blockqnn.contract.trial import Seconds, TrialResult
from blockqnn_trainer.process.progress import Progress


class TrialProgress(Progress[TrialResult]):
    """State of a trial."""

    def __init__(self, trial: int, attempt: int, block_hash: str, began: float = 0.0) -> None:
        super().__init__(TrialResult, block_hash, began)
        self._trial, self._attempt = trial, attempt
        self.restarts = 0
        self.stopped_after: int | None = None

    def seconds(self) -> Seconds:
        """Return the time spent on each stage until now."""
        return Seconds(**self.times())

    def details(self) -> dict[str, Any]:
        """Return the fields that only trials have."""
        return {"trial": self._trial, "attempt": self._attempt, "restarts": self.restarts}
