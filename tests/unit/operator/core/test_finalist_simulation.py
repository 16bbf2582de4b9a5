"""Whatever happens to a search, its finalists are the same, with the same results.

The same small world as for trials: Jobs run and report in any order, the operator sees old states
of them, people delete them, and the operator crashes between any two of its requests.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from finalist_simulation import (
    SEEDS,
    Deletion,
    Look,
    Run,
    Step,
    plain,
    serial,
    serial_trials,
    spec_of,
)
from finalist_world import (
    FinalistFate,
    finalist_fate,
    finalists_of,
    is_finalist,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_world import (
    is_preparation,
    without_jobs,
)

from blockqnn.contract.message import Outcome
from blockqnn_api.history.finalist_record import Finalist, FinalistRecord
from blockqnn_api.status import ConditionType, Phase, Reason


def winners(run: Run) -> dict[Finalist, FinalistRecord]:
    """The records of the finalists that are wanted in the end."""
    assert run.remembered is not None
    records = plain(finalists_of(run.world))
    return {f: records[f] for f in run.remembered.plan.wanted if f in records}


looks = st.builds(
    Look,
    jobs_behind=st.integers(0, 8),
    pods_behind=st.integers(0, 8),
    crash_after=st.none() | st.integers(0, 6),
)
steps_of = st.lists(looks | st.integers(0, 9) | st.builds(Deletion, st.integers(0, 9)), max_size=60)
seeds = st.sampled_from(SEEDS)


@given(seeds, steps_of)
@settings(max_examples=25)
def test_the_results_are_those_of_the_undisturbed_serial_run(seed: int, steps: list[Step]) -> None:
    run = Run(spec_of(seed), serial_trials(seed))
    for step in steps:
        run.step(step)
    run.settle()
    assert plain(finalists_of(run.world)) == plain(finalists_of(serial(seed).world))
    assert run.status().phase is Phase.COMPLETE
    assert run.status().best == serial(seed).status().best
    assert run.status().finalists == serial(seed).status().finalists


@given(seeds, steps_of)
@settings(max_examples=15)
def test_finalists_that_are_trained_during_the_search_end_with_the_same_winner(
    seed: int, steps: list[Step]
) -> None:
    run = Run(spec_of(seed, continuous=True))
    for step in steps:
        run.step(step)
    run.settle()
    assert winners(run) == winners(serial(seed))
    assert run.status().phase is Phase.COMPLETE
    assert run.status().best == serial(seed).status().best


@given(seeds, steps_of, steps_of, st.sampled_from(["Drain", "Stop"]))
@settings(max_examples=15)
def test_suspending_starts_nothing_and_resuming_ends_as_if_nothing_had_been(
    seed: int, before: list[Step], during: list[Step], policy: str
) -> None:
    run = Run(spec_of(seed), serial_trials(seed))
    for suspend, steps in ((False, before), (True, during)):
        run.suspended(suspend, policy)
        created = run.world.created
        for step in steps:
            run.step(step)
        assert not suspend or run.world.created == created
    run.settle()
    assert not run.world.running
    assert run.status().phase in (Phase.SUSPENDED, Phase.COMPLETE)
    assert run.status().estimated_completion_time is None, "its trials are done"
    run.suspended(False)
    run.settle()
    assert plain(finalists_of(run.world)) == plain(finalists_of(serial(seed).world))


@given(seeds, steps_of)
@settings(max_examples=15)
def test_what_fails_keeps_the_results_of_others_and_goes_on_when_it_is_mended(
    seed: int, steps: list[Step]
) -> None:
    run = Run(spec_of(seed, targets=[]), replace(serial_trials(seed), broken=True))
    for step in steps:
        run.step(step)
    run.settle()
    bad = {
        finalist
        for finalist, record in complete_run(seed).items()
        if finalist_fate(record.hash, finalist.target, finalist.seed) is FinalistFate.FAILS
    }
    assert set(finalists_of(run.world)) == set(complete_run(seed)) - bad
    status = run.status()
    reached = [r for r in finalists_of(run.world).values() if r.outcome is Outcome.SUCCEEDED]
    assert status.phase is (Phase.COMPLETE if reached or not bad else Phase.FAILED)
    if bad:
        conditions = {condition.type: condition for condition in status.conditions}
        assert conditions[ConditionType.FINALISTS_READY].reason == Reason.FOLDER_TAKEN
        assert "delete Job" in conditions[ConditionType.FINALISTS_READY].message
        assert conditions[ConditionType.DEGRADED].reason == Reason.FINALISTS_NOT_READY
    failed = {name for name, job in run.world.jobs.items() if is_finalist(job)}
    assert len(failed) == len(bad)
    run.world = without_jobs(replace(run.world, broken=False), failed)
    run.past.append(run.world)
    run.settle()
    assert plain(finalists_of(run.world)) == complete_run(seed)
    assert run.status().phase is Phase.COMPLETE


@cache
def complete_run(seed: int) -> dict[Finalist, FinalistRecord]:
    """The results on the search's own dataset."""
    records = plain(finalists_of(serial(seed).world))
    return {f: record for f, record in records.items() if not f.target}


@given(seeds, steps_of)
@settings(max_examples=15)
def test_two_operators_at_once_write_one_history(seed: int, steps: Sequence[Step]) -> None:
    run = Run(spec_of(seed), serial_trials(seed))
    other = (run.operator, run.kept)
    for number, step in enumerate(steps):
        mine = (run.operator, run.kept)
        if number % 2:
            run.operator, run.kept = other
        run.step(step)
        if number % 2:
            other = (run.operator, run.kept)
            run.operator, run.kept = mine
    run.settle()
    assert plain(finalists_of(run.world)) == plain(finalists_of(serial(seed).world))


def test_transfers_begin_when_every_finalist_of_the_own_dataset_has_a_result() -> None:
    created = serial(4).world.created
    targets = [number for number, name in enumerate(created) if "-wide-" in name]
    own = [n for n, name in enumerate(created) if "-f0" in name and name[13:16] in ("-s0", "-s1")]
    assert targets
    assert own
    assert max(own) < min(targets)


def test_the_images_of_a_target_are_prepared_once_before_it_is_trained_on() -> None:
    created = serial(4).world.created
    (prepared,) = [number for number, name in enumerate(created) if "-prepare-" in name]
    assert prepared < min(n for n, name in enumerate(created) if "-fashion-" in name)


def test_every_job_is_gone_in_the_end_but_those_of_preparations() -> None:
    world = serial(4).world
    assert not [name for name, job in world.jobs.items() if is_finalist(job)]
    assert any(is_preparation(job) for job in world.jobs.values())


def test_the_world_shows_every_fate_and_both_outcomes() -> None:
    """Else the tests above would prove less than they say."""
    records = [r for seed in SEEDS for r in finalists_of(serial(seed).world).values()]
    fates = {finalist_fate(r.hash, r.target, r.seed) for r in records}
    assert fates == set(FinalistFate)
    assert {r.outcome for r in records} == {Outcome.SUCCEEDED, Outcome.INFEASIBLE}
    assert {r.target for r in records} == {"", "wide", "fashion"}
    assert any(
        finalist_fate(r.hash, r.target, r.seed) is FinalistFate.FAILS
        for seed in SEEDS
        for r in complete_run(seed).values()
    )
