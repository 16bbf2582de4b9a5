"""Start a process in namespaces of its own, as the first of them, and end it with all of them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import StartError

_NEW_MOUNTS, _NEW_PIDS, _NEW_NETWORK = 0x00020000, 0x20000000, 0x40000000
_PR_SET_PDEATHSIG = 1
# Loaded before any fork: loading a library between fork and exec is not safe.
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Isolated:
    """The first process of new PID, mount and network namespaces, waiting to be let go."""

    pid: int
    _go: int

    def let_go(self) -> None:
        """Let the process begin its work."""
        os.write(self._go, b"\n")

    def end(self) -> None:
        """Kill it and return when everything in its namespaces is gone: the kernel waits for it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def isolate(work: Callable[[], int]) -> Isolated:
    """Fork a process into new namespaces, where it calls `work` once it is let go.

    It is killed when this process ends, whatever ends it. Raises `StartError` where the kernel
    refuses the namespaces.
    """
    waiting, go = os.pipe()
    reading, isolated = os.pipe()
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    _check(_libc.unshare(_NEW_PIDS), "a new PID namespace")
    pid = os.fork()
    if not pid:
        os.close(go)
        os.close(reading)
        os._exit(_begin(isolated, waiting, work))
    os.close(waiting)
    os.close(isolated)
    # Only that one child: what this process starts later belongs to the machine again.
    _check(_libc.setns(own, _NEW_PIDS), "the machine's PID namespace")
    os.close(own)
    if not os.read(reading, 1):
        os.waitpid(pid, 0)
        raise StartError("the kernel refused new mount and network namespaces")
    os.close(reading)
    return Isolated(pid, go)


def _begin(isolated: int, waiting: int, work: Callable[[], int]) -> int:
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _check(_libc.unshare(_NEW_MOUNTS | _NEW_NETWORK), "new mount and network namespaces")
        os.write(isolated, b"\n")
        os.close(isolated)
        # The other end closes with the parent, which may have ended before the kernel was told.
        if not os.read(waiting, 1):
            return 1
        return work()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        return 1


def _check(result: int, what: str) -> None:
    if result != 0:
        raise StartError(f"{what}: {os.strerror(ctypes.get_errno())}")
