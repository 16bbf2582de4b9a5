"""One search from its creation to its end, as an onlooker sees it."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise

from benchmarks.operator.api import Api
from benchmarks.operator.process import OperatorProcess
from benchmarks.operator.scenery import Json
from blockqnn_operator.api import names
from blockqnn_operator.shell.cluster import config_maps_path, jobs_path

LOOK = 0.5
"""Seconds between two looks at a search; near its end there are more."""

SILENCE = 120.0
"""Seconds without a result after which something must be wrong."""

LANDED = 0.5
"""Seconds after a kill in which requests of the killed operator may still come through."""


@dataclass
class Timeline:
    """When Jobs were created and results became visible, by this process's clock, in order."""

    begun: float = 0.0
    created: list[float] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)
    ended: float = 0.0
    outage: tuple[float, float, float] | None = None
    """When the operator was killed, when its successor created its first Job, and how many seconds
    after its start that was."""

    @property
    def seconds(self) -> float:
        """From the creation of the search to its end."""
        return self.ended - self.begun

    def reactions(self, parallelism: int) -> list[float]:
        """Return how long each result took to be followed by the Job that takes its slot.

        Where slots are all that a search waits for, the Job after the first ``parallelism`` takes
        the slot of the first result, and so on. What the outage touched is left out.
        """
        pairs = zip(self.finished, self.created[parallelism:], strict=False)
        down, back, _ = self.outage or (self.ended, self.begun, 0.0)
        return sorted(
            created - finished for finished, created in pairs if created < down or finished > back
        )

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
    """What a search left in the API server, in bytes."""

    status: int
    history: int
    shards: int


async def follow(
    api: Api,
    namespace: str,
    search: Json,
    operator: OperatorProcess,
    *,
    restart_after: int | None = None,
) -> tuple[Timeline, Sizes]:
    """Create a search and follow it to its end.

    Args:
        api: the API server.
        namespace: where the search is created.
        search: the BlockSearch.
        operator: the operator, which runs.
        restart_after: kill the operator, and start it again, after so many results.
    """
    name = search["metadata"]["name"]
    line, labels = Timeline(), f"{names.SEARCH_LABEL}={name}"
    pods = f"/api/v1/namespaces/{namespace}/pods"
    searches = searches_path(namespace)
    async with AsyncExitStack() as stack:
        for path, times, fields in (
            (jobs_path(namespace), line.created, "status.successful=0"),
            (pods, line.finished, "status.phase=Succeeded"),
        ):
            note = _noting(times)
            await stack.enter_async_context(api.additions(path, note, fields=fields, labels=labels))
        line.begun = time.monotonic()
        await api.request("POST", searches, search)
        status_size = 0
        while True:
            near = len(line.finished) >= search["spec"]["budget"]["trials"]
            await asyncio.sleep(LOOK / 10 if near else LOOK)
            if restart_after is not None and len(line.finished) >= restart_after:
                restart_after = None
                line.outage = await _restart(operator, line)
            status = (await api.request("GET", f"{searches}/{name}")).get("status", {})
            status_size = max(status_size, len(json.dumps(status, separators=(",", ":"))))
            if status.get("phase") == "Complete":
                line.ended = time.monotonic()
                break
            heard = line.finished[-1] if line.finished else line.begun
            if status.get("phase") == "Failed" or time.monotonic() - heard > SILENCE:
                raise RuntimeError(f"The search {name} does not go on; its status is {status}")
    shards = (await api.request("GET", config_maps_path(namespace), labelSelector=labels))["items"]
    history = sum(len(text) for shard in shards for text in shard["data"].values())
    return line, Sizes(status_size, history, len(shards))


def searches_path(namespace: str) -> str:
    """Return the path of a namespace's searches."""
    return f"/apis/{names.API_VERSION}/namespaces/{namespace}/{names.PLURAL}"


def _noting(times: list[float]) -> Callable[[], None]:
    return lambda: times.append(time.monotonic())


async def _restart(operator: OperatorProcess, line: Timeline) -> tuple[float, float, float]:
    down = time.monotonic()
    operator.kill()
    await asyncio.sleep(LANDED)
    seen, start = len(line.created), time.monotonic()
    operator.start()
    # The watch appends to the list; a hundredth of a second more or less is nothing here.
    while len(line.created) == seen:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return down, line.created[seen], line.created[seen] - start
