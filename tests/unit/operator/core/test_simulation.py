"""Whatever happens to a search, its history comes out the same, record for record.

The operator's pure core is driven through a small world (operator_world.py): Jobs run and report in
any order, the operator sees old states of them, and it crashes between any two of its requests.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_plans import status_of
from operator_world import (
    Fate,
    Operator,
    drained,
    fate_of,
    is_preparation,
    observed,
    recovered,
    without_jobs,
)
from search_simulation import AGENT, BUDGET, SEEDS, Look, Run, Step, raised, serial, spec_of

from blockqnn.contract.message import Outcome
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.status import Phase


def disturbed(steps: Sequence[Step], **changes: Any) -> Run:
    run = Run(spec_of(**changes))
    for step in steps:
        run.step(step)
    return run.finish()


looks = st.builds(
    Look,
    jobs_behind=st.integers(0, 12),
    pods_behind=st.integers(0, 12),
    crash_after=st.none() | st.integers(0, 6),
)
schedules = st.lists(looks | st.integers(0, 9), max_size=60)
seeds = st.sampled_from(SEEDS)
parallelisms = st.sampled_from([1, 2, 3, 5, 14])


@given(seeds, parallelisms, schedules)
def test_the_history_is_that_of_the_undisturbed_serial_run(
    seed: int, parallelism: int, steps: list[Step]
) -> None:
    run = disturbed(steps, seed=seed, parallelism=parallelism)
    assert run.world.records == serial(seed)


@given(seeds, parallelisms, schedules, st.integers(1, BUDGET))
@settings(max_examples=40)
def test_a_budget_that_is_raised_later_gives_the_history_of_one_that_was_larger_at_once(
    seed: int, parallelism: int, steps: list[Step], first_budget: int
) -> None:
    run = Run(spec_of(seed=seed, parallelism=parallelism))
    run = raised(run, first_budget).finish()
    assert run.world.records == serial(seed)[:first_budget]
    run = raised(run, 18)
    for step in steps:
        run.step(step)
    assert run.finish().world.records == serial(seed, 18)


@given(seeds, schedules, schedules, schedules)
@settings(max_examples=20)
def test_suspending_and_resuming_changes_nothing(
    seed: int, before: list[Step], during: list[Step], after: list[Step]
) -> None:
    run = Run(spec_of(seed=seed, parallelism=3))
    for suspend, steps in ((False, before), (True, during), (False, after)):
        run.operator = Operator({**run.operator.spec, "suspend": suspend}, run.operator.state)
        created = run.world.created
        for step in steps:
            run.step(step)
        assert not suspend or run.world.created == created
    assert run.finish().world.records == serial(seed)


@given(seeds, parallelisms, schedules, st.floats(0.1, 1.0), st.sampled_from(["Drain", "Stop"]))
@settings(max_examples=40)
def test_a_search_that_its_goal_cuts_short_goes_on_as_if_it_had_never_been_cut(
    seed: int, parallelism: int, steps: list[Step], target: float, policy: str
) -> None:
    """Timing decides where the cut is, and nothing else."""
    spec = spec_of(seed=seed, parallelism=parallelism, suspendPolicy=policy)
    limited = {**spec, "budget": {"trials": BUDGET, "targetAccuracy": target}}
    run = Run(limited)
    run.alone = policy == "Drain"
    for step in steps:
        run.step(step)
    run.settle()
    cut = run.world.records
    assert cut == serial(seed)[: len(cut)]
    assert len(cut) == BUDGET or max(record.accuracy or 0 for record in cut) >= target
    again = Run(spec, run.world)
    again.alone = run.alone
    assert again.finish().world.records == serial(seed)


ON_A_VOLUME: dict[str, Any] = {
    "dataset": {"name": "cifar10", "volume": {"persistentVolumeClaim": {"claimName": "datasets"}}}
}


class PreparedRun(Run):
    """A search whose dataset must be prepared first, which must hold at every moment."""

    def look(self, look: Look) -> None:
        created = self.world.created
        super().look(look)
        preparations = [job for job in self.world.jobs.values() if is_preparation(job)]
        done = any("conditions" in job["status"] for job in preparations)
        new = self.world.created[len(created) :]
        assert done or not [name for name in new if "-prepare-" not in name]
        assert len(preparations) <= 1

    def mend(self) -> None:
        """Mend the dataset, and delete the Job that has failed because of it."""
        failed = {
            name
            for name, job in self.world.jobs.items()
            if is_preparation(job) and "conditions" in job["status"]
        }
        self.world = without_jobs(replace(self.world, broken=False), failed)
        # Else the next Job of that name would look as if it were made twice.
        remaining = tuple(name for name in self.world.created if name not in failed)
        self.world = replace(self.world, created=remaining)
        self.past.append(self.world)


@given(seeds, parallelisms, schedules)
@settings(max_examples=40)
def test_the_dataset_is_prepared_once_before_the_first_trial_and_changes_no_record(
    seed: int, parallelism: int, steps: list[Step]
) -> None:
    run = PreparedRun(spec_of(seed=seed, parallelism=parallelism, **ON_A_VOLUME))
    for step in steps:
        run.step(step)
    assert run.finish().world.records == serial(seed)
    assert sum("-prepare-" in name for name in run.world.created) == 1


@given(seeds, schedules, schedules)
@settings(max_examples=40)
def test_a_broken_dataset_starts_no_trial_and_the_search_goes_on_when_it_is_mended(
    seed: int, before: list[Step], after: list[Step]
) -> None:
    run = PreparedRun(spec_of(seed=seed, parallelism=3, **ON_A_VOLUME))
    run.world = replace(run.world, broken=True)
    for step in before:
        run.step(step)
    run.settle()
    assert len(run.world.created) == 1
    state = run.operator.state or recovered(run.operator.spec, run.world)
    seen = observed(run.operator, run.world, run.world, run.world)
    status = status_of(seen, state)
    assert status.phase is Phase.FAILED
    run.mend()
    for step in after:
        run.step(step)
    assert run.finish().world.records == serial(seed)


@given(seeds, schedules)
@settings(max_examples=20)
def test_a_suspended_search_does_not_begin_to_prepare(seed: int, steps: list[Step]) -> None:
    run = PreparedRun(spec_of(seed=seed, parallelism=3, suspend=True, **ON_A_VOLUME))
    for step in steps:
        run.step(step)
    assert run.world.created == ()


class Drain(NamedTuple):
    """A Pod of several trials is deleted."""

    pod: int
    done: int
    """Most of its trials that have their results."""


class GroupedRun(Run):
    """A search whose Jobs train several blocks each."""

    def step(self, step: Step | Drain) -> None:
        if isinstance(step, Drain):
            self.world = drained(self.world, step.pod, step.done)
            self.past.append(self.world)
        else:
            super().step(step)


drains = st.builds(Drain, st.integers(0, 9), st.integers(0, 3))


def but_for_attempts(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The records without how often a trial was tried, and how nonsense was called."""
    return [
        record.model_copy(
            update={
                "attempt": 0,
                "message": "" if record.reason == "ResultInvalid" else record.message,
            }
        )
        for record in records
    ]


@given(seeds, parallelisms, st.lists(looks | drains | st.integers(0, 9), max_size=60))
def test_several_blocks_in_a_job_give_the_history_of_one_in_each(
    seed: int, parallelism: int, steps: list[Step | Drain]
) -> None:
    for blocks in (2, 4):
        spec = spec_of(seed=seed, parallelism=parallelism, trial={"blocksPerJob": blocks})
        run = GroupedRun(spec)
        for step in steps:
            run.step(step)
        run.finish()
        assert but_for_attempts(run.world.records) == but_for_attempts(serial(seed))


def test_without_trouble_there_is_one_job_for_each_group() -> None:
    run = GroupedRun(spec_of(seed=1, parallelism=2, trial={"blocksPerJob": 4}))
    run.finish()
    firsts = [name for name in run.world.created if name.endswith("-a0")]
    assert len(firsts) <= len(serial(1)) // 2


def piped(seed: int, pipelining: int, parallelism: int) -> Run:
    spec = spec_of(seed=seed, parallelism=parallelism)
    return Run({**spec, "agent": {**AGENT, "pipelining": pipelining}})


@cache
def serial_piped(seed: int, pipelining: int) -> tuple[TrialRecord, ...]:
    return piped(seed, pipelining, 1).finish().world.records


@given(seeds, parallelisms, schedules, st.sampled_from([1, 2]))
@settings(max_examples=40)
def test_a_pipelined_search_has_one_history_whatever_its_timing(
    seed: int, parallelism: int, steps: list[Step], pipelining: int
) -> None:
    run = piped(seed, pipelining, parallelism)
    for step in steps:
        run.step(step)
    assert run.finish().world.records == serial_piped(seed, pipelining)


def test_pipelining_changes_what_is_proposed_and_starts_before_the_iteration_before_is_over() -> (
    None
):
    assert any(serial_piped(seed, 1) != serial(seed) for seed in SEEDS)
    run = piped(1, 1, 14)
    third_iteration = tuple(f"digits-t000{trial:02}" for trial in range(8, 12))
    for number in range(500):
        run.look(Look(0, 0, None))
        if any(name.startswith(third_iteration) for name in run.world.created):
            break
        run.step(number)
    assert len(run.world.records) < 8, "iteration 2 starts when iteration 0 is learned"


@given(seeds, st.lists(st.tuples(st.booleans(), looks | st.integers(0, 9)), max_size=60))
@settings(max_examples=40)
def test_two_operators_at_once_write_the_history_of_one(
    seed: int, steps: list[tuple[bool, Step]]
) -> None:
    """One may have an old history in mind: it wastes a trial, but what is stored stays right."""
    run = Run(spec_of(seed=seed, parallelism=3))
    run.alone = False
    other = run.operator
    for second, step in steps:
        if second:
            run.operator, other = other, run.operator
        run.step(step)
        if second:
            run.operator, other = other, run.operator
    assert run.finish().world.records == serial(seed)


@given(seeds, schedules)
@settings(max_examples=40)
def test_the_live_state_is_the_recovered_one(seed: int, steps: list[Step]) -> None:
    run = Run(spec_of(seed=seed, parallelism=3))
    for step in steps:
        run.step(step)
        live = run.operator.state
        if live is not None:
            again = recovered(run.operator.spec, run.world)
            assert live.archive == again.archive
            assert live.shards == again.shards
            assert live.agent.learned == again.agent.learned
            nxt = live.agent.learned
            assert live.agent.proposals(nxt) == again.agent.proposals(nxt)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_last_word_on_every_job_is_tidy(seed: int) -> None:
    """Ten failed or infeasible Jobs at most are kept, all labelled; nothing runs."""
    world = Run(spec_of(seed=seed, parallelism=3)).finish().world
    unhappy = [
        f"digits-t{record.trial:05d}-a{attempt}"
        for record in world.records
        if record.outcome in (Outcome.FAILED, Outcome.INFEASIBLE)
        for attempt in range(record.attempt + 1)
    ]
    assert sorted(world.jobs) == unhappy[-10:]
    assert {
        body["metadata"]["labels"]["blockqnn.dev/archived"] for body in world.jobs.values()
    } <= {"true"}


def records() -> Iterator[TrialRecord]:
    for seed in SEEDS:
        yield from serial(seed, 18)


def test_the_world_shows_every_fate_and_every_outcome() -> None:
    """Else the tests above would prove less than they say."""
    assert {fate_of(record.hash) for record in records()} == set(Fate)
    assert {record.outcome for record in records()} == set(Outcome)
    random = Counter(record.hash for record in serial(1)[:8] if record.outcome is Outcome.FAILED)
    assert max(random.values()) == 3, "a network that fails is proposed thrice at the same time"


def test_every_trial_ends_as_its_network_must() -> None:
    failures = {Fate.FAILS, Fate.BAD_INPUT, Fate.KILLED, Fate.SAYS_NOTHING, Fate.TALKS_NONSENSE}
    for record in records():
        failed = fate_of(record.hash) in failures
        assert (record.outcome is Outcome.FAILED) == failed
        if record.outcome is Outcome.FAILED:
            assert record.reward is None
        silent = fate_of(record.hash) in (Fate.SAYS_NOTHING, Fate.TALKS_NONSENSE)
        assert record.attempt == (2 if silent else 0), "only a missing result is asked for again"


def test_no_network_is_trained_twice_unless_it_failed() -> None:
    for seed in SEEDS:
        trained = Counter(
            record.hash for record in serial(seed, 18) if record.outcome is Outcome.SUCCEEDED
        )
        assert set(trained.values()) == {1}
