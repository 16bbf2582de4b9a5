"""Answers of the operator to a kubelet."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from blockqnn_operator.errors import ClusterUnavailable
from blockqnn_operator.shell.listening import listen
from blockqnn_operator.shell.probes import ANSWER_SECONDS, Probes

Ask = Callable[[str], Awaitable[tuple[int, str]]]


class ApiServer:
    """An API server that is there or not, and counts who asks."""

    def __init__(self) -> None:
        self.there = True
        self.asked = 0

    async def answer(self) -> str:
        self.asked += 1
        if not self.there:
            raise ClusterUnavailable("The API server cannot be reached.")
        return "v1.34.4"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def probes(server: ApiServer, clock: Clock) -> Probes:
    return Probes(server.answer, clock)


async def test_it_is_not_ready_before_the_watches_have_started(
    probes: Probes, server: ApiServer
) -> None:
    assert "watches" in await probes.problem()
    probes.started.set()
    assert await probes.problem() == ""
    assert server.asked == 1


async def test_it_is_not_ready_while_the_api_server_does_not_answer(
    probes: Probes, server: ApiServer, clock: Clock
) -> None:
    probes.started.set()
    server.there = False
    assert await probes.problem() == "The API server cannot be reached."
    server.there = True
    clock.now += ANSWER_SECONDS
    assert await probes.problem() == ""


async def test_many_probes_are_one_request(probes: Probes, server: ApiServer) -> None:
    probes.started.set()
    for _ in range(5):
        await probes.problem()
    assert server.asked == 1


async def test_a_kubelet_sees_life_and_readiness_apart(probes: Probes) -> None:
    async with asked(probes) as ask:
        assert await ask("/healthz") == (200, "ok")
        assert (await ask("/readyz"))[0] == 503
        probes.started.set()
        assert await ask("/readyz") == (200, "ok")


@asynccontextmanager
async def asked(probes: Probes) -> AsyncIterator[Ask]:
    await probes.serve(listen("--probe-port", 0, "127.0.0.1"))
    (address,) = probes.addresses
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{address[1]}") as session:

            async def ask(path: str) -> tuple[int, str]:
                async with session.get(path) as answer:
                    return answer.status, await answer.text()

            yield ask
    finally:
        await probes.close()
