"""Finalists by the whole operator, shell included, when requests are lost and it dies anywhere."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agents_nearby import AgentsNearby
from finalist_simulation import FINALISTS as ASKED
from finalist_simulation import TARGETS, serial_trials, spec_of
from finalist_world import busy_finalists, finalists_of, is_finalist
from operator_builders import make_search
from operator_server import Server
from operator_world import Conflict, Json, World, written
from operator_world import without_jobs as deleted
from prometheus_client import CollectorRegistry
from search_under_faults import KEY, Disturbed, Process

from blockqnn_api.history.finalist_record import Finalist
from blockqnn_api.history.shards import FINALISTS, Shard, ShardWrite, config_map
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.shell.kubernetes.client import ApiError
from blockqnn_operator.shell.metrics.operator import Metrics
from blockqnn_operator.shell.reconcile.controller import Controller
from blockqnn_operator.shell.reconcile.slots import Slots

PARALLELISM = ASKED["parallelism"]


class FinalistServer(Server):
    """An API server that stores finalists too."""

    def _get_configmaps(self, name: str, body: Json, query: Any) -> Json:
        if f"={FINALISTS}" not in query["labelSelector"]:
            return super()._get_configmaps(name, body, query)
        return {"items": [self._shard(shard) for shard in self.world.finalists], "metadata": {}}

    def _store(self, name: str, body: Json, replaces: str | None) -> Json:
        if f"-{FINALISTS}-" not in name:
            return super()._store(name, body, replaces)
        known_finalists = finalists_of(self.world)
        (text,) = body["data"].values()
        write = ShardWrite(int(name.rpartition("-")[2]), text, replaces)
        try:
            world = replace(self.world, finalists=written(self.world.finalists, write))
        except Conflict:
            raise ApiError(409, "Conflict", f"{name} was changed") from None
        for finalist in finalists_of(world).keys() - known_finalists.keys():
            assert self._annotated(finalist), "only what is an annotation enters the history"
        self.put(world)
        return self._shard(self.world.finalists[write.number])

    def _annotated(self, finalist: Finalist) -> bool:
        jobs = [FinalistJob.read(body) for body in self.world.jobs.values() if is_finalist(body)]
        return any(job and job.part.result for job in jobs if job and job.finalist == finalist)

    def _shard(self, shard: Shard) -> Json:
        body = config_map(self.search, ShardWrite(shard.number, shard.text, None), FINALISTS)
        metadata = {**body["metadata"], "resourceVersion": shard.resource_version}
        return {**body, "metadata": metadata}

    def _delete_jobs(self, name: str, body: Json, query: Mapping[str, str]) -> Json:
        job = FinalistJob.read(self._job(name)) if name else None
        if job is None:
            return super()._delete_jobs(name, body, query)
        over = job.finalist in finalists_of(self.world)
        assert over or job.condition, "a Job goes when its result is in the history, or it has none"
        self.put(deleted(self.world, {name}))
        return {}


class FinalistProcess(Process):
    """An operator's process that watches finalists too."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.controller = Controller(
            server,
            lambda _key: self._search(),
            lambda _key: self.watches.of(TrialJob.read),
            lambda _key: filter(None, map(TrialPod.read, self.watches.pods())),
            lambda _key: (),
            lambda _key: self.watches.of(FinalistJob.read),
            Metrics(lambda: (), lambda: 0, CollectorRegistry()),
            Slots(None, lambda _key: None),
            self.cleanup,
            lambda: [KEY],
            AgentsNearby(),
            clock=self._now,
        )


class DisturbedFinalists(Disturbed):
    """A search whose budget is spent, and then its finalists, under faults."""

    process = FinalistProcess

    def __init__(self, seed: int, operators: int = 1) -> None:
        spec = spec_of(seed, targets=TARGETS[:1])
        self.server = FinalistServer(make_search(spec), World())
        self.server.put(serial_trials(seed))
        self.processes = [self.process(self.server) for _ in range(operators)]
        self.alone = operators == 1
        self.server.check = self.check_world

    def check_world(self) -> None:
        if self.alone and not self.server.was_late:
            assert busy_finalists(self.server.world) <= PARALLELISM
