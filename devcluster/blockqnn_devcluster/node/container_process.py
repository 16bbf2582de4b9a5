"""One process of a container: started, followed to its end, and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ..processes import ProcessFamily, signal_group


class ContainerProcess:
    """A running process and the session it leads.

    Its end is known at once (the kernel makes a descriptor readable). What it leaves in its
    process group is killed with it, as the end of a container's first process ends the container.
    """

    def __init__(self, family: ProcessFamily, process: subprocess.Popen[bytes]) -> None:
        self._family = family
        self._process = process
        self._ended = asyncio.Event()
        self._status: int | None = None
        if hasattr(os, "pidfd_open"):
            self._follow_descriptor()
        else:
            self._follow_in_thread()

    @classmethod
    def start(
        cls,
        family: ProcessFamily,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        log: Path,
    ) -> ContainerProcess:
        """Start the command; raises `OSError` where it cannot be executed."""
        with log.open("ab") as output:
            process = family.spawn(
                command, output=output, environment=environment, directory=directory
            )
        return cls(family, process)

    @property
    def number(self) -> int:
        """The process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Return the status: an exit code, or minus the signal that ended the process."""
        await self._ended.wait()
        assert self._status is not None
        return self._status

    def terminate(self) -> None:
        """Ask the process to end, and only it: as in a container, its children are its own."""
        if not self._ended.is_set():
            with suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """Kill the process and everything in its group."""
        if not self._ended.is_set():
            signal_group(self._process, signal.SIGKILL)

    def _follow_descriptor(self) -> None:
        loop = asyncio.get_running_loop()
        descriptor = os.pidfd_open(self._process.pid)

        def ended() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            # It is still a zombie, so that its number cannot mean another group yet.
            signal_group(self._process, signal.SIGKILL)
            self._finish(self._process.wait())

        loop.add_reader(descriptor, ended)

    def _follow_in_thread(self) -> None:
        loop = asyncio.get_running_loop()

        def follow() -> None:
            status = self._process.wait()
            loop.call_soon_threadsafe(ended, status)

        def ended(status: int) -> None:
            # Its number is free by now, but a group keeps its number while it has members.
            signal_group(self._process, signal.SIGKILL)
            self._finish(status)

        # Daemon threads, not the loop's few: there is one for each running container.
        threading.Thread(target=follow, daemon=True).start()

    def _finish(self, status: int) -> None:
        self._family.forget(self._process)
        self._status = status
        self._ended.set()
