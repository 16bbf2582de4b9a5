"""Kopf behind a hostile road to the API server: searches are heard of, and it never gives up."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import kopf
import pytest
from aiohttp import web

from blockqnn_api import names
from blockqnn_api.objects import SearchObject
from blockqnn_operator.shell.kubernetes import kopf_connection
from blockqnn_operator.shell.kubernetes.informer import Key
from blockqnn_operator.shell.kubernetes.kopf_connection import open_session
from blockqnn_operator.shell.kubernetes.kopf_handlers import register
from blockqnn_operator.shell.kubernetes.kopf_settings import operator_settings

DEADLINE = 30.0
Json = dict[str, Any]


def search(name: str, version: int = 1, spec: Any = None) -> Json:
    metadata = {
        "name": name,
        "namespace": "team",
        "uid": name,
        "resourceVersion": str(version),
        "creationTimestamp": "2024-05-01T12:00:00Z",
    }
    return {"metadata": metadata, "spec": spec or {}}


def nested(levels: int) -> str:
    """The text of a search whose spec is nested so deeply."""
    deep = '{"a":' * levels + "1" + "}" * levels
    return json.dumps(search("deep")).replace('"spec": {}', f'"spec": {deep}')


def group(name: str, version: str) -> Json:
    """A group of the API, as the API server announces it."""
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def resource(name: str, kind: str) -> Json:
    """A resource, in the same way."""
    verbs = ["list", "watch", "patch", "create"]
    return {"name": name, "kind": kind, "singularName": "", "namespaced": True, "verbs": verbs}


CORE = [resource("namespaces", "Namespace"), resource("events", "Event")]
DEFINITIONS = resource("customresourcedefinitions", "CustomResourceDefinition")
DISCOVERY: Json = {
    "/api": {"versions": ["v1"]},
    "/api/v1": {"resources": CORE},
    "/apis": {
        "groups": [group(names.GROUP, names.VERSION), group("apiextensions.k8s.io", "v1")],
    },
    "/apis/apiextensions.k8s.io/v1": {"resources": [DEFINITIONS]},
    f"/apis/{names.API_VERSION}": {"resources": [resource(names.PLURAL, names.KIND)]},
}
"""The resources that Kopf looks for before it watches any."""


class ApiServer:
    """Serves lists and watches of searches, as texts that are given one after the other."""

    def __init__(self, lists: list[str], watches: list[bytes]) -> None:
        self.lists, self.watches = lists, watches
        self.discovery: dict[str, list[web.Response]] = {}
        """First answers, by path, of a server that has just started."""
        self.listed = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.discovery.get(request.path):
            return self.discovery[request.path].pop(0)
        if not request.path.endswith(names.PLURAL):
            return web.json_response(DISCOVERY[request.path])
        if "watch" in request.query:
            response = web.StreamResponse()
            await response.prepare(request)
            if self.watches:
                await response.write(self.watches.pop(0))
            else:
                await asyncio.sleep(DEADLINE)
            return response
        self.listed += 1
        text = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        return web.Response(text=text, content_type="application/json")


def page(*searches: str) -> str:
    return f'{{"metadata":{{"resourceVersion":"7"}},"items":[{",".join(searches)}]}}'


@asynccontextmanager
async def kopf_at(
    server: ApiServer, heard: dict[Key, SearchObject]
) -> AsyncIterator[asyncio.Task[None]]:
    """Kopf, wired as in the operator; fills in what it hears of."""
    application = web.Application()
    application.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    registry = kopf.OperatorRegistry()

    def changed(key: Key, search: SearchObject | None) -> None:
        heard.pop(key, None)
        if search is not None:
            heard[key] = search

    def listed(_namespace: str, keys: set[Key]) -> None:
        for key in set(heard) - keys:
            del heard[key]

    register(registry, changed)

    sessions: list[kopf.AiohttpSession] = []

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        sessions.append(open_session(kopf.ConnectionInfo(server=url, insecure=True), listed))
        return sessions[-1]

    stop, settings = asyncio.Event(), operator_settings()
    settings.queueing.idle_timeout = 0.1
    task = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=settings,
            identity="test",  # type: ignore[arg-type]
            standalone=True,
            clusterwide=True,
            stop_flag=stop,
        )
    )
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait([task], timeout=DEADLINE)
        for session in sessions:
            await session.aiohttp_session.close()
        await runner.cleanup()


async def until(condition: Any) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kopf_connection, "PAUSE_SECONDS", 0.01)


LISTS = {
    "a page": "<html>a load balancer's page</html>",
    "no object": "[]",
    "no list": '{"items":7}',
    "no version": '{"metadata":{},"items":[]}',
    "nothing": "",
}
WATCHES = {
    "no JSON": b"{not json}\n",
    "a page": b"<html></html>\n",
    "an error": b'{"type":"ERROR","object":{"code":500,"message":"etcd"}}\n',
    "a strange error": b'{"type":"ERROR","object":{}}\n',
    "no object": b'{"type":"ADDED","object":[]}\n',
    "no metadata": b'{"type":"ADDED","object":{"metadata":7}}\n',
    "no text": b'{"type":"ADDED","object":"\xff"}\n',
}


COLD = {
    "no group": ("/apis", 200, '{"groups":[]}'),
    "no right to see any group": ("/apis", 403, '{"reason":"Forbidden"}'),
    "not the group's resources": (f"/apis/{names.API_VERSION}", 404, "404 page not found"),
    "no resource of the group": (f"/apis/{names.API_VERSION}", 200, '{"resources":[]}'),
    "a page": ("/apis", 200, "<html>a load balancer's page</html>"),
}


@pytest.mark.parametrize(("path", "status", "text"), COLD.values(), ids=COLD)
async def test_a_server_that_does_not_know_the_resource_yet_is_asked_again(
    path: str, status: int, text: str
) -> None:
    server, heard = ApiServer([page(json.dumps(search("a")))], []), dict[Key, SearchObject]()
    server.discovery[path] = [web.Response(status=status, text=text) for _ in range(2)]
    async with kopf_at(server, heard) as task:
        await until(lambda: ("team", "a") in heard or task.done())
        assert not task.done()


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
async def test_a_list_that_is_none_is_asked_for_again(text: str) -> None:
    server, heard = ApiServer([text, page(json.dumps(search("a")))], []), dict[Key, SearchObject]()
    async with kopf_at(server, heard) as task:
        await until(lambda: ("team", "a") in heard)
        assert not task.done()


@pytest.mark.parametrize("line", WATCHES.values(), ids=WATCHES)
async def test_a_watch_that_brings_nonsense_leads_to_another_list(line: bytes) -> None:
    server = ApiServer([page(json.dumps(search("a"))), page(json.dumps(search("b")))], [line])
    heard = dict[Key, SearchObject]()
    async with kopf_at(server, heard) as task:
        await until(lambda: set(heard) == {("team", "b")})
        assert not task.done()


@pytest.mark.parametrize("levels", [900, 3000])
async def test_a_search_of_any_depth_is_one_of_many(levels: int) -> None:
    event = f'{{"type":"MODIFIED","object":{nested(levels)}}}\n'.encode()
    server = ApiServer([page(nested(levels), json.dumps(search("a")))], [event])
    heard = dict[Key, SearchObject]()
    async with kopf_at(server, heard) as task:
        await until(lambda: len(heard) == 2 and server.listed == 2)
        assert not task.done()
        assert heard["team", "deep"].spec


async def test_objects_without_a_name_are_passed_over() -> None:
    server = ApiServer([page("null", "[]", '{"metadata":{}}', json.dumps(search("a")))], [])
    heard = dict[Key, SearchObject]()
    async with kopf_at(server, heard) as task:
        await until(lambda: set(heard) == {("team", "a")})
        assert not task.done()


async def test_what_was_deleted_while_the_watch_was_away_is_forgotten() -> None:
    lists = [page(json.dumps(search("a")), json.dumps(search("b"))), page(json.dumps(search("b")))]
    server, heard = ApiServer(lists, [b""]), dict[Key, SearchObject]()
    async with kopf_at(server, heard):
        await until(lambda: set(heard) == {("team", "b")} and server.listed == 2)
