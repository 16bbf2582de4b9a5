"""One search from its creation to its end, as an onlooker sees it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from benchmarks.operator.api import Api
from benchmarks.operator.fixtures import Json
from benchmarks.operator.process import OperatorProcess
from blockqnn_api import names
from blockqnn_operator.shell.kubernetes.client import config_maps_path, jobs_path

LOOK = 0.5
"""Seconds between two looks at a search."""

SILENCE = 180.0
"""Seconds without a result after which something must be wrong."""

LANDED = 0.5
"""Seconds after a kill in which requests of the killed operator may still come through."""


@dataclass
class Timeline:
    """Times of created Jobs and visible results, by this process's clock, in order."""

    begun: float = 0.0
    created: list[float] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        """From the beginning to the end."""
        return self.ended - self.begun

    def reactions(self, parallelism: int) -> list[float]:
        """Return how long each result took to be followed by the Job that takes its slot.

        Where slots are all that a search waits for, the Job after the first ``parallelism`` takes
        the slot of the first result, and so on.
        """
        pairs = zip(self.finished, self.created[parallelism:], strict=False)
        return sorted(created - finished for finished, created in pairs)

    def utilisation(self, parallelism: int) -> float:
        """Return the share of the slots' time that had a Job without a result in it.

        Counted until the last Job is created: after that there is nothing to run.
        """
        end = self.created[-1]
        changes = sorted([(at, 1) for at in self.created] + [(at, -1) for at in self.finished])
        busy, used = 0, 0.0
        for (at, change), (until, _) in pairwise([*changes, (end, 0)]):
            busy += change
            used += busy * max(min(until, end) - at, 0.0)
        return used / (parallelism * (end - self.begun))


@dataclass(frozen=True)
class Sizes:
    """Bytes that a search left in the API server."""

    status: int
    history: int
    shards: int


@dataclass(frozen=True)
class Course:
    """Course of a search, read now and then only, which costs the API server little."""

    seconds: float
    """From its creation to its end."""
    sizes: Sizes
    restart_seconds: float | None
    """From the start of a new operator, in the middle, to its first Job."""


async def follow(
    api: Api,
    namespace: str,
    search: Json,
    operator: OperatorProcess,
    *,
    restart_after: int | None = None,
) -> Course:
    """Create a search and look at it until its end.

    Args:
        api: the API server.
        namespace: where the search is created.
        search: the BlockSearch.
        operator: the operator, which runs.
        restart_after: kill the operator, and start it again, after so many results.
    """
    name = search["metadata"]["name"]
    begun, restart, largest = time.monotonic(), None, 0

    async def look(status: Json) -> None:
        nonlocal restart, largest
        largest = max(largest, len(json.dumps(status, separators=(",", ":"))))
        total = status.get("trials", {}).get("total", 0)
        if restart is None and restart_after is not None and total >= restart_after:
            restart = await _restart(api, namespace, operator)

    await api.request("POST", searches_path(namespace), search)
    await _until_complete(api, namespace, name, look)
    seconds = time.monotonic() - begun
    labels = f"{names.SEARCH_LABEL}={name}"
    shards = (await api.request("GET", config_maps_path(namespace), labelSelector=labels))["items"]
    history = sum(len(text) for shard in shards for text in shard["data"].values())
    return Course(seconds, Sizes(largest, history, len(shards)), restart)


async def watch(
    api: Api, namespace: str, name: str, begin: Callable[[], Awaitable[object]]
) -> Timeline:
    """Begin something, and note each Job and each result of a search until its end."""
    line, labels = Timeline(), f"{names.SEARCH_LABEL}={name}"
    pods = f"/api/v1/namespaces/{namespace}/pods"
    succeeded = "status.phase=Succeeded"
    async with (
        _noting(api, jobs_path(namespace), "status.successful=0", labels, line.created),
        _noting(api, pods, succeeded, labels, line.finished),
    ):
        line.begun = time.monotonic()
        await begin()
        await _until_complete(api, namespace, name)
        line.ended = time.monotonic()
    return line


@asynccontextmanager
async def _noting(
    api: Api, path: str, fields: str, labels: str, times: list[float]
) -> AsyncIterator[None]:
    def note() -> None:
        times.append(time.monotonic())

    async with api.additions(path, note, fields=fields, labels=labels):
        yield


async def _nothing(_status: Json) -> None:
    return


async def _until_complete(
    api: Api,
    namespace: str,
    name: str,
    look: Callable[[Json], Awaitable[None]] = _nothing,
) -> None:
    heard, total = time.monotonic(), 0
    while True:
        body = await api.request("GET", f"{searches_path(namespace)}/{name}")
        status = body.get("status", {})
        await look(status)
        current = status.get("observedGeneration") == body["metadata"]["generation"]
        if current and status.get("phase") == "Complete":
            return
        if status.get("trials", {}).get("total", 0) > total:
            heard, total = time.monotonic(), status["trials"]["total"]
        if status.get("phase") == "Failed" or time.monotonic() - heard > SILENCE:
            raise RuntimeError(f"The search {name} does not go on; its status is {status}")
        await asyncio.sleep(LOOK)


async def _restart(api: Api, namespace: str, operator: OperatorProcess) -> float:
    """Kill the operator and start another; return how long that takes to create its first Job."""
    created: list[float] = []
    async with _noting(api, jobs_path(namespace), "status.successful=0", "", created):
        operator.kill()
        await asyncio.sleep(LANDED)
        seen, start = len(created), time.monotonic()
        operator.start()
        async with asyncio.timeout(SILENCE):
            # The watch appends to the list; a hundredth of a second more or less is nothing here.
            while len(created) == seen:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return created[seen] - start


def searches_path(namespace: str) -> str:
    """Return the path of a namespace's searches."""
    return f"/apis/{names.API_VERSION}/namespaces/{namespace}/{names.PLURAL}"
