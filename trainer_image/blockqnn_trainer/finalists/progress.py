"""Progress of a finalist."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from blockqnn.contract.finalist import FinalistResult, FinalistSpec
from blockqnn_trainer.process.progress import Progress


class FinalistProgress(Progress[FinalistResult]):
    """State of a finalist in training."""

    def __init__(self, spec: FinalistSpec, block_hash: str) -> None:
        super().__init__(FinalistResult, block_hash)
        self._spec = spec
        self.processes = 1
        self.resumed = 0
        self.damaged = 0
        self.earlier = 0.0
        self.leaves_checkpoints = False

    @contextmanager
    def leaving_checkpoints(self) -> Iterator[None]:
        """Mark a ``with`` block where the training checks, at each step, if it is to stop."""
        self.leaves_checkpoints = True
        try:
            yield
        finally:
            self.leaves_checkpoints = False

    @property
    def epochs_done(self) -> tuple[int, int]:
        """Numbers of complete epochs and of all epochs."""
        return len(self.curve), self._spec.training.epochs

    def details(self) -> dict[str, Any]:
        """Return the fields that only finalists have."""
        spec = self._spec
        epoch, epochs = self.epochs_done
        return {
            **spec.model_dump(include={"trial", "attempt", "target", "seed", "folder"}),
            "epoch": epoch,
            "epochs": epochs,
            "resumed": self.resumed,
            "damaged_checkpoints": self.damaged,
            "measured_on": spec.dataset.validation.source,
            "processes": self.processes,
            "seconds": {**self.times(), "earlier": round(self.earlier, 3)},
        }
