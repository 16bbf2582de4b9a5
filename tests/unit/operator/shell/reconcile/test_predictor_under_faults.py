"""A search with a predictor: its history survives every fault, and its operator responds."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_builders import make_spec
from search_under_faults import (
    UP_TO_DATE,
    Arrival,
    Disturbed,
    Fault,
    Pass,
    Step,
    quick_passes,
    schedules,
)

from blockqnn_api.history.trial_record import TrialRecord

BUDGET = 30
"""Seven iterations and a half: one is random, the predictor has a say in all others."""


@pytest.fixture(autouse=True, scope="module")
def _quick_passes() -> Iterator[None]:
    with quick_passes():
        yield


def spec_of(seed: int, pipelining: int = 0) -> dict[str, Any]:
    return make_spec(
        agent={
            "batchSize": 4,
            "pipelining": pipelining,
            "duplicates": "Redraw",
            "state": "BackOff",
            "shaping": "Learned",
            "rewardScale": "Rank",
            "predictor": {"candidates": 3, "warmup": 2},
            "earlyTermination": {"epochs": [2], "warmup": 10},
            "epsilonSchedule": [
                {"epsilon": 1.0, "iterations": 1},
                {"epsilon": 0.5, "iterations": 7},
            ],
        },
        space={"maxLayers": 6},
        budget={"trials": BUDGET},
        failurePolicy={"maxFailedTrials": 99_999},
        parallelism=3,
        seed=seed,
    )


@cache
def undisturbed(seed: int, pipelining: int) -> tuple[TrialRecord, ...]:
    return tuple(Disturbed(spec_of(seed, pipelining)).finish().server.world.records)


@given(st.sampled_from([2, 3]), st.sampled_from([0, 1]), schedules)
@settings(max_examples=8, deadline=None)
def test_the_history_is_that_of_the_undisturbed_run(
    seed: int, pipelining: int, steps: list[Step]
) -> None:
    run = Disturbed(spec_of(seed, pipelining))
    for step in steps:
        run.step(step)
    assert tuple(run.finish().server.world.records) == undisturbed(seed, pipelining)


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_in_every_pass_changes_nothing(fault: Fault) -> None:
    """It strikes the first request of a pass, then the second of the next, and so on."""
    run = Disturbed(spec_of(2))
    for number in range(60):
        run.step(Pass(UP_TO_DATE, ((number % 7, fault),)))
        run.step(number)
        run.step(Arrival())
    assert tuple(run.finish().server.world.records) == undisturbed(2, 0)


def test_what_was_predicted_is_stored_beside_what_came_out() -> None:
    records = undisturbed(2, 0)
    assert len(records) == BUDGET
    rewarded = [record.iteration for record in records if record.reward is not None]
    # Of two trials with a reward the predictor has learned something; shared ones have none.
    warm = [
        r
        for r in records
        if sum(rewarded_iteration < r.iteration for rewarded_iteration in rewarded) >= 2
    ]
    assert 10 < len(warm) < BUDGET
    for record in records:
        chosen = record in warm and record.shared_with is None
        assert (record.predicted is not None) == chosen
