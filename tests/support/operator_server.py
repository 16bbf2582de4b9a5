"""An API server in memory for the whole operator, and what goes wrong between the two.

It holds a world (operator_world.py) and answers the operator's requests by it. A request may be
lost on its way, or be carried out without an answer, at once or later; the operator may die before
or after any of them. What the operator watches lags behind, for each object on its own.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from operator_world import Conflict, Json, World, annotated, created, kept, selected, stored
from operator_world import without_jobs as deleted

from blockqnn.contract.message import Outcome
from blockqnn_api import names
from blockqnn_api.history.shards import ShardWrite, config_map
from blockqnn_api.objects import SearchObject, version_of
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.errors import ClusterUnavailable
from blockqnn_operator.shell.kubernetes.client import ApiError, Cluster

T = TypeVar("T")


class Crash(BaseException):
    """The operator's process dies."""


class Fault(Enum):
    """Fate of a request."""

    LOST = auto()
    """It is never carried out, and the operator waits in vain."""
    UNANSWERED = auto()
    """It is carried out, and the operator waits in vain."""
    LATE = auto()
    """It is carried out some time after the operator has given up waiting."""
    CRASH_BEFORE = auto()
    CRASH_AFTER = auto()


class Lag(NamedTuple):
    """Number of steps that the operator's watches are behind."""

    jobs: int
    pods: int
    others: int
    """That of a third of the objects: their events are lost for as long, or come out of order."""


@dataclass
class Server(Cluster):
    """The API server: what it stores, and what it does with the next requests."""

    search: SearchObject
    world: World
    past: list[World] = field(default_factory=list)
    version: int = 0
    status: Json = field(default_factory=dict)
    status_version: int = 0
    events: set[str] = field(default_factory=set)
    reasons: list[str] = field(default_factory=list)
    """The reasons of the Events, in the order in which they were told."""
    faults: dict[int, Fault] = field(default_factory=dict)
    """By how many requests before it the pass has made."""
    requests: int = 0
    late: list[Callable[[], Any]] = field(default_factory=list)
    was_late: bool = False
    check: Callable[[], None] = lambda: None
    """Called after each write."""

    def __post_init__(self) -> None:
        self.put(self.world)
        super().__init__(None, lambda _verb, _code: None)

    def put(self, world: World) -> None:
        """Take a new world, and give what has changed in it a new version."""
        jobs = dict(world.jobs)
        for name, body in jobs.items():
            if self.world.jobs.get(name) is not body:
                self.version += 1
                metadata = {**body["metadata"], "resourceVersion": str(self.version)}
                jobs[name] = {**body, "metadata": metadata}
        self.world = replace(world, jobs=jobs)
        self.past.append(self.world)
        self.check()

    def deliver(self) -> None:
        """Carry out what has been on its way for long."""
        late, self.late = self.late, []
        for act in late:
            try:
                act()
            except ApiError:
                continue

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        fault = self.faults.pop(self.requests, None)
        self.requests += 1
        await asyncio.sleep(0)

        def act() -> Json:
            return self._answer(method, path, query or {}, body or {})

        if fault is Fault.CRASH_BEFORE:
            raise Crash
        if fault is Fault.LATE:
            self.late.append(act)
            self.was_late = True
        if fault in (Fault.LOST, Fault.LATE):
            raise ClusterUnavailable("no answer")
        answer = act()
        await asyncio.sleep(0)
        if fault is Fault.CRASH_AFTER:
            raise Crash
        if fault is Fault.UNANSWERED:
            raise ClusterUnavailable("no answer")
        return answer

    def _answer(self, method: str, path: str, query: Mapping[str, str], body: Json) -> Json:
        kind, _, name = path.partition(f"/namespaces/{self.search.namespace}/")[2].partition("/")
        act: Callable[..., Json] = getattr(self, f"_{method.lower()}_{kind}")
        return act(name, body, query)

    # Each of these is one kind of request that the operator makes.

    def _post_jobs(self, _name: str, body: Json, _query: Any) -> Json:
        name = body["metadata"]["name"]
        if name in self.world.jobs:
            raise ApiError(409, "AlreadyExists", f"{name} exists")
        self.put(created(self.world, body))
        return self.world.jobs[name]

    def _get_jobs(self, name: str, _body: Json, _query: Any) -> Json:
        return self._job(name)

    def _patch_jobs(self, name: str, patch: Json, _query: Any) -> Json:
        self._job(name)
        if "annotations" in patch["metadata"]:
            ((annotation, text),) = patch["metadata"]["annotations"].items()
            self.put(annotated(self.world, name, annotation, text))
        else:
            self.put(kept(self.world, name))
        return self._job(name)

    def _delete_jobs(self, name: str, _body: Json, query: Mapping[str, str]) -> Json:
        if name:
            self._job(name)
            gone = {name}
        else:
            labels = dict(part.split("=") for part in query["labelSelector"].split(",")[:2])
            gone = set(selected(self.world, int(labels[names.ITERATION_LABEL])))
        archived = len(self.world.records)
        for job in gone:
            trial = int(self.world.jobs[job]["metadata"]["labels"][names.TRIAL_LABEL])
            assert trial < archived, "a Job goes only when its result is in the history"
        self.put(deleted(self.world, gone))
        return {}

    def _job(self, name: str) -> Json:
        if name not in self.world.jobs:
            raise ApiError(404, "NotFound", f"{name} does not exist")
        return self.world.jobs[name]

    def _get_configmaps(self, _name: str, _body: Json, _query: Any) -> Json:
        items = [self._config_map(number) for number in range(len(self.world.shards))]
        return {"items": items, "metadata": {}}

    def _post_configmaps(self, _name: str, body: Json, _query: Any) -> Json:
        return self._store(body["metadata"]["name"], body, None)

    def _put_configmaps(self, name: str, body: Json, _query: Any) -> Json:
        return self._store(name, body, body["metadata"]["resourceVersion"])

    def _store(self, name: str, body: Json, replaces: str | None) -> Json:
        record_count = len(self.world.records) if self.world.shards else 0
        number = int(name.rpartition("-")[2])
        (text,) = body["data"].values()
        try:
            world = stored(self.world, ShardWrite(number, text, replaces))
        except Conflict:
            raise ApiError(409, "Conflict", f"{name} was changed") from None
        for record in world.records[record_count:]:
            if record.outcome in (Outcome.SUCCEEDED, Outcome.INFEASIBLE):
                job = TrialJob.read(self._job(f"digits-t{record.trial:05d}-a{record.attempt}"))
                assert job is not None
                assert job.part_of(record.trial).result, (
                    "only what is an annotation enters the history"
                )
        self.put(world)
        return self._config_map(number)

    def _config_map(self, number: int) -> Json:
        shard = self.world.shards[number]
        body = config_map(self.search, ShardWrite(number, shard.text, None))
        metadata = {**body["metadata"], "resourceVersion": shard.resource_version}
        return {**body, "metadata": metadata}

    def _post_events(self, _name: str, body: Json, _query: Any) -> Json:
        name = body["metadata"]["name"]
        if name in self.events:
            raise ApiError(409, "AlreadyExists", f"{name} exists")
        self.events.add(name)
        self.reasons.append(body["reason"])
        return body

    def _patch_blocksearches(self, name: str, patch: Json, _query: Any) -> Json:
        assert name == f"{self.search.name}/status"
        merged = {**self.status, **patch["status"]}
        before, self.status = self.status, {k: v for k, v in merged.items() if v is not None}
        if "trials" in before and not self.was_late:
            assert self.status["trials"]["total"] >= before["trials"]["total"]
            assert self.status["history"]["records"] >= before["history"]["records"]
        self.version += 1
        self.status_version = self.version
        return {"metadata": {"resourceVersion": str(self.version)}}


class Informers:
    """Objects that an operator's process has heard of: never fewer, and all at its start."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._seen = dict.fromkeys(("jobs", "pods", "others"), len(server.past) - 1)

    def hear(self, lag: Lag) -> None:
        """Hear of what happened until so many steps ago."""
        newest = len(self._server.past) - 1
        for kind, behind in lag._asdict().items():
            self._seen[kind] = max(self._seen[kind], newest - behind)

    def jobs(self) -> list[Json]:
        """The Jobs as they are known."""
        return self._mixed("jobs", lambda world: world.jobs)

    def of(self, read: Callable[[Json], T | None]) -> list[tuple[int, T]]:
        """The resource versions and Jobs of one kind as they are known."""
        jobs = ((version_of(body), read(body)) for body in self.jobs())
        return [(version, job) for version, job in jobs if job is not None]

    def pods(self) -> list[Json]:
        """The Pods as they are known."""
        return self._mixed("pods", lambda world: world.pods)

    def _mixed(self, kind: str, of: Callable[[World], Mapping[str, Json]]) -> list[Json]:
        usual, others = (of(self._server.past[self._seen[k]]) for k in (kind, "others"))
        return [
            *(body for name, body in usual.items() if crc32(name.encode()) % 3),
            *(body for name, body in others.items() if not crc32(name.encode()) % 3),
        ]
