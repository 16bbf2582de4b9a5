"""The process of one agent, seen from the operator's."""

import asyncio
import contextlib
import multiprocessing
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from types import ModuleType
from typing import Self, cast

from blockqnn.errors import BlockQNNError
from blockqnn_api.history.replay import Blueprint
from blockqnn_operator.errors import AgentEnded, AgentsUnavailable
from blockqnn_operator.shell.agents.worker import Answer, Request, serve

# Processes are forked from one that has imported what they need, and has neither threads nor
# connections; so each starts within milliseconds and shares most of its memory with the others.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([serve.__module__])


_HIDING = threading.Lock()


@contextlib.contextmanager
def _nothing_to_import() -> Iterator[None]:
    """Keep new processes from importing the program that runs here.

    They would, to find what the program's own file defines, and need nothing of it. What the
    operator imports takes more processor time than most answers.
    """
    with _HIDING:
        program = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = program


def prepare() -> None:
    """Start the process to fork from, so that it has imported everything before it is needed.

    Raises:
        AgentsUnavailable: where that cannot be done, such as for a long path of temporary files.
    """
    try:
        forkserver.ensure_running()
    except OSError as error:
        raise AgentsUnavailable(
            f"The process that agents are forked from cannot be started: {error}. It needs a "
            f"socket below {tempfile.gettempdir()}: set TMPDIR to a writable folder with a path "
            "of at most 60 characters."
        ) from None


def _start(process: ForkServerProcess) -> None:
    with _nothing_to_import():
        process.start()


class AgentProcess:
    """A process that has learned some iterations of a search; see :meth:`start`."""

    def __init__(self, process: ForkServerProcess, connection: Connection, batch_size: int) -> None:
        self._process = process
        self._connection = connection
        self._batch_size = batch_size
        self.learned = 0
        """Number of iterations that it has learned."""

    @classmethod
    async def start(cls, blueprint: Blueprint) -> Self:
        """Start the process of an agent that has learned nothing."""
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=serve, args=(theirs, blueprint), daemon=True)
        # This waits until the process to fork from has imported what it needs.
        await asyncio.to_thread(_start, process)
        theirs.close()
        return cls(process, ours, blueprint.batch_size)

    async def ask(self, request: Request) -> Answer:
        """Return the answer to a request.

        Raises:
            AgentEnded: when the process has ended instead.
            BlockQNNError: the reason why there is no answer.
        """
        try:
            await asyncio.to_thread(self._connection.send, request)
            await self._readable()
            answer = await asyncio.to_thread(self._connection.recv)
        except (EOFError, OSError):
            raise AgentEnded(await asyncio.to_thread(self._why_ended)) from None
        if isinstance(answer, BlockQNNError):
            raise answer
        self.learned += len(request.lessons) // self._batch_size
        return cast(Answer, answer)

    async def _readable(self) -> None:
        """Wait for an answer, or for the end of the process, without holding a thread."""
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._connection.fileno(), readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._connection.fileno())

    def _why_ended(self) -> str:
        self._process.join(1.0)
        status = self._process.exitcode
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                name = signal.Signals(-status).name
                hint = " Memory may have run out." if name == "SIGKILL" else ""
                return f"The process of the search's agent was ended by {name}.{hint}"
        return (
            f"The process of the search's agent ended with status {status}; the operator's log "
            "says why."
        )

    def kill(self) -> None:
        """End the process at once."""
        # The connection closes with this object: a thread may be about to read from it.
        if self._process.is_alive():
            self._process.kill()
