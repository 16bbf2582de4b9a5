"""The whole operator, shell included, when requests are lost and it dies between any two of them.

As in test_operator_simulation.py the history must come out the same. Here the operator's own
requests go to an API server in memory (operator_server.py), with everything that makes them safe:
names, preconditions, what was written laid over what is watched, the order of the requests.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_builders import at, make_search, make_shard
from operator_server import Crash, Fault, Informers, Lag, Server
from operator_world import SHARD_LIMIT, TICK, World, advance
from prometheus_client import CollectorRegistry
from test_operator_simulation import BUDGET, SEEDS, serial, spec_of

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


@pytest.fixture(autouse=True, scope="module")
def _small_and_quick() -> Iterator[None]:
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
        self._controller = Controller(
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
        again = await self._controller.reconcile(KEY)
        await self.cleanup.carry_out(KEY)
        return again


class Disturbed:
    """A search from its beginning, under faults."""

    def __init__(self, spec: dict[str, Any], operators: int = 1) -> None:
        self.server = Server(make_search(spec), World())
        self.processes = [Process(self.server) for _ in range(operators)]
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
            self.processes[operator] = Process(self.server)

    def finish(self) -> "Disturbed":
        """Go on without any further trouble until the budget is spent and all is tidied up."""
        self.server.deliver()
        for number in range(2000):
            self.look(Pass(UP_TO_DATE, ()))
            done = self.server.status.get("phase") == "Complete"
            if done and not self.server.world.running:
                self.look(Pass(UP_TO_DATE, ()))
                return self
            self.step(number)
        pytest.fail(f"stuck with {len(self.server.world.records)} records")


lags = st.builds(Lag, st.integers(0, 12), st.integers(0, 12), st.integers(0, 30))
faults = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(Fault)), max_size=2)
passes = st.builds(Pass, lags, faults.map(tuple))
schedules = st.lists(passes | st.builds(Arrival) | st.integers(0, 9), max_size=50)


@given(st.sampled_from(SEEDS), st.sampled_from([1, 3, 14]), schedules)
@settings(max_examples=25)
def test_the_history_is_that_of_the_undisturbed_run(
    seed: int, parallelism: int, steps: list[Step]
) -> None:
    run = Disturbed(spec_of(seed=seed, parallelism=parallelism))
    for step in steps:
        run.step(step)
    assert run.finish().server.world.records == serial(seed)


def test_a_history_that_is_imported_while_the_search_is_suspended_is_gone_on_from() -> None:
    """The operator has read the empty history before, and is not started again."""
    run = Disturbed(spec_of(seed=1, parallelism=3, suspend=True))
    run.look(Pass(UP_TO_DATE, ()))
    (empty,) = run.server.world.shards
    lines = "".join(record.write() + "\n" for record in serial(1)[:8])
    imported = replace(empty, text=empty.text + lines, resource_version="77")
    run.server.put(replace(run.server.world, shards=(imported,)))
    resumed = make_search(spec_of(seed=1, parallelism=3), generation=2)
    run.server.search = resumed
    assert run.finish().server.world.records == serial(1)
    assert min(run.server.world.created) >= "digits-t00008"


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 1), passes | st.integers(0, 9))))
@settings(max_examples=12)
def test_two_operators_under_faults_write_the_history_of_one(
    seed: int, steps: list[tuple[int, Step]]
) -> None:
    run = Disturbed(spec_of(seed=seed, parallelism=3), operators=2)
    run.server.was_late = True
    for operator, step in steps:
        run.step(step, operator)
    assert run.finish().server.world.records == serial(seed)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("seed", SEEDS[:2])
def test_a_fault_in_every_pass_changes_nothing(seed: int, fault: Fault) -> None:
    """It strikes the first request of a pass, then the second of the next, and so on."""
    run = Disturbed(spec_of(seed=seed, parallelism=3))
    for number in range(90):
        run.step(Pass(UP_TO_DATE, ((number % 7, fault),)))
        run.step(number)
    assert run.finish().server.world.records == serial(seed)
    assert len(run.server.world.records) == BUDGET


def test_a_small_budget_is_told_once_however_often_operators_start() -> None:
    disturbed = Disturbed(spec_of(seed=1, parallelism=1))
    for number in range(6):
        disturbed.look(Pass(UP_TO_DATE, ()))
        disturbed.step(number)
        disturbed.processes[0] = Process(disturbed.server)
        disturbed.server.events.clear()  # Events do not live for ever.
    disturbed.finish()
    assert disturbed.server.reasons.count("FewLearningIterations") == 1


BEGUN = [
    json.loads(line)
    for line in (Path(__file__).parent / "fixtures" / "searches-with-unused-fields.jsonl")
    .read_text()
    .splitlines()
]


@pytest.mark.parametrize("begun", BEGUN, ids=["Evolution", "RandomSearch", "QLearning"])
def test_a_search_that_began_with_fields_that_are_refused_now_goes_on(
    begun: dict[str, Any],
) -> None:
    run = Disturbed({**begun["spec"], "parallelism": 2})
    shard = make_shard(text="".join(f"{line}\n" for line in begun["history"]))
    run.server.put(replace(run.server.world, shards=(shard,)))
    records = run.finish().server.world.records
    assert [record.block for record in records[12:]] == begun["next"]
    assert run.server.reasons.count("UnusedFields") == 1
    assert run.server.status["phase"] == "Complete"


@pytest.mark.parametrize("begun", BEGUN, ids=["Evolution", "RandomSearch", "QLearning"])
def test_a_new_search_with_such_fields_is_refused(begun: dict[str, Any]) -> None:
    run = Disturbed({**begun["spec"], "parallelism": 2})
    run.look(Pass(UP_TO_DATE, ()))
    status = run.server.status
    (failed,) = [c for c in status["conditions"] if c["type"] == "Failed"]
    assert (status["phase"], failed["reason"]) == ("Failed", "InvalidSpec")
    assert " has no effect with " in failed["message"]
    assert not run.server.world.created
    assert not run.server.world.shards
