"""The termination message of a process: always complete, never too long."""

import errno
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from blockqnn.contract.message import RESULT_LIMIT
from blockqnn.contract.trial import TrialResult
from blockqnn.contract.trial_group import write_results
from blockqnn.errors import InvalidMessage

TERMINATION_VARIABLE = "TERMINATION_MESSAGE_PATH"
"""The environment variable that names the file of the termination message."""

TERMINATION_FILE = Path("/dev/termination-log")
"""The file from which Kubernetes reads the termination message by default."""

R = TypeVar("R", bound="Result")


class Result(Protocol):
    """A result that a termination message can hold; some have a curve as well."""

    @property
    def message(self) -> str:
        """One sentence for people."""

    def write(self) -> str:
        """Write the result as JSON; raise InvalidMessage when it is too long."""

    def model_copy(self: R, *, update: Mapping[str, Any]) -> R:
        """Return a copy with other values."""


def thin(curve: tuple[float, ...], limit: int) -> tuple[float, ...]:
    """Keep at most `limit` points of a curve, evenly spaced, the last one among them."""
    if len(curve) <= limit:
        return curve
    return tuple(curve[(number + 1) * len(curve) // limit - 1] for number in range(limit))


def encode(result: Result) -> str:
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


def _halve(result: R) -> R:
    curve: tuple[float, ...] = getattr(result, "curve", ())
    if len(curve) > 1:
        return result.model_copy(update={"curve": thin(curve, len(curve) // 2)})
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
        self.lost = False
        """True if the last message could not be written."""

    def note(self, result: Result | str) -> None:
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
                _say(encode(result))

    def report(self, message: Result | str) -> bool:
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
            _say(message if isinstance(message, str) else encode(message))
            return True

    def _encode(self, message: Result | str) -> str:
        last = [message] if isinstance(message, TrialResult) else []
        if self.finished is not None and (last or self.finished):
            return encode_all([*self.finished, *last])
        return _cut(message) if isinstance(message, str) else encode(message)

    def _write(self, text: str) -> None:
        # The default file is only there in a container: elsewhere it must not be made in /dev.
        path = Path(self._path) if self._path else TERMINATION_FILE
        if self._path is None and not path.exists():
            return
        try:
            _replace(path, text.encode())
        except OSError as error:
            self.lost = True
            reason = error.strerror or error
            _say(f"The termination message cannot be written to {path}: {reason}.")
        else:
            self.lost = False


def _say(text: str) -> None:
    with suppress(OSError):  # a log that nobody takes any more changes no result
        print(text, flush=True)


def _replace(path: Path, content: bytes) -> None:
    """Write a file in place, since the kubelet reads the file that it has mounted.

    Shortened after it is written: a process that is killed in between leaves no empty file, and
    what it leaves is whole where messages only grow. A disk with too little room leaves no message
    rather than a part of one, which would be taken for a mistake of the trainer.

    Raises:
        OSError: when it cannot be written.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        written = os.pwrite(file, content, 0)
        complete = written == len(content)
        os.truncate(file, written if complete else 0)
    finally:
        os.close(file)
    if not complete:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _cut(sentence: str) -> str:
    return sentence.encode()[:RESULT_LIMIT].decode(errors="ignore")
