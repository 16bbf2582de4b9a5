"""The result of a trial: gathered while it runs, written to its termination message."""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from blockqnn.contract.message import CURVE_LIMIT, MESSAGE_LIMIT, RESULT_LIMIT, Outcome
from blockqnn.contract.trial import Seconds, TrialResult
from blockqnn.contract.trial_group import write_results
from blockqnn.errors import InvalidMessage
from blockqnn_trainer.process.machine import process_age

TERMINATION_VARIABLE = "TERMINATION_MESSAGE_PATH"
"""The environment variable that names the file of the termination message."""

TERMINATION_FILE = Path("/dev/termination-log")
"""The file from which Kubernetes reads the termination message by default."""

CURVE_DIGITS = 6
"""Decimals of a curve's points: one image of a million. With all 17 that a number may have, the
curves of eight trials of 12 epochs would not fit into one message."""

Stage = Literal["data", "build", "train", "evaluate"]
Ending = Literal[Outcome.SUCCEEDED, Outcome.INFEASIBLE, Outcome.FAILED]


class Progress:
    """The state of a trial so far; complete enough at any moment to be reported.

    Written by the training thread, read by the one that waits for a signal.
    """

    def __init__(self, trial: int, attempt: int, block_hash: str, began: float = 0.0) -> None:
        """Begin a trial.

        Args:
            trial: its number.
            attempt: the number of this attempt at it.
            block_hash: the canonical hash of its block.
            began: the age of the process at the start, in seconds: above 0 after other trials.
        """
        self._began = began
        self.trial = trial
        self.attempt = attempt
        self.block_hash = block_hash
        self.device = ""
        self.parameters: int | None = None
        self.macs: int | None = None
        self.restarts = 0
        self.stopped_after: int | None = None
        self.curve: tuple[float, ...] = ()
        self.start: float | None = None
        self._spent: dict[Stage, float] = {}
        self._running: tuple[Stage, float] | None = None

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Account the time of a ``with`` block to a stage."""
        began = time.monotonic()
        self._running = stage, began
        try:
            yield
        finally:
            self._running = None
            self._spent[stage] = self._spent.get(stage, 0.0) + time.monotonic() - began

    def seconds(self) -> Seconds:
        """Return the time spent on each stage until now, in whole milliseconds."""
        spent = dict(self._spent)
        running = self._running
        if running is not None:
            spent[running[0]] = spent.get(running[0], 0.0) + time.monotonic() - running[1]
        total = process_age() - self._began
        stages = {stage: round(value, 3) for stage, value in spent.items()}
        # Before its imports end, a process has spent all its time on them.
        return Seconds(
            start=round(total if self.start is None else self.start, 3),
            total=round(total, 3),
            **stages,
        )

    def result(
        self, outcome: Ending, reason: str, message: str = "", accuracy: float | None = None
    ) -> TrialResult:
        """Return the result of this trial, if it ended now."""
        return TrialResult(
            trial=self.trial,
            attempt=self.attempt,
            block_hash=self.block_hash,
            outcome=outcome,
            reason=reason,
            message=shorten(message, MESSAGE_LIMIT),
            accuracy=accuracy,
            stopped_after=self.stopped_after if accuracy is not None else None,
            curve=tuple(round(point, CURVE_DIGITS) for point in thin(self.curve, CURVE_LIMIT)),
            parameters=self.parameters,
            macs=self.macs,
            restarts=self.restarts,
            device=shorten(self.device, 64),  # the contract's limit
            seconds=self.seconds(),
        )


def thin(curve: tuple[float, ...], limit: int) -> tuple[float, ...]:
    """Keep at most `limit` points of a curve, evenly spaced, the last one among them."""
    if len(curve) <= limit:
        return curve
    return tuple(curve[(number + 1) * len(curve) // limit - 1] for number in range(limit))


def encode(result: TrialResult) -> str:
    """Write a result as JSON that fits into a termination message, whatever it holds.

    The curve is halved until it fits, then the message: JSON needs up to 6 bytes for a character.
    """
    while True:
        try:
            return result.write()
        except InvalidMessage:
            result = _halve(result)


def encode_all(results: Sequence[TrialResult]) -> str:
    """Write the results of several trials as JSON that fits into one termination message.

    The longest result is halved, as :func:`encode` does, until all of them fit.
    """
    fitting = list(results)
    while True:
        try:
            return write_results(fitting)
        except InvalidMessage:
            sizes = [len(result.model_dump_json(exclude_defaults=True)) for result in fitting]
            longest = sizes.index(max(sizes))
            fitting[longest] = _halve(fitting[longest])


def _halve(result: TrialResult) -> TrialResult:
    if len(result.curve) > 1:
        return result.model_copy(update={"curve": thin(result.curve, len(result.curve) // 2)})
    return result.model_copy(update={"message": shorten(result.message, len(result.message) // 2)})


def shorten(text: str, limit: int) -> str:
    """Cut a text to a number of characters, the last of which then is an ellipsis."""
    return text if len(text) <= limit else text[: max(0, limit - 1)] + "…"


class Reporter:
    """Writes the termination message; the final report at most once: the first writer wins.

    The training thread and the thread that waits for a signal may both end.
    """

    def __init__(
        self, environment: Mapping[str, str], finished: Sequence[TrialResult] | None = None
    ) -> None:
        """Find the file of the message.

        Args:
            environment: names it.
            finished: for a process that runs several trials, the results so far; None for a
                process that runs a single trial, whose message is its result alone.
        """
        self.finished = None if finished is None else list(finished)
        self._path = environment.get(TERMINATION_VARIABLE)
        self._lock = threading.Lock()
        self._written = False

    def note(self, result: TrialResult | str) -> None:
        """Write the message to be read if the process dies without another one."""
        with self._lock:
            if not self._written:
                self._write(self._encode(result))

    def settle(self, result: TrialResult) -> None:
        """Write the result of one of several trials, and keep it in all messages that follow."""
        with self._lock:
            if not self._written and self.finished is not None:
                self.finished.append(result)
                self._write(encode_all(self.finished))
                print(encode(result), flush=True)

    def report(self, message: TrialResult | str) -> bool:
        """Write a result, or a sentence where no result can be made.

        It is printed as well, so that a log has it, and a run outside a cluster shows it.

        Returns:
            Whether this was the first message; a later one is not written.
        """
        with self._lock:
            if self._written:
                return False
            self._written = True
            self._write(self._encode(message))
            print(encode(message) if isinstance(message, TrialResult) else message, flush=True)
            return True

    def _encode(self, message: TrialResult | str) -> str:
        last = [message] if isinstance(message, TrialResult) else []
        if self.finished is not None and (last or self.finished):
            return encode_all([*self.finished, *last])
        return encode(message) if isinstance(message, TrialResult) else _cut(message)

    def _write(self, text: str) -> None:
        # The default file is only there in a container: elsewhere it must not be made in /dev.
        path = Path(self._path) if self._path else TERMINATION_FILE
        if self._path is None and not path.exists():
            return
        try:
            # Shortened after it is written: a process that is killed in between leaves no empty
            # file, and what it leaves is whole where messages only grow.
            file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.truncate(file, os.pwrite(file, text.encode(), 0))
            finally:
                os.close(file)
        except OSError as error:
            print(f"The termination message cannot be written to {path}: {error}.", flush=True)


def _cut(sentence: str) -> str:
    return sentence.encode()[:RESULT_LIMIT].decode(errors="ignore")
