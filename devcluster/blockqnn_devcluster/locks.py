"""Locks between processes: released by the system, whatever ends the holder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

POLL = 0.05
"""Seconds between two attempts to take a lock that somebody holds."""
ATTEMPTS = 3
"""Somebody who only asks for the holder holds the lock for an instant, which is no refusal."""


class FileLock:
    """An exclusive lock on a file, which also says who holds it.

    The file is deleted with the lock. A file that was deleted by its former holder while we waited
    for it locks nothing, so after locking we look whether it is still the one at that path.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> FileLock | None:
        """Take the lock, or return None where somebody holds it."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for _ in range(ATTEMPTS):
            lock = cls._try(path)
            if lock is not None:
                return lock
            time.sleep(POLL)
        return None

    @classmethod
    def _try(cls, path: Path) -> FileLock | None:
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            if _is_at(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, b"%d\n" % os.getpid())
                return cls(path, descriptor)
            os.close(descriptor)

    @classmethod
    def wait(cls, path: Path, waiting: Callable[[], None]) -> FileLock:
        """Take the lock, however long that takes; `waiting` is called once where it takes time."""
        lock = cls.take(path)
        if lock is None:
            waiting()
        while lock is None:
            time.sleep(POLL)
            lock = cls.take(path)
        return lock

    def release(self) -> None:
        """Let go of the lock and delete its file."""
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


def holder(path: Path) -> int | None:
    """Return the process id that took the lock, or None where nobody holds it.

    The holder may itself be gone while what it started still holds the lock for it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # A shared lock tells whether there is a holder without keeping a newcomer out for long.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with suppress(ValueError):
            return int(os.read(descriptor, 32))
        return 0
    finally:
        os.close(descriptor)
    return None


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))
