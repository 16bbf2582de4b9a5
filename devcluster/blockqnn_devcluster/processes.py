"""Child processes that cannot outlive this one, whatever ends it.

Two mechanisms hold each other's weak side. On Linux the kernel kills a child when the *thread* that
spawned it ends (`PR_SET_PDEATHSIG`), at once but without its own children: so everything is spawned
from the main thread. On every system the guardian (see guardian.py) kills whole process groups.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from .errors import DevClusterError

_PR_SET_PDEATHSIG = 1
_GUARDIAN = Path(__file__).with_name("guardian.py")
# Loaded before any fork: loading a library between fork and exec is not safe.
_prctl: Callable[..., int] | None = (
    ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None
)


def die_with_parent(parent: int) -> None:
    """Arrange, in a fresh child, to be killed when the parent's spawning thread ends.

    The parent may be gone before the kernel is told; then nobody would ever send the signal, so
    the child looks at its parent afterwards and ends itself. Does nothing where the system has no
    such signal.
    """
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


class ProcessFamily:
    """The children of this process, and the guardian that ends them should this process die.

    `held` are file descriptors that the guardian keeps open until everything is gone: a lock among
    them is released no earlier.
    """

    def __init__(self, held: Sequence[int] = ()) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise DevClusterError(
                "processes must be spawned from the main thread: "
                "the kernel ends them together with the thread that spawned them"
            )
        reading, self._facts = os.pipe()
        try:
            self._guardian = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARDIAN)],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                pass_fds=held,
                start_new_session=True,
            )
        finally:
            os.close(reading)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def spawn(
        self,
        command: Sequence[str],
        *,
        output: IO[bytes] | int,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        handed: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a command as the leader of its own session; its output goes to `output`.

        Its own session keeps a Ctrl-C in the terminal from reaching it: this process decides in
        which order things end. Raises `OSError` where the command cannot be executed.
        """
        self.check_guarded()
        parent, facts = os.getpid(), self._facts

        def enter() -> None:
            die_with_parent(parent)
            # The child announces itself, before it runs anything: its parent may die at any point.
            # Its own copy of the pipe keeps the guardian waiting until that is written.
            os.write(facts, b"+%d\n" % os.getpid())
            for inherited in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(inherited, signal.SIG_DFL)
            # A blocked signal would stay blocked through exec.
            signal.pthread_sigmask(signal.SIG_SETMASK, ())

        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=directory,
            pass_fds=handed,
            start_new_session=True,
            preexec_fn=enter,
        )

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        """Tell the guardian that the process group is gone, before its number is used again."""
        # Without a guardian there is nobody to tell; the next spawn says so.
        with suppress(BrokenPipeError):
            os.write(self._facts, b"-%d\n" % process.pid)

    def check_guarded(self) -> None:
        """Raise `DevClusterError` where somebody killed the guardian: nothing would be safe."""
        if self._guardian.poll() is not None:
            raise DevClusterError("the guardian process was killed: no process may be left alone")

    def remove_at_end(self, directory: Path) -> None:
        """Have the directory removed by the guardian, should this process not do it itself."""
        if "\n" in str(directory):
            raise DevClusterError(f"the directory {directory} has a line break in its name")
        os.write(self._facts, os.fsencode(directory) + b"\n")

    def close(self) -> None:
        """Kill every process group that is left and return when all of them are gone."""
        if self._facts >= 0:
            os.close(self._facts)
            self._facts = -1
            self._guardian.wait()


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the whole group of a process that was not waited for yet."""
    # Gone; macOS reports a group of zombies as not permitted.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def kill_and_wait(process: subprocess.Popen[bytes]) -> None:
    """Kill the group of a process and wait until its leader is gone."""
    signal_group(process, signal.SIGKILL)
    process.wait()
