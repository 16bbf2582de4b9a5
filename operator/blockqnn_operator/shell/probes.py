"""Probes of a kubelet into the operator's process: whether it lives, and whether it serves."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from blockqnn_api.errors import OperatorError
from blockqnn_operator.shell.listening import Listeners

ANSWER_SECONDS = 5.0
"""Seconds that one answer of the API server is trusted: however often somebody asks, the API server
gets at most one request in this time."""

SHUTDOWN_SECONDS = 1.0
"""Seconds that an answer in progress may still take when the process ends."""


class Probes:
    """``/healthz`` and ``/readyz`` of the process.

    The first is answered by the event loop that does the operator's work, so a process that hangs
    fails it; it says nothing of the API server, whose outage no restart of the operator fixes. The
    second is answered with 200 while the watches have started and the API server accepts the
    operator's credentials, else with 503 and a sentence.

    Args:
        ask: asks the API server for anything cheap.
        clock: tells the seconds that have passed, from any origin.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[object]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.started = asyncio.Event()
        """Set when the watches have started."""
        self._ask = ask
        self._clock = clock
        self._asked_at = float("-inf")
        self._problem = ""
        self._asking = asyncio.Lock()
        self._runner: web.AppRunner | None = None

    async def serve(self, listeners: Listeners) -> None:
        """Serve both on sockets that listen."""
        application = web.Application()
        application.add_routes([web.get("/healthz", _alive), web.get("/readyz", self._ready)])
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        for listener in listeners:
            await web.SockSite(self._runner, listener).start()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Hosts and ports that the probes are served on."""
        return [] if self._runner is None else [(a[0], a[1]) for a in self._runner.addresses]

    async def close(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def problem(self) -> str:
        """Return why the operator does not serve; empty when it does."""
        if not self.started.is_set():
            return "The watches have not started yet."
        async with self._asking:
            if self._clock() - self._asked_at >= ANSWER_SECONDS:
                try:
                    await self._ask()
                    self._problem = ""
                except OperatorError as error:
                    self._problem = str(error)
                self._asked_at = self._clock()
            return self._problem

    async def _ready(self, request: web.Request) -> web.Response:
        problem = await self.problem()
        return web.Response(text=problem or "ok", status=503 if problem else 200)


async def _alive(request: web.Request) -> web.Response:
    return web.Response(text="ok")
