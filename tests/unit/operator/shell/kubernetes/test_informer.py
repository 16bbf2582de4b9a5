"""The copy that the operator keeps of the cluster's Jobs and Pods.

An HTTP server stands for the API server, so that each of its failures comes when it is due. The
tests on a cluster stop and start a real one.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from blockqnn_operator.shell.kubernetes import answers
from blockqnn_operator.shell.kubernetes import informer as informers
from blockqnn_operator.shell.kubernetes.client import Cluster
from blockqnn_operator.shell.kubernetes.informer import Informer

Json = dict[str, Any]
Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]

PATH, SELECTOR = "/apis/batch/v1/jobs", "blockqnn.dev/search"
DEADLINE = 10.0


def job(name: str, version: int, color: str = "red", namespace: str = "team") -> Json:
    metadata = {"name": name, "namespace": namespace, "resourceVersion": str(version)}
    return {"metadata": metadata, "color": color}


def event(kind: str, body: Json) -> Json:
    return {"type": kind, "object": body}


def page(*items: Json, version: int, more: str = "") -> Reply:
    metadata = {"resourceVersion": str(version), "continue": more}

    async def reply(_: web.Request) -> web.StreamResponse:
        return web.json_response({"items": items, "metadata": metadata})

    return reply


def refused(status: int, reason: str) -> Reply:
    async def reply(_: web.Request) -> web.StreamResponse:
        return web.json_response({"reason": reason, "message": "No."}, status=status)

    return reply


def watch(*events: Json, end: str = "") -> Reply:
    """Events, and then the end of the watch: ``cut`` in the middle of a line, or clean."""

    async def reply(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for each in events:
            await response.write(json.dumps(each).encode() + b"\n")
        if end == "cut":
            await response.write(b'{"type":"ADDED","object":{"meta')
            assert request.transport is not None
            request.transport.abort()
        return response

    return reply


class ApiServer:
    """Answers one request after the other as told, and holds on to the last, a watch."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[dict[str, str]] = []
        self.done = asyncio.Event()
        self.version = 10**6
        """The version that a list of one object tells."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.path == PATH
        if request.query.get("limit") == "1":
            return await page(version=self.version)(request)
        assert request.query["labelSelector"] == SELECTOR
        self.asked.append(dict(request.query))
        if self.replies:
            return await self.replies.pop(0)(request)
        response = web.StreamResponse()
        await response.prepare(request)
        self.done.set()
        await asyncio.sleep(DEADLINE)
        return response

    @property
    def watched_from(self) -> list[str]:
        return [query["resourceVersion"] for query in self.asked if "watch" in query]


class Told:
    """Changes that the informer reported, as ``before -> now`` of each object's color."""

    def __init__(self) -> None:
        self.changes: list[tuple[str | None, str | None]] = []
        self.restored = 0
        self.colors: set[str] = set()

    def changed(self, before: str | None, now: str | None) -> None:
        self.changes.append((before, now))
        self.colors.discard(before or "")
        self.colors |= {now} if now else set()


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


@pytest.fixture
def changes() -> Told:
    return Told()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informers, "FIRST_BACKOFF", 0.01)


@asynccontextmanager
async def running(server: ApiServer, changes: Told) -> AsyncIterator[Informer[str]]:
    """An informer of the server's Jobs, until the server has nothing more to tell."""
    application = web.Application()
    application.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    configuration = client.Configuration(host=f"http://127.0.0.1:{port}")
    cluster = Cluster(client.ApiClient(configuration), lambda _verb, _code: None)

    def restored() -> None:
        changes.restored += 1

    informer = Informer(cluster, PATH, SELECTOR, _color, changes.changed, restored)
    task = asyncio.create_task(informer.run())
    try:
        await asyncio.wait_for(server.done.wait(), DEADLINE)
        yield informer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await cluster.close()
        await runner.cleanup()


def _color(body: Json) -> str | None:
    return f"{body['metadata']['name']} {body['color']}" if body["color"] else None


async def test_all_pages_of_the_list_are_known_before_it_is_synced(
    server: ApiServer, changes: Told
) -> None:
    server.replies = [
        page(job("a", 1), version=7, more="next"),
        page(job("b", 2), job("ignored", 3, color=""), version=7),
    ]
    async with running(server, changes) as informer:
        assert informer.synced.is_set()
        assert changes.colors == {"a red", "b red"}
        assert [query.get("continue") for query in server.asked[:2]] == [None, "next"]
        assert server.watched_from == ["7"]


async def test_a_watch_tells_of_what_is_added_changed_and_deleted(
    server: ApiServer, changes: Told
) -> None:
    server.replies = [
        page(job("a", 1), version=1),
        watch(
            event("ADDED", job("b", 2)),
            event("MODIFIED", job("a", 3, "blue")),
            event("DELETED", job("b", 4)),
        ),
    ]
    async with running(server, changes):
        assert changes.changes == [
            (None, "a red"),
            (None, "b red"),
            ("a red", "a blue"),
            ("b red", None),
        ]


async def test_the_last_state_of_a_deleted_object_is_told(server: ApiServer, changes: Told) -> None:
    server.replies = [
        page(job("a", 1), version=1),
        watch(event("DELETED", job("a", 2, "blue"))),
    ]
    async with running(server, changes):
        assert changes.changes == [(None, "a red"), ("a red", "a blue"), ("a blue", None)]


async def test_objects_of_one_name_in_two_namespaces_are_two(
    server: ApiServer, changes: Told
) -> None:
    server.replies = [
        page(job("a", 1), job("a", 2, "blue", namespace="other"), version=2),
        watch(event("DELETED", job("a", 3))),
    ]
    async with running(server, changes):
        assert changes.colors == {"a blue"}


async def test_what_changes_nothing_that_matters_is_not_told(
    server: ApiServer, changes: Told
) -> None:
    server.replies = [page(job("a", 1), version=1), watch(event("MODIFIED", job("a", 2)))]
    async with running(server, changes):
        assert changes.changes == [(None, "a red")]


@pytest.mark.parametrize("end", ["", "cut"], ids=["ended", "cut off in a line"])
async def test_a_watch_goes_on_where_it_was(server: ApiServer, changes: Told, end: str) -> None:
    server.replies = [
        page(version=1),
        watch(event("ADDED", job("a", 5)), end=end),
        watch(event("BOOKMARK", {"metadata": {"resourceVersion": "9"}}), end=end),
    ]
    async with running(server, changes):
        assert server.watched_from == ["1", "5", "9"]
        assert changes.changes == [(None, "a red")]


STALE = {"code": 410, "reason": "Expired", "message": "too old resource version"}


@pytest.mark.parametrize(
    "reply",
    [refused(410, "Expired"), watch(event("ERROR", STALE))],
    ids=["refused", "broken off"],
)
async def test_what_was_deleted_while_the_api_server_forgot_is_told_after_the_next_list(
    server: ApiServer, changes: Told, reply: Reply
) -> None:
    server.replies = [
        page(job("a", 1), job("b", 1), version=1),
        reply,
        page(job("b", 1), job("c", 8), version=9),
    ]
    async with running(server, changes):
        assert changes.colors == {"b red", "c red"}
        assert ("a red", None) in changes.changes
        assert changes.changes.count((None, "b red")) == 1
        assert server.watched_from == ["1", "9"]


async def test_a_list_that_fails_is_tried_again_and_said_from_the_second_time_on(
    server: ApiServer, changes: Told, caplog: pytest.LogCaptureFixture
) -> None:
    server.replies = [
        refused(403, "Forbidden"),
        page(job("a", 1), version=1, more="next"),
        refused(410, "Expired"),
        page(job("a", 1), version=2),
    ]
    with caplog.at_level(logging.WARNING):
        async with running(server, changes) as informer:
            assert informer.synced.is_set()
            assert changes.changes == [(None, "a red")]
    assert [record.getMessage() for record in caplog.records] == [
        f"watching {PATH}: No. Trying again in 0.0 s."
    ]


def raw(text: bytes, status: int = 200) -> Reply:
    """Anything at all."""

    async def reply(_: web.Request) -> web.StreamResponse:
        return web.Response(body=text, status=status)

    return reply


NO_EVENTS = [
    b"{not json}\n",
    b"<html>a load balancer's page</html>\n",
    b"[1]\n",
    b"{}\n",
    b'{"type":"ADDED","object":null}\n',
    b'{"type":7,"object":{}}\n',
    b'{"type":"ADDED","object":{"metadata":[]}}\n',
    b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":7}}}\n',
    b'{"type":"ERROR","object":{"code":"many"}}\n',
    b'{"type":"ADDED","object":"\xff\xfe"}\n',
    b'{"type":"ADDED","object":' + b"9" * 5000 + b"}\n",
    b'{"type":"ADDED","object":' + b"[" * 5000 + b"\n",
]


@pytest.mark.parametrize("line", NO_EVENTS, ids=range(len(NO_EVENTS)))
async def test_a_line_that_is_no_event_leads_to_another_list(
    server: ApiServer, changes: Told, line: bytes
) -> None:
    server.replies = [
        page(job("a", 1), version=1),
        raw(json.dumps(event("ADDED", job("b", 2))).encode() + b"\n" + line),
        page(job("b", 2), job("c", 3), version=9),
    ]
    async with running(server, changes):
        assert changes.colors == {"b red", "c red"}
        assert server.watched_from == ["1", "9"]


@pytest.mark.parametrize(
    "text",
    [b"<html></html>", b"", b"[]", b'{"items":[]}', b'{"metadata":{},"items":[]}', b'{"items":1}'],
)
async def test_a_list_that_is_none_is_asked_for_again(
    server: ApiServer, changes: Told, text: bytes
) -> None:
    server.replies = [raw(text), page(job("a", 1), version=2)]
    async with running(server, changes):
        assert changes.colors == {"a red"}
        assert server.watched_from == ["2"]


async def test_objects_without_a_name_are_passed_over(server: ApiServer, changes: Told) -> None:
    strange: list[Any] = [None, [], {"metadata": {"name": 7}}, {"metadata": {}}]
    server.replies = [page(*strange, job("a", 1), version=1)]
    async with running(server, changes):
        assert changes.colors == {"a red"}


async def test_an_object_that_is_nested_deeper_than_python_reads_is_one_of_many(
    server: ApiServer, changes: Told
) -> None:
    deep = json.dumps({**job("deep", 1), "more": 0}).replace(
        '"more": 0', '"more": ' + '{"a":' * 3000 + "1" + "}" * 3000
    )
    text = f'{{"metadata":{{"resourceVersion":"1"}},"items":[{deep},{json.dumps(job("a", 1))}]}}'
    line = f'{{"type":"MODIFIED","object":{deep.replace("red", "blue")}}}\n'
    server.replies = [raw(text.encode()), raw(line.encode())]
    async with running(server, changes):
        assert changes.colors == {"a red", "deep blue"}


async def test_an_event_that_is_larger_than_any_object_leads_to_another_list(
    server: ApiServer, changes: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LONGEST_LINE", 10_000)
    large = event("ADDED", {**job("b", 2), "data": "x" * 500_000})
    server.replies = [page(version=1), watch(large), page(job("a", 1), version=5)]
    async with running(server, changes):
        assert server.watched_from == ["1", "5"]


async def test_an_event_of_several_megabytes_is_an_event(server: ApiServer, changes: Told) -> None:
    large = event("ADDED", {**job("b", 2), "data": "x" * 6_000_000})
    server.replies = [page(version=1), watch(large)]
    async with running(server, changes):
        assert changes.colors == {"b red"}


async def test_a_fault_of_the_reader_does_not_end_the_watch(
    server: ApiServer, changes: Told, caplog: pytest.LogCaptureFixture
) -> None:
    colorless = {"metadata": job("x", 1)["metadata"]}
    server.replies = [page(colorless, version=1), page(job("a", 1), version=2)]
    async with running(server, changes):
        assert changes.colors == {"a red"}
    assert "KeyError" in caplog.text


@pytest.mark.parametrize("end", ["", "cut"], ids=["ended", "cut off"])
async def test_an_api_server_of_an_earlier_time_is_listed_anew_when_a_watch_ends(
    server: ApiServer, changes: Told, end: str
) -> None:
    """Its watch from a version that it has never had would be silent."""
    server.version = 5
    server.replies = [
        page(job("a", 7), job("b", 8), version=9),
        watch(event("MODIFIED", job("a", 10, "blue")), end=end),
        page(job("a", 3), version=5),
    ]
    async with running(server, changes):
        assert changes.colors == {"a red"}
        assert server.watched_from == ["9", "5"]
        assert changes.restored == 1


async def test_a_list_is_repeated_although_the_watches_end_well(
    server: ApiServer, changes: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(informers, "RELIST_SECONDS", 0.0)
    server.replies = [
        page(job("a", 7), version=9),
        watch(),
        page(job("b", 11), version=12),
        watch(),
        page(job("c", 13), version=14),
    ]
    async with running(server, changes):
        assert changes.colors == {"c red"}
        assert changes.restored == 0
