"""A search in the small world of operator_world.py, from its beginning, by the pure core alone."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import pytest
from operator_builders import make_spec
from operator_plans import status_of
from operator_world import (
    Conflict,
    Operator,
    World,
    advance,
    new_world,
    observed,
    reconcile,
)

from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.trial_record import TrialRecord

AGENT = {
    "batchSize": 4,
    "learningRate": 0.5,
    "epsilonSchedule": [
        {"epsilon": 1.0, "iterations": 2},
        {"epsilon": 0.5, "iterations": 1},
        {"epsilon": 0.1, "iterations": 1},
    ],
}
BUDGET = 14
"""Three iterations and a half: two are random and may run at once, two depend on the values."""

SEEDS = (1, 2, 3, 4)
"""Their searches propose many networks twice, among them some that fail."""


def spec_of(**changes: Any) -> dict[str, Any]:
    return make_spec(
        agent=AGENT,
        budget={"trials": BUDGET},
        failurePolicy={"maxFailedTrials": 99_999},
        **changes,
    )


class Look(NamedTuple):
    """A pass of the operator."""

    jobs_behind: int
    """Age of its view of the Jobs, in steps."""
    pods_behind: int
    crash_after: int | None
    """After how many requests the operator dies; None when it does not."""


Step = Look | int
"""A pass of the operator, or something that happens to one of the running Jobs."""


class Run:
    """A search from its beginning, with all that must hold at every moment checked."""

    def __init__(self, spec: Mapping[str, Any], world: World | None = None) -> None:
        self.operator = Operator(spec)
        self.world = world or new_world(spec)
        self.past = [self.world]
        self.alone = True

    def step(self, step: Step) -> None:
        if isinstance(step, int):
            self.world = advance(self.world, step)
            self.past.append(self.world)
        else:
            self.look(step)

    def look(self, look: Look) -> None:
        jobs, pods = (self.past[-1 - min(behind, len(self.past) - 1)] for behind in look[:2])
        state = None
        passes = reconcile(self.operator, {"jobs": jobs, "pods": pods}, self.world)
        try:
            for requests, (world, state, _) in enumerate(passes):
                self.world = world
                self.past.append(world)
                self.check_world()
                if requests == look.crash_after:
                    state = None
                    break
        except Conflict:
            state = None
        self.operator = Operator(self.operator.spec, state)
        if state is not None:
            self.check_status(state)

    def check_world(self) -> None:
        if self.alone:
            assert self.world.busy <= self.operator.spec["parallelism"]
            assert len(set(self.world.created)) == len(self.world.created), "no trial runs twice"

    def check_status(self, state: SearchState) -> None:
        seen = observed(self.operator, self.world, self.world, self.world)
        status = status_of(seen, state)
        counts, budget = status.trials, state.settings.budget.trials
        assert counts is not None
        assert status.history is not None
        outcomes = counts.succeeded + counts.infeasible + counts.failed + counts.cached
        assert counts.total == outcomes
        assert counts.total + counts.running <= budget
        assert status.history.records == len(self.world.records) <= counts.total
        assert status.progress == f"{counts.total}/{budget}"

    @property
    def done(self) -> bool:
        return len(self.world.records) == self.operator.spec["budget"]["trials"]

    def settle(self) -> None:
        """Go on without any further trouble until nothing happens any more."""
        for number in range(2000):
            before = self.world
            self.look(Look(0, 0, None))
            if self.world == before and not self.world.running:
                return
            self.step(number)
        pytest.fail(f"still restless with {len(self.world.records)} records")

    def finish(self) -> "Run":
        """Go on without any further trouble until the budget is spent and all is tidied up."""
        for number in range(2000):
            self.look(Look(0, 0, None))
            if self.done and not self.world.running:
                self.look(Look(0, 0, None))
                return self
            self.step(number)
        pytest.fail(f"stuck with {len(self.world.records)} records and {self.world.running}")


@cache
def serial(seed: int, budget: int = BUDGET) -> tuple[TrialRecord, ...]:
    """The history of the search when one trial runs at a time and nothing goes wrong."""
    started = Run(spec_of(seed=seed, parallelism=1))
    if budget != BUDGET:
        started = raised(started, budget)
    return started.finish().world.records


def raised(run: Run, budget: int) -> Run:
    """The same search in the same world, with another budget."""
    return Run({**run.operator.spec, "budget": {"trials": budget}}, run.world)
