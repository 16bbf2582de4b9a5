"""Serve the containers' logs to the API server, which passes them on to `kubectl logs`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from ..access import KUBELET_CLIENT, LOOPBACK
from .messages import last_lines
from .pod_status import Running
from .pods import Entry, Pods

FOLLOW_EVERY = 0.05
"""Seconds between two looks at a log that is followed."""
_CHUNK = 1 << 16
_UNSUPPORTED = ("timestamps", "sinceTime", "sinceSeconds", "stream")
"""Logs are what the process wrote, as it wrote it: lines carry no time and streams are one."""


@dataclass(frozen=True)
class Query:
    """Options of the reader of a log."""

    follow: bool
    previous: bool
    tail_lines: int | None
    limit_bytes: int | None


class Refusal(Exception):
    """The log cannot be had; the message says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def parse_query(query: Mapping[str, str]) -> Query:
    """Read the options of a log request; raise `Refusal` for one that cannot be honoured."""
    for name in _UNSUPPORTED:
        if query.get(name) not in (None, "", "false", "All"):
            raise Refusal(
                400, f"the process node cannot honour {name}: its logs have no time stamps"
            )

    def number(name: str) -> int | None:
        text = query.get(name)
        if text is None:
            return None
        if not text.isdigit():
            raise Refusal(400, f"{name}={text}: a whole number is needed")
        return int(text)

    return Query(
        follow=query.get("follow") == "true",
        previous=query.get("previous") == "true",
        tail_lines=number("tailLines"),
        limit_bytes=number("limitBytes"),
    )


async def serve_logs(pods: Pods, certificates: Path) -> tuple[web.AppRunner, int]:
    """Start the server on a free port; return what stops it, and the port."""

    @web.middleware
    async def only_the_api_server(request: web.Request, handler: Any) -> web.StreamResponse:
        certificate = request.get_extra_info("peercert") or {}
        subject = {key: value for part in certificate.get("subject", ()) for key, value in part}
        if subject.get("commonName") != KUBELET_CLIENT:
            raise web.HTTPForbidden(text="only the API server may read logs here")
        response: web.StreamResponse = await handler(request)
        return response

    async def container_logs(request: web.Request) -> web.StreamResponse:
        try:
            return await _answer(request, pods)
        except Refusal as refusal:
            return web.Response(status=refusal.status, text=f"{refusal}\n")

    async def nothing_else(request: web.Request) -> web.StreamResponse:
        what = request.path.split("/")[1]
        return web.Response(status=501, text=f"the process node has logs only, not {what}\n")

    application = web.Application(middlewares=[only_the_api_server])
    application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", container_logs)
    application.router.add_route("*", "/{anything:.*}", nothing_else)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0, ssl_context=_context(certificates))
    await site.start()
    port: int = runner.addresses[0][1]
    return runner, port


def _context(certificates: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "authority.crt")
    )
    context.load_cert_chain(certificates / "node.crt", certificates / "node.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def _answer(request: web.Request, pods: Pods) -> web.StreamResponse:
    query = parse_query(request.query)
    name = request.match_info["container"]
    pod = f"{request.match_info['namespace']}/{request.match_info['pod']}"
    entry = pods.find(request.match_info["namespace"], request.match_info["pod"])
    if entry is None:
        raise Refusal(404, f"the process node does not have the pod {pod}")
    attempt = _attempt(entry, name, previous=query.previous)
    path = entry.files.log(name, attempt)
    if not path.exists():
        raise Refusal(404, f"container {name} of pod {pod} wrote no log")
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    await _send(response, entry, name, path, query, attempt)
    await response.write_eof()
    return response


def _attempt(entry: Entry, name: str, *, previous: bool) -> int:
    container = entry.worker.find(name)
    if container is None:
        raise Refusal(404, f"the pod has no container {name}")
    if previous and container.restarts == 0:
        raise Refusal(400, f"container {name} was never restarted: there is no previous log")
    return container.restarts - (1 if previous else 0)


async def _send(
    response: web.StreamResponse, entry: Entry, name: str, path: Path, query: Query, attempt: int
) -> None:
    left = query.limit_bytes
    with path.open("rb") as log:
        content = log.read()
        if query.tail_lines is not None:
            content = last_lines(content, query.tail_lines)
        while True:
            if left is not None:
                content = content[:left]
                left -= len(content)
            if content:
                await response.write(content)
            if left == 0 or not query.follow:
                return
            # Looked at before the file: what it writes last is read before we end.
            running = _is_running(entry, name, attempt)
            content = log.read(_CHUNK)
            if not content:
                if not running:
                    return
                await asyncio.sleep(FOLLOW_EVERY)


def _is_running(entry: Entry, name: str, attempt: int) -> bool:
    container = entry.worker.find(name)
    return (
        container is not None
        and container.restarts == attempt
        and isinstance(container.state, Running)
    )
