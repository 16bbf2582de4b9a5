"""The log of a training: a line for each epoch on standard output, and the progress so far."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from blockqnn_trainer.process.progress import Progress, Stage
from blockqnn_trainer.process.termination_message import Result


class EpochLog:
    """Writes each epoch down."""

    def __init__(self, progress: Progress[Result], epochs: int, note: Callable[[], None]) -> None:
        """Begin with the first epoch of this process.

        Args:
            progress: gets the curve.
            epochs: the number of epochs of the whole training.
            note: called after each epoch.
        """
        self._progress, self._epochs, self._note = progress, epochs, note
        self._began = time.monotonic()

    def timed(self, stage: Stage) -> AbstractContextManager[None]:
        """Account the time of a ``with`` block to a stage."""
        return self._progress.timed(stage)

    def log(self, epoch: int, loss: float, curve: tuple[float, ...]) -> None:
        """Log an epoch, by its number, its mean loss and the accuracies until its end."""
        self._progress.curve = curve
        self._note()
        now = time.monotonic()
        print(
            f"epoch {epoch}/{self._epochs}: loss {loss:.4f}, accuracy {curve[-1]:.4f}, "
            f"{now - self._began:.2f} s",
            flush=True,
        )
        self._began = now
