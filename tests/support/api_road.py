"""A road to the API server on which answers are slow, refused, late or lost, for a while.

Plain HTTP comes in, TLS goes out, as the user of a kubeconfig. It runs in a thread of its own; its
state is what the caller sets last.
"""

import asyncio
import contextlib
import json
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web
from benchmarks.operator.api import read_kubeconfig

LARGEST = 8 * 2**20
"""The largest request, and the longest line of a watch, in bytes."""

PASSED_ON = ("content-type", "accept")
"""Headers of a request that matter to the API server."""


@dataclass(frozen=True)
class Weather:
    """The state of the road."""

    answer_seconds: float = 0.0
    """Every answer is so late; that of a watch begins so late."""
    event_seconds: float = 0.0
    """Every event of a watch is so late, as from an API server whose cache is behind."""
    throttled: bool = False
    """Every request is answered 429, with a Retry-After of one second."""
    parted: bool = False
    """Nothing passes, and nothing is refused; what was open stays silent."""
    compacted: bool = False
    """Every watch ends at once, with the error that its version is too old."""


FINE = Weather()


class ApiRoad:
    """A road from an operator to the API server, while the context lasts.

    Args:
        kubeconfig: of the operator's user.
        folder: where the kubeconfig of the road is written.
    """

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._server, self._context = read_kubeconfig(kubeconfig)
        self._config = yaml.safe_load(kubeconfig.read_text())
        self.kubeconfig = folder / "road.yaml"
        """Of the same user, by the road."""
        self.weather = FINE
        self.counts: Counter[str] = Counter()
        """Answers that were not as those of the API server, by what was wrong."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        self._config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{port}"}
        self._config["users"][0]["user"] = {}
        self.kubeconfig.write_text(yaml.safe_dump(self._config))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> int:
        connector = aiohttp.TCPConnector(ssl=self._context, limit=0)
        timeout = aiohttp.ClientTimeout(total=None, connect=30)
        self._session = aiohttp.ClientSession(
            self._server, connector=connector, read_bufsize=LARGEST, timeout=timeout
        )
        app = web.Application(client_max_size=LARGEST)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        await self._passable()
        weather = self.weather
        is_watch = request.query.get("watch") in ("1", "true")
        if weather.throttled:
            return self._refuse(429, "TooManyRequests", "the road is full", {"Retry-After": "1"})
        if weather.answer_seconds:
            self.counts["slow answers"] += 1
            await asyncio.sleep(weather.answer_seconds)
        headers = {k: v for k, v in request.headers.items() if k.lower() in PASSED_ON}
        try:
            async with self._session.request(
                request.method, request.path_qs, data=body or None, headers=headers
            ) as answer:
                if is_watch and answer.status == 200:
                    return await self._watch(request, answer)
                text = await answer.read()
                # Nobody knows whether a request was carried out that gets no answer.
                await self._passable()
                kind = answer.headers.get("Content-Type", "application/json")
                more = {k: v for k, v in answer.headers.items() if k in ("Date", "Retry-After")}
                more["Content-Type"] = kind
                return web.Response(body=text, status=answer.status, headers=more)
        except aiohttp.ClientError:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _watch(
        self, request: web.Request, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if self.weather.compacted:
            self.counts["watches of too old versions"] += 1
            body = _status(410, "Expired", "too old resource version: 1 (2)")
            await response.write(json.dumps({"type": "ERROR", "object": body}).encode() + b"\n")
            return response
        with contextlib.suppress(ConnectionError):
            async for line in answer.content:
                await self._passable()
                if self.weather.event_seconds:
                    self.counts["late events"] += 1
                    await asyncio.sleep(self.weather.event_seconds)
                await response.write(line)
        return response

    async def _passable(self) -> None:
        if self.weather.parted:
            self.counts["requests and events held back"] += 1
        while self.weather.parted:  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.1)

    def _refuse(
        self, code: int, reason: str, message: str, headers: dict[str, str]
    ) -> web.Response:
        self.counts[f"refusals with {code}"] += 1
        return web.json_response(_status(code, reason, message), status=code, headers=headers)


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }
