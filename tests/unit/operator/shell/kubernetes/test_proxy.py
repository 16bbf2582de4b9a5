"""Proxies before the API server: operator, Kopf and command line go the same way."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import kopf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes import client

from blockqnn_api import names
from blockqnn_cli.cluster import Cluster as CommandLine
from blockqnn_operator.errors import ClusterUnavailable
from blockqnn_operator.shell.kubernetes.client import Cluster
from blockqnn_operator.shell.kubernetes.proxy import proxy_for
from blockqnn_operator.shell.main import _register_login

VERSION = ["buildDate", "compiler", "gitCommit", "gitTreeState", "gitVersion", "goVersion",
           "major", "minor", "platform"]  # fmt: skip


class Answering(BaseHTTPRequestHandler):
    """An API server that says its version, or a proxy that says it is one."""

    asking: ClassVar[list[str]] = []
    """The programs that have asked, as they call themselves."""

    def do_GET(self) -> None:
        self.asking.append(self.headers["User-Agent"])
        # A proxy is asked for the whole URL.
        way = "by proxy" if self.path.startswith("http:") else "directly"
        body = json.dumps(dict.fromkeys(VERSION, "x") | {"gitVersion": way}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A proxy that is in the environment, and an API server that is in the kubeconfig."""
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        config = {
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "users": [{"name": "u", "user": {}}],
        }
        (tmp_path / "config").write_text(json.dumps(config))
        # The libraries look for KUBECONFIG when they are imported.
        for library in ("kubernetes", "kubernetes.aio"):
            location = f"{library}.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
            monkeypatch.setattr(location, str(tmp_path / "config"))
        monkeypatch.setenv("HTTP_PROXY", address)
        yield address
        server.shutdown()
        thread.join()


async def by_operator() -> str:
    cluster = await Cluster.connect()
    try:
        return await cluster.version()
    finally:
        await cluster.close()


def by_command_line(kubeconfig: Path) -> str:
    command_line = CommandLine(str(kubeconfig))
    version = client.VersionApi(command_line.core.api_client)
    return str(command_line.ask(version.get_code)["gitVersion"])


WAYS = [
    (None, "by proxy"),
    ("", "by proxy"),
    ("127.0.0.0/8,.svc", "directly"),
    ("10.0.0.0/8, 127.0.0.1/32", "directly"),
    ("127.0.0.1", "directly"),
    ("*", "directly"),
    ("10.0.0.0/8,*", "directly"),
    ("10.0.0.0/8,.svc,.cluster.local", "by proxy"),
    ("27.0.0.1", "by proxy"),
    ("not/a/network,::1/128", "by proxy"),
]


@pytest.mark.parametrize(("exceptions", "way"), WAYS)
async def test_operator_and_command_line_go_the_same_way(
    exceptions: str | None, way: str, servers: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if exceptions is not None:
        monkeypatch.setenv("NO_PROXY", exceptions)
    assert await by_operator() == way
    assert by_command_line(tmp_path / "config") == way


@pytest.mark.parametrize(("exceptions", "way"), WAYS)
async def test_kopf_goes_the_way_of_the_operator(
    exceptions: str | None, way: str, servers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if exceptions is not None:
        monkeypatch.setenv("NO_PROXY", exceptions)
    registry = kopf.OperatorRegistry()
    cluster = await Cluster.connect()
    sessions: list[kopf.AiohttpSession] = []
    _register_login(registry, lambda _namespace, _keys: None, sessions, cluster.proxy)
    await cluster.close()
    (handler,) = registry._activities.get_all_handlers()
    await handler.fn(logger=logging.getLogger(), settings=kopf.OperatorSettings())  # type: ignore[call-arg,misc]
    (session,) = sessions
    async with session.aiohttp_session.get(f"{session.server}/version") as answer:
        assert (await answer.json())["gitVersion"] == way
    await session.aiohttp_session.close()
    assert session.server == servers


@pytest.mark.parametrize(
    ("server", "exceptions"),
    [
        ("https://kubernetes.default.svc:443", ".svc"),
        ("https://kubernetes.default.svc", "svc"),
        ("https://api.example.com:6443", "example.com"),
        ("https://API.example.com:6443", "api.EXAMPLE.com:6443"),
        ("https://[fd00::1]:6443", "fd00::/8"),
        ("https://10.96.0.1", " 10.0.0.0/8 "),
    ],
)
def test_what_people_write_for_a_cluster_is_understood(
    server: str, exceptions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example.org:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert proxy_for(server) == "http://proxy.example.org:3128"
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert proxy_for(server) is None


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_no_list_of_exceptions_is_an_error(exceptions: str) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HTTPS_PROXY", "http://proxy:3128")
        environment.setenv("NO_PROXY", exceptions)
        environment.delenv("no_proxy", raising=False)
        assert proxy_for("https://10.0.0.1:6443") in (None, "http://proxy:3128")


async def test_a_proxy_of_the_kubeconfig_wins(
    servers: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = json.loads((tmp_path / "config").read_text())
    config["clusters"][0]["cluster"]["proxy-url"] = "http://127.0.0.1:1"
    (tmp_path / "config").write_text(json.dumps(config))
    cluster = await Cluster.connect()
    assert cluster.proxy == "http://127.0.0.1:1"
    with pytest.raises(ClusterUnavailable, match="cannot be reached"):
        await cluster.version()
    await cluster.close()


async def test_the_programs_name_themselves_as_the_managers_of_what_they_write(
    servers: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The API server calls a manager of fields by the program's name, up to the slash."""
    monkeypatch.setenv("NO_PROXY", "*")
    Answering.asking.clear()
    await by_operator()
    by_command_line(tmp_path / "config")
    assert [program.partition("/")[0] for program in Answering.asking] == [
        names.FIELD_MANAGER,
        "kubectl-blockqnn",
    ]
