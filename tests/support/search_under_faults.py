"""A search by the whole operator, shell included, when requests are lost and it dies anywhere."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import pytest
from agents_nearby import AgentsNearby
from hypothesis import strategies as st
from operator_builders import at, make_search
from operator_server import Crash, Fault, Informers, Lag, Server
from operator_world import SHARD_LIMIT, TICK, World, advance
from prometheus_client import CollectorRegistry

from blockqnn_api.history import shards as history
from blockqnn_api.objects import SearchObject
from blockqnn_api.resolve import resolve
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.errors import ClusterUnavailable
from blockqnn_operator.shell.metrics.operator import Metrics
from blockqnn_operator.shell.reconcile import controller
from blockqnn_operator.shell.reconcile.cleanup import JobCleanup
from blockqnn_operator.shell.reconcile.controller import Controller
from blockqnn_operator.shell.reconcile.slots import Slots

KEY = ("lab", "digits")
UP_TO_DATE = Lag(0, 0, 0)


class Pass(NamedTuple):
    """A pass of the operator."""

    lag: Lag
    faults: tuple[tuple[int, Fault], ...]


class Arrival(NamedTuple):
    """Late messages arrive."""


Step = Pass | Arrival | int
"""A pass, a late request, or something that happens to one of the running Jobs."""


@contextmanager
def quick_passes() -> Iterator[None]:
    """Cut the history into small shards; resolve each spec once, which is most of a pass here."""

    @cache
    def resolved(spec: str, pinned: str, trainer_image: str) -> BlockSearchSpec:
        return resolve(json.loads(spec), json.loads(pinned), trainer_image=trainer_image)

    def quick(spec: Any, pinned: Any = None, *, trainer_image: str) -> BlockSearchSpec:
        return resolved(json.dumps(spec), json.dumps(pinned), trainer_image)

    cut = history.append
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(controller, "resolve", quick)
        patched.setattr(
            history, "append", lambda last, new, limit=SHARD_LIMIT: cut(last, new, limit)
        )
        yield


class Process:
    """An operator's process."""

    def __init__(self, server: Server) -> None:
        self.server, self.watches = server, Informers(server)
        self.cleanup = JobCleanup(lambda _key: None, clock=lambda: float(server.world.steps))
        metrics = Metrics(lambda: (), lambda: 0, CollectorRegistry())
        self.controller = Controller(
            server,
            lambda _key: self._search(),
            lambda _key: self.watches.of(TrialJob.read),
            lambda _key: filter(None, map(TrialPod.read, self.watches.pods())),
            lambda _key: (),
            lambda _key: (),
            metrics,
            Slots(None, lambda _key: None),
            self.cleanup,
            lambda: [KEY],
            AgentsNearby(),
            clock=self._now,
        )

    def _search(self) -> SearchObject:
        status, version = self.server.status, self.server.status_version
        return replace(self.server.search, status=status, version=version)

    def _now(self) -> datetime:
        return at(self.server.world.steps * TICK)

    def reconcile(self, lag: Lag, faults: dict[int, Fault]) -> float | None:
        """Make a pass.

        Raises:
            Crash: when the process dies; what it has in flight is lost with it.
            ClusterUnavailable: when it gives up waiting for an answer.
        """
        self.watches.hear(lag)
        self.server.faults, self.server.requests = faults, 0
        return asyncio.run(self._reconcile())

    async def _reconcile(self) -> float | None:
        again = await self.controller.reconcile(KEY)
        await self.cleanup.carry_out(KEY)
        return again


class Disturbed:
    """A search from its beginning, under faults."""

    process = Process
    """The kind of process that is started, and again when one has died."""

    def __init__(self, spec: dict[str, Any], operators: int = 1) -> None:
        self.server = Server(make_search(spec), World())
        self.processes = [self.process(self.server) for _ in range(operators)]
        self.server.check = self.check_world if operators == 1 else lambda: None
        self._parallelism = spec["parallelism"]

    def check_world(self) -> None:
        world = self.server.world
        if not self.server.was_late:
            assert world.busy <= self._parallelism
            assert len(set(world.created)) == len(world.created), "no trial runs twice"

    def step(self, step: Step, operator: int = 0) -> None:
        if isinstance(step, int):
            self.server.put(advance(self.server.world, step))
        elif isinstance(step, Arrival):
            self.server.deliver()
        else:
            self.look(step, operator)

    def look(self, look: Pass, operator: int = 0) -> None:
        try:
            self.processes[operator].reconcile(look.lag, dict(look.faults))
        except ClusterUnavailable:
            pass
        except Crash:
            self.processes[operator] = self.process(self.server)

    def finish(self) -> "Disturbed":
        """Go on without any further trouble until the budget is spent and all is tidied up."""
        self.server.deliver()
        for number in range(2000):
            self.look(Pass(UP_TO_DATE, ()))
            # A search without one accuracy has failed at its end.
            done = self.server.status.get("phase") in ("Complete", "Failed")
            if done and not self.server.world.running:
                self.look(Pass(UP_TO_DATE, ()))
                return self
            self.step(number)
        pytest.fail(f"stuck with {len(self.server.world.records)} records")


lags = st.builds(Lag, st.integers(0, 12), st.integers(0, 12), st.integers(0, 30))
faults = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(Fault)), max_size=2)
passes = st.builds(Pass, lags, faults.map(tuple))
schedules = st.lists(passes | st.builds(Arrival) | st.integers(0, 9), max_size=50)
