"""The state of a finalist in training; complete enough at any moment to be reported."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from blockqnn.contract.finalist import FinalistResult, FinalistSeconds, FinalistSpec
from blockqnn.contract.message import CURVE_LIMIT, MESSAGE_LIMIT
from blockqnn.errors import InvalidMessage
from blockqnn_trainer.process.machine import process_age
from blockqnn_trainer.process.termination_message import Ending, shorten, thin

Stage = Literal["data", "build", "train", "evaluate", "checkpoint", "export"]


class Progress:
    """State written by the training thread, read by the thread that waits for a signal."""

    def __init__(self, spec: FinalistSpec, block_hash: str) -> None:
        self._spec = spec
        self._block_hash = block_hash
        self.device = ""
        self.processes = 1
        self.parameters: int | None = None
        self.macs: int | None = None
        self.curve: tuple[float, ...] = ()
        self.resumed = 0
        self.damaged = 0
        self.earlier = 0.0
        self.start = 0.0
        self.leaves_checkpoints = False
        self._spent: dict[Stage, float] = {}
        self._running: tuple[Stage, float] | None = None

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

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Account the time of a ``with`` block to a stage, and not to the one around it."""
        around, began = self._running, time.monotonic()
        if around is not None:
            self._account(*around)
        self._running = stage, began
        try:
            yield
        finally:
            self._account(*self._running)
            self._running = None if around is None else (around[0], time.monotonic())

    def _account(self, stage: Stage, began: float) -> None:
        self._spent[stage] = self._spent.get(stage, 0.0) + time.monotonic() - began

    def seconds(self) -> FinalistSeconds:
        """Return the time spent on each stage until now, in whole milliseconds."""
        spent = dict(self._spent)
        running = self._running
        if running is not None:
            spent[running[0]] = spent.get(running[0], 0.0) + time.monotonic() - running[1]
        total = process_age()
        stages = {stage: round(value, 3) for stage, value in spent.items()}
        return FinalistSeconds(
            start=round(self.start or total, 3),
            total=round(total, 3),
            earlier=round(self.earlier, 3),
            **stages,
        )

    def result(
        self,
        outcome: Ending,
        reason: str,
        message: str = "",
        accuracy: float | None = None,
        top5_accuracy: float | None = None,
        weights: str | None = None,
    ) -> FinalistResult:
        """Return the result of this finalist, if it ended now."""
        spec = self._spec
        return FinalistResult(
            trial=spec.trial,
            attempt=spec.attempt,
            target=spec.target,
            seed=spec.seed,
            block_hash=self._block_hash,
            outcome=outcome,
            reason=reason,
            message=shorten(message, MESSAGE_LIMIT),
            accuracy=accuracy,
            top5_accuracy=top5_accuracy,
            epoch=len(self.curve),
            epochs=spec.training.epochs,
            curve=tuple(round(point, 6) for point in thin(self.curve, CURVE_LIMIT)),
            resumed=self.resumed,
            damaged_checkpoints=self.damaged,
            measured_on=spec.dataset.validation.source,
            parameters=self.parameters,
            macs=self.macs,
            processes=self.processes,
            device=shorten(self.device, 64),  # the contract's limit
            folder=spec.folder,
            weights=weights,
            seconds=self.seconds(),
        )


def encode(result: FinalistResult) -> str:
    """Write a result as JSON that fits into a termination message, whatever it holds.

    The curve is halved until it fits, then the message: JSON needs up to 6 bytes for a character.
    """
    while True:
        try:
            return result.write()
        except InvalidMessage:
            if len(result.curve) > 1:
                shorter = thin(result.curve, len(result.curve) // 2)
                result = result.model_copy(update={"curve": shorter})
            else:
                text = shorten(result.message, len(result.message) // 2)
                result = result.model_copy(update={"message": text})
