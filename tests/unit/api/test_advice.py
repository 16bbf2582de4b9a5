"""Advice for a search whose budget leaves it too few iterations to learn."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import make_observed, make_search, make_state
from operator_plans import status_of

from blockqnn.settings.epsilon_schedule import epsilon_at
from blockqnn.settings.presets import PRESETS
from blockqnn_api.advice import FEWEST_ITERATIONS, Advice, advise, learning_of
from blockqnn_api.resolve import pin, resolve
from blockqnn_operator.core.planning.events import beginning


def advice_for(trials: int, preset: str | None = None, **agent: Any) -> Advice | None:
    spec = {"dataset": {"name": "digits"}, "budget": {"trials": trials}, "agent": agent}
    if preset is not None:
        spec["preset"] = preset
    return advise(spec, resolve(spec))


@pytest.mark.parametrize("preset", ["AAAI2017", "CVPR2018", "MetaQNN"])
def test_a_papers_preset_with_a_small_budget_is_told_of_a_better_one(preset: str) -> None:
    advice = advice_for(64, preset)
    assert advice is not None
    learning_share = "3 of 7" if preset == "MetaQNN" else "0 of 1"
    assert advice == (
        ("preset",),
        f"With this budget the preset explores at random: {learning_share} iterations learn; "
        "preset Efficient learns in 19 of 22.",
    )
    for field, value in (("batchSize", 32), ("batchSize", 10)):
        advice = advice_for(64, preset, **{field: value})
        assert advice is not None
        assert "; without agent.batchSize, preset Efficient learns in 19 of 22." in advice.message


def test_the_papers_own_budgets_need_no_advice() -> None:
    for preset in PRESETS:
        spec = {"dataset": {"name": "digits"}, "preset": preset}
        assert advise(spec, resolve(spec)) is None


def test_the_smallest_budgets_of_efficient_are_told_of_larger_ones() -> None:
    for preset in ("Efficient", "OneGPU", None):
        assert [trials for trials in range(1, 100) if advice_for(trials, preset)] == [*range(1, 12)]
        assert advice_for(8, preset) == (
            ("budget", "trials"),
            "With this budget the preset makes few iterations: 7 of 8 iterations learn; raise "
            "budget.trials to 64 or more.",
        )


def test_a_papers_preset_with_hardly_any_budget_is_told_of_both() -> None:
    advice = advice_for(4, "CVPR2018")
    assert advice is not None
    assert advice.message.endswith("; raise budget.trials to 64 or more and use preset Efficient.")


def test_batches_and_schedules_of_ones_own_are_named() -> None:
    assert advice_for(64, "Efficient", batchSize=8) == (
        ("agent", "batchSize"),
        "With this budget the preset makes few iterations: 7 of 8 iterations learn; without "
        "agent.batchSize, preset Efficient learns in 19 of 22.",
    )
    schedule = [{"epsilon": 1.0, "iterations": 13}, {"epsilon": 0.1, "iterations": 9}]
    assert advice_for(64, None, epsilonSchedule=schedule) == (
        ("agent", "epsilonSchedule"),
        "With this budget the schedule explores at random: 9 of 22 iterations learn; without "
        "agent.epsilonSchedule, preset Efficient learns in 19 of 22.",
    )


def test_only_q_learning_explores_by_epsilon() -> None:
    assert advice_for(64, "CVPR2018") is not None
    assert advice_for(64, "CVPR2018", algorithm="RandomSearch") is None
    assert advice_for(64, "CVPR2018", algorithm="Evolution") is None


@given(st.sampled_from(sorted(PRESETS)), st.integers(1, 3000), st.integers(1, 64))
def test_advice_is_given_exactly_where_few_iterations_are_below_epsilon_1(
    preset: str, trials: int, batch: int
) -> None:
    spec = {
        "dataset": {"name": "digits"},
        "preset": preset,
        "budget": {"trials": trials},
        "agent": {"batchSize": batch},
    }
    resolved = resolve(spec)
    schedule = resolved.agent.epsilon_schedule
    iterations = -(-trials // batch)
    below = sum(epsilon_at(schedule, iteration) < 1 for iteration in range(iterations))
    assert learning_of(resolved) == (below, iterations)
    advice = advise(spec, resolved)
    assert (advice is not None) == (below < FEWEST_ITERATIONS)
    if advice is not None:
        assert f": {below} of {iterations} iterations learn; " in advice.message


def test_a_budget_that_is_raised_or_lowered_changes_the_advice() -> None:
    spec = {"dataset": {"name": "digits"}, "budget": {"trials": 2000}}
    pinned = pin(resolve(spec))
    assert advise(spec, resolve(spec, pinned)) is None
    lowered = spec | {"budget": {"trials": 200}}
    assert advise(lowered, resolve(lowered, pinned)) == (
        ("budget", "trials"),
        "With this budget the preset explores at random: 0 of 4 iterations learn; a new search "
        "with preset Efficient learns in 17 of 20.",
    )


SMALL = {"dataset": {"name": "digits"}, "preset": "CVPR2018", "budget": {"trials": 64}}


def test_the_status_and_one_event_say_so() -> None:
    state = make_state(budget={"trials": 64}, agent={"batchSize": 64})
    search = make_search(SMALL)
    observed = make_observed(search=search)
    status = status_of(observed, state)
    (event,) = beginning(search, state)
    assert event.message.startswith("With this budget the preset explores at random: 0 of 1 it")
    assert status.message == f"0 trials are running. {event.message}"
    assert (event.type, event.reason) == ("Warning", "FewLearningIterations")
    assert all(event.message not in condition.message for condition in status.conditions)


def test_an_operator_that_starts_anew_does_not_repeat_the_event() -> None:
    state = make_state(budget={"trials": 64}, agent={"batchSize": 64})
    assert not beginning(make_search(SMALL, status={"startTime": "2024-05-01T12:00:00Z"}), state)


def test_a_search_that_learns_is_told_nothing() -> None:
    state = make_state(preset="Efficient", budget={"trials": 64}, agent={"batchSize": 4})
    search = make_search({**SMALL, "preset": "Efficient", "agent": {"batchSize": 4}})
    observed = make_observed(search=search)
    assert not beginning(search, state)
    assert status_of(observed, state).message == "0 trials are running."
