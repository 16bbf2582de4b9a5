"""Progress of a training: its clock and what it has measured."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Literal, TypeVar

from blockqnn.contract.fields import TrainedOutcome
from blockqnn.contract.message import CURVE_LIMIT, MESSAGE_LIMIT
from blockqnn_trainer.process.machine import process_age
from blockqnn_trainer.process.termination_message import Result, shorten, thin

CURVE_DIGITS = 6
"""Decimals of a curve's points: one image of a million. With all 17 that a number may have, the
curves of eight trials of 12 epochs would not fit into one message."""

R_co = TypeVar("R_co", bound=Result, covariant=True)
Stage = Literal["data", "build", "train", "evaluate", "checkpoint", "export"]


class Progress(ABC, Generic[R_co]):
    """State of a training; complete enough at any moment to be reported.

    Written by the training thread, read by the one that waits for a signal.
    """

    def __init__(self, model: Callable[..., R_co], block_hash: str, began: float = 0.0) -> None:
        """Begin a training.

        Args:
            model: the model of its result.
            block_hash: the canonical hash of its block.
            began: the age of the process at the start, in seconds: above 0 after other trials.
        """
        self._model, self._block_hash, self._began = model, block_hash, began
        self.device = ""
        self.measured: dict[str, int | float] = {}
        """Fields of :class:`~blockqnn.contract.metrics.Measured`, as soon as they are known."""
        self.curve: tuple[float, ...] = ()
        self.start: float | None = None
        self._spent: dict[str, float] = {}
        self._running: tuple[Stage, float] | None = None

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Account the time of a ``with`` block to a stage, and not to the one around it."""
        around = self._running
        self._enter(stage)
        try:
            yield
        finally:
            self._enter(None if around is None else around[0])

    def _enter(self, stage: Stage | None) -> None:
        now = time.monotonic()
        running, self._running = self._running, None
        if running is not None:
            self._spent[running[0]] = self._spent.get(running[0], 0.0) + now - running[1]
        if stage is not None:
            self._running = stage, now

    def times(self) -> dict[str, float]:
        """Return the seconds spent on each stage until now, to the millisecond."""
        times, running = dict(self._spent), self._running
        if running is not None:
            times[running[0]] = times.get(running[0], 0.0) + time.monotonic() - running[1]
        times["total"] = process_age() - self._began
        # Before its imports end, a process has spent all its time on them.
        times["start"] = times["total"] if self.start is None else self.start
        return {stage: round(value, 3) for stage, value in times.items()}

    def result(
        self, outcome: TrainedOutcome, reason: str, message: str = "", **success: object
    ) -> R_co:
        """Return the result of this training, if it ended now.

        Args:
            outcome: as the result has it.
            reason: as the result has it.
            message: cut to the length that the result allows.
            success: fields of a training that succeeded: its accuracy, for example.
        """
        return self._model(
            outcome=outcome,
            reason=reason,
            message=shorten(message, MESSAGE_LIMIT),
            block_hash=self._block_hash,
            curve=tuple(round(point, CURVE_DIGITS) for point in thin(self.curve, CURVE_LIMIT)),
            device=shorten(self.device, 64),
            **{**self.measured, "seconds": self.times(), **self.details(), **success},
        )

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """Return the fields that only this kind of result has."""
