"""A search and its finalists in the small world of finalist_world.py, by the pure core alone."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import pytest
from finalist_world import (
    Remembered,
    busy_finalists,
    finalists_of,
    is_finalist,
    reconcile_all,
    status_of,
)
from operator_builders import make_spec
from operator_world import (
    Conflict,
    Operator,
    World,
    advance,
    new_world,
    without_jobs,
)

from blockqnn_api.history.finalist_record import Finalist, FinalistRecord
from blockqnn_api.status import BlockSearchStatus, Phase
from blockqnn_operator.core.planning.finalists import FinalistState

BUDGET = 12
FINALISTS: dict[str, Any] = {
    "count": 2,
    "seeds": 2,
    "parallelism": 2,
    "retries": 2,
    "training": {"epochs": 2},
    "volume": {"persistentVolumeClaim": {"claimName": "models"}},
}
TARGETS = [
    {"name": "wide", "count": 2, "network": {"filters": [8, 16]}},
    {
        "name": "fashion",
        "seeds": 1,
        "dataset": {
            "name": "fashion_mnist",
            "volume": {"persistentVolumeClaim": {"claimName": "images"}},
        },
    },
]
SEEDS = (4, 5, 8)
"""Their searches have blocks to be trained, and show every fate of finalists."""


def spec_of(seed: int, *, continuous: bool = False, **changes: Any) -> dict[str, Any]:
    finalists = {**FINALISTS, "targets": TARGETS, "continuous": continuous} | changes
    return make_spec(
        seed=seed,
        agent={
            "batchSize": 4,
            "epsilonSchedule": [
                {"epsilon": 1.0, "iterations": 2},
                {"epsilon": 0.1, "iterations": 1},
            ],
        },
        budget={"trials": BUDGET},
        failurePolicy={"maxFailedTrials": 99_999},
        finalists=finalists,
    )


class Look(NamedTuple):
    """A pass of the operator."""

    jobs_behind: int
    pods_behind: int
    crash_after: int | None


class Deletion(NamedTuple):
    """Somebody deletes the Job of a finalist."""

    job: int


Step = Look | Deletion | int


class Run:
    """A search and its finalists, with all that must hold at every moment checked."""

    def __init__(self, spec: Mapping[str, Any], world: World | None = None) -> None:
        self.operator = Operator(spec)
        self.kept: FinalistState | None = None
        self.remembered: Remembered | None = None
        self.world = world or new_world(spec)
        self.past = [self.world]

    def step(self, step: Step) -> None:
        if isinstance(step, Look):
            self.look(step)
            return
        if isinstance(step, Deletion):
            names = sorted(name for name, job in self.world.jobs.items() if is_finalist(job))
            gone = {names[step.job % len(names)]} if names else set()
            self.world = without_jobs(self.world, gone)
        else:
            self.world = advance(self.world, step)
        self.past.append(self.world)

    def look(self, look: Look) -> None:
        jobs, pods = (self.past[-1 - min(behind, len(self.past) - 1)] for behind in look[:2])
        past, remembered = {"jobs": jobs, "pods": pods}, None
        passes = reconcile_all(self.operator, self.kept, past, self.world)
        try:
            for requests, (world, remembered) in enumerate(passes):
                self.world = world
                self.past.append(world)
                self.check_world()
                if requests == look.crash_after:
                    remembered = None
                    break
        except Conflict:
            remembered = None
        state = remembered.state if remembered else None
        self.operator = Operator(self.operator.spec, state)
        self.kept = remembered.kept if remembered else None
        self.remembered = remembered
        if remembered is not None and len(self.past) % 3 == 0:
            self.check_status(remembered)

    def check_world(self) -> None:
        assert busy_finalists(self.world) <= FINALISTS["parallelism"]

    def check_status(self, remembered: Remembered) -> None:
        status = self.status(remembered)
        finalists_status = status.finalists
        assert finalists_status is not None
        assert finalists_status.records == len(finalists_of(self.world))
        assert (
            finalists_status.succeeded
            + finalists_status.infeasible
            + finalists_status.running
            + finalists_status.failed
            <= finalists_status.total + finalists_status.running
        )
        if status.phase is Phase.COMPLETE:
            assert (
                finalists_status.succeeded + finalists_status.infeasible + finalists_status.failed
                == finalists_status.total
            )
            assert (
                status.best is None
                or finalists_status.best is None
                or status.best.trial == finalists_status.best.trial
            )

    def status(self, remembered: Remembered | None = None) -> BlockSearchStatus:
        remembered = remembered or self.remembered
        assert remembered is not None
        status: BlockSearchStatus = status_of(self.operator, remembered, self.world)
        return status

    def suspended(self, suspend: bool, policy: str = "Drain") -> None:
        spec = {**self.operator.spec, "suspend": suspend, "suspendPolicy": policy}
        self.operator = Operator(spec, self.operator.state)

    def settle(self) -> "Run":
        """Go on without any further trouble until nothing happens any more."""
        for number in range(4000):
            before = self.world
            self.look(Look(0, 0, None))
            if self.world == before and not self.world.running:
                return self
            self.step(number)
        pytest.fail(f"still restless with {len(finalists_of(self.world))} finalists")


def plain(records: Mapping[Finalist, FinalistRecord]) -> dict[Finalist, FinalistRecord]:
    """The records without which attempt it was: people may delete Jobs."""
    return {f: record.model_copy(update={"attempt": 0}) for f, record in records.items()}


@cache
def serial(seed: int) -> Run:
    """Results of the search when one thing happens after another and nothing goes wrong."""
    return Run(spec_of(seed, parallelism=1)).settle()


@cache
def serial_trials(seed: int) -> World:
    """The search when its budget is just spent, before the first finalist."""
    run = Run(spec_of(seed))
    for number in range(1000):
        before = run.world
        run.look(Look(0, 0, None))
        if any(is_finalist(job) for job in run.world.jobs.values()):
            return before
        run.step(number)
    pytest.fail("no finalist is ever trained")
