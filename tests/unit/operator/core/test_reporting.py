"""The status: what people and scripts read of a search."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from operator_builders import (
    BLOCKS,
    NOW,
    A,
    B,
    C,
    D,
    at,
    failed,
    infeasible,
    make_job,
    make_observed,
    make_pod,
    make_record,
    make_search,
    make_spec,
    make_state,
    succeeded,
)
from operator_plans import BAD, GOOD, UNFIT, condition, history_of, status_of

from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import Seconds
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.objects import write_time
from blockqnn_api.status import (
    LONGEST_MESSAGE,
    MOST_TOP,
    BlockSearchStatus,
    ConditionType,
    Phase,
    Reason,
)
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.events import transitions
from blockqnn_operator.core.reporting.conditions import Problem, previous_status
from blockqnn_operator.core.reporting.status import dump, report_stopped

SHARED = Outcome.CACHED


def reported(
    *jobs: TrialJob,
    records: Sequence[TrialRecord] = (),
    script: Sequence[Block] = BLOCKS,
    status: Mapping[str, Any] | None = None,
    after: float = 0,
    generation: int = 1,
    problems: Sequence[Problem] = (),
    **changes: Any,
) -> BlockSearchStatus:
    """The status of a search with these Jobs and records, some seconds after NOW."""
    state = make_state(script, records, **changes)
    search = make_search(make_spec(**changes), status=status, generation=generation)
    seen = make_observed(*jobs, search=search, now=at(after))
    return status_of(seen, state, problems)


def truths(status: BlockSearchStatus) -> dict[str, str]:
    return {condition.type.value: condition.status for condition in status.conditions}


RUNNING_JOBS = (make_job(0, A), make_job(1, B))
ADVICE = (
    "With this budget the preset explores at random: 1 of 2 iterations learn; raise budget.trials "
    "to 64 or more and use preset Efficient."
)
TOLERANT_OF_NONE = {"failurePolicy": {"maxFailedTrials": 0}}

CASES: dict[str, tuple[BlockSearchStatus, Phase, dict[str, str], str]] = {
    "running": (
        reported(*RUNNING_JOBS),
        Phase.RUNNING,
        {"Progressing": "TrialsRunning", "Complete": "BudgetLeft", "Failed": "AsExpected"},
        f"2 trials are running. {ADVICE}",
    ),
    "complete": (
        reported(records=history_of(*[GOOD] * 8)),
        Phase.COMPLETE,
        {"Progressing": "BudgetSpent", "Complete": "BudgetSpent", "Failed": "AsExpected"},
        f"All 8 trials of the budget have a result. {ADVICE}",
    ),
    "suspended": (
        reported(*RUNNING_JOBS, suspend=True),
        Phase.SUSPENDED,
        {"Progressing": "Suspended", "Complete": "BudgetLeft", "Suspended": "Suspended"},
        f"Suspended by spec.suspend; 2 trials are running. {ADVICE}",
    ),
    "failed": (
        reported(failed(0, A), **TOLERANT_OF_NONE),
        Phase.FAILED,
        {
            "Progressing": "TooManyFailures",
            "Failed": "TooManyFailures",
            "Complete": "BudgetLeft",
            "Degraded": "TrialsFailed",
        },
        "1 trials failed, more than the 0 of spec.failurePolicy.maxFailedTrials. The Events and "
        "the Jobs' logs give the reasons. Raise it to continue.",
    ),
}


@pytest.mark.parametrize(("status", "phase", "reasons", "message"), CASES.values(), ids=CASES)
def test_phase_conditions_and_message_tell_the_same_story(
    status: BlockSearchStatus, phase: Phase, reasons: dict[str, str], message: str
) -> None:
    assert (status.phase, status.message) == (phase, message)
    reasons_by_type = {condition.type.value: condition.reason for condition in status.conditions}
    assert reasons_by_type.items() >= reasons.items()
    assert truths(status) == {
        "Progressing": str(phase is Phase.RUNNING),
        "Complete": str(phase is Phase.COMPLETE),
        "Failed": str(phase is Phase.FAILED),
        "Suspended": str(phase is Phase.SUSPENDED),
        "DatasetReady": "True",
        "Degraded": str(phase is Phase.FAILED),
    }


def test_a_finished_search_is_complete_even_when_it_is_suspended_or_had_many_failures() -> None:
    records = history_of(*[BAD] * 7, GOOD)
    status = reported(records=records, suspend=True, **TOLERANT_OF_NONE)
    assert status.phase is Phase.COMPLETE
    assert truths(status) | {"Degraded": ""} == {
        "Progressing": "False",
        "Complete": "True",
        "Failed": "False",
        "Suspended": "True",
        "DatasetReady": "True",
        "Degraded": "",
    }


class TestDegraded:
    def degraded(self, status: BlockSearchStatus) -> tuple[str, str, str]:
        matching = condition(status, ConditionType.DEGRADED)
        return matching.status, matching.reason, matching.message

    def test_nothing_is_wrong(self) -> None:
        assert self.degraded(reported(*RUNNING_JOBS)) == (
            "False",
            "AsExpected",
            "All recent trials have a result.",
        )

    def test_infeasible_blocks_are_as_expected(self) -> None:
        assert self.degraded(reported(infeasible(0, A)))[0] == "False"

    def test_an_open_failure_is_quoted(self) -> None:
        assert self.degraded(reported(failed(0, A), failed(1, B), make_job(2, C))) == (
            "True",
            "TrialsFailed",
            "The latest failed trial is 1: Something happened.",
        )

    def test_a_failure_in_the_history_is_quoted(self) -> None:
        records = history_of(GOOD, BAD, GOOD, GOOD)
        records[1] = records[1].model_copy(update={"message": "The disk is full."})
        assert self.degraded(reported(records=records)) == (
            "True",
            "TrialsFailed",
            "The latest failed trial is 1: The disk is full.",
        )

    def test_a_failure_before_the_latest_iteration_is_forgiven(self) -> None:
        records = history_of(BAD, *[GOOD] * 4)
        assert self.degraded(reported(records=records))[0] == "False"

    def test_an_invalid_result_is_named(self) -> None:
        status = self.degraded(reported(make_job(0, A, result="null")))
        assert status[:2] == ("True", "ResultInvalid")
        assert status[2].startswith("Trial 0: Its annotation is not a valid result: ")

    def test_pods_without_a_node_are_reported_in_the_schedulers_words(self) -> None:
        words = "0/1 nodes are available: 1 Insufficient cpu."
        pods = [
            make_pod(trial, unplaced=words, created_at=at(-60), name=f"pod-{trial}")
            for trial in (0, 1)
        ]
        state = make_state()
        seen = make_observed(*RUNNING_JOBS, pods=pods)
        status = status_of(seen, state)
        assert status.phase is Phase.RUNNING
        assert self.degraded(status) == (
            "True",
            "Unschedulable",
            f"2 Pods wait for a node: {words}",
        )

    def test_jobs_that_get_no_pod_are_named(self) -> None:
        jobs = [make_job(0, A, created_at=at(-60)), make_job(1, B, created_at=at(-61))]
        value, reason, message = self.degraded(reported(*jobs))
        assert (value, reason) == ("True", "PodsMissing")
        assert message.startswith("2 Jobs have no Pod, such as digits-t00000-a0. If a quota")

    def test_jobs_that_a_queue_has_not_admitted_are_counted(self) -> None:
        jobs = [make_job(0, A, suspended=True), make_job(1, B, suspended=True)]
        assert self.degraded(reported(*jobs)) == (
            "True",
            "Queued",
            "2 Jobs are suspended until a queue, such as Kueue's, admits them.",
        )

    def test_what_the_api_server_refuses_comes_first(self) -> None:
        problem = Problem(Reason.QUOTA_EXCEEDED, "Waiting for quota: no GPU is left.")
        assert self.degraded(reported(failed(0, A), problems=[problem])) == (
            "True",
            "QuotaExceeded",
            "Waiting for quota: no GPU is left.",
        )

    def test_a_long_message_is_cut(self) -> None:
        problem = Problem(Reason.JOB_REFUSED, "x" * 5000)
        assert len(self.degraded(reported(problems=[problem]))[2]) == LONGEST_MESSAGE


class TestCounts:
    def test_every_outcome_is_counted_whether_archived_or_open(self) -> None:
        records = history_of(GOOD, BAD, UNFIT, SHARED)
        jobs = [succeeded(4, BLOCKS[4]), failed(5, BLOCKS[5]), make_job(6, BLOCKS[6])]
        status = reported(*jobs, records=records, script=[*BLOCKS[:7], BLOCKS[4]])
        assert status.trials is not None
        assert status.trials.model_dump(by_alias=False) == {
            "total": 7,
            "running": 1,
            "succeeded": 2,
            "infeasible": 1,
            "failed": 2,
            "cached": 2,
        }
        assert status.progress == "7/8"

    def test_a_job_that_has_ended_but_whose_result_is_not_durable_still_runs(self) -> None:
        status = reported(make_job(0, A, condition="Complete"))
        assert status.trials is not None
        assert (status.trials.running, status.trials.total) == (1, 0)

    def test_gpu_time_is_that_of_the_history(self) -> None:
        records = [
            make_record(0, A, gpus=4, seconds=Seconds(total=100.04)),
            make_record(1, B, gpus=0, seconds=Seconds(total=100)),
        ]
        assert reported(records=records, budget={"trials": 2}).gpu_seconds == 400.2

    def test_shards_and_records_are_counted(self) -> None:
        status = reported(succeeded(4, BLOCKS[4]), records=history_of(*[GOOD] * 4))
        assert status.history is not None
        assert (status.history.shards, status.history.records) == (1, 4)


class TestIteration:
    SCHEDULE = {  # noqa: RUF012
        "agent": {
            "batchSize": 4,
            "epsilonSchedule": [
                {"epsilon": 1.0, "iterations": 1},
                {"epsilon": 0.25, "iterations": 1},
            ],
        }
    }

    @pytest.mark.parametrize(
        ("archived", "iteration", "epsilon"), [(0, 0, 1.0), (2, 0, 1.0), (4, 1, 0.25), (8, 2, 0.25)]
    )
    def test_it_is_the_lowest_that_is_not_in_the_history(
        self, archived: int, iteration: int, epsilon: float
    ) -> None:
        status = reported(records=history_of(*[GOOD] * archived), **self.SCHEDULE)
        assert (status.iteration, status.epsilon) == (iteration, epsilon)

    def test_one_that_a_raised_budget_completes_is_not_over(self) -> None:
        status = reported(records=history_of(*[GOOD] * 6), **self.SCHEDULE)
        assert status.iteration == 1


class TestBest:
    def test_there_is_none_before_a_block_was_trained(self) -> None:
        status = reported(infeasible(0, A), failed(1, B))
        assert (status.best, status.top) == (None, ())

    def test_it_is_the_block_with_the_highest_reward_of_equals_the_earliest(self) -> None:
        records = [
            make_record(0, A, reward=40.0),
            make_record(1, B, reward=60.0, accuracy=0.654321987, parameters=7466, macs=481_280),
            make_record(2, C, reward=60.0),
            make_record(3, D, reward=50.0),
        ]
        status = reported(records=records)
        assert status.best is not None
        assert status.best.model_dump(by_alias=False) == {
            "trial": 1,
            "block": str(B),
            "accuracy": 0.654322,
            "reward": 60.0,
            "converged_accuracy": None,
            "parameters": 7466,
            "macs": 481_280,
        }
        assert [block.trial for block in status.top] == [1, 2, 3, 0]

    def test_open_trials_count_as_soon_as_their_result_is_durable(self) -> None:
        status = reported(succeeded(0, A, 0.5), succeeded(1, B, 0.9))
        assert [block.trial for block in status.top] == [1, 0]

    def test_duplicates_and_infeasible_blocks_are_left_out(self) -> None:
        records = history_of(GOOD, SHARED, UNFIT, GOOD)
        assert [block.trial for block in reported(records=records).top] == [0, 3]

    def test_only_the_first_ten_are_listed(self) -> None:
        records = [make_record(trial, A, reward=float(trial)) for trial in range(16)]
        status = reported(records=records, budget={"trials": 16})
        assert [block.trial for block in status.top] == list(range(15, 5, -1))
        assert len(status.top) == MOST_TOP


class TestTimes:
    def test_the_start_is_when_the_search_was_first_seen(self) -> None:
        first = reported()
        assert first.start_time == write_time(NOW)
        assert reported(status=dump(first), after=60).start_time == write_time(NOW)

    def test_a_condition_keeps_its_time_until_its_status_changes(self) -> None:
        first = reported(*RUNNING_JOBS)
        later = reported(failed(0, A), status=dump(first), after=60, generation=2)
        assert condition(later, ConditionType.PROGRESSING).last_transition_time == write_time(NOW)
        assert condition(later, ConditionType.DEGRADED).last_transition_time == write_time(at(60))
        assert {condition.observed_generation for condition in later.conditions} == {2}
        assert later.observed_generation == 2

    def test_completion_is_dated_once(self) -> None:
        records = history_of(*[GOOD] * 8)
        done = reported(records=records, after=100)
        assert done.completion_time == write_time(at(100))
        assert done.estimated_completion_time is None
        assert reported(records=records, after=200, status=dump(done)) == done

    def test_a_search_that_goes_on_is_not_complete_any_more(self) -> None:
        done = reported(records=history_of(*[GOOD] * 8), after=100)
        more = reported(
            records=history_of(*[GOOD] * 8), after=200, status=dump(done), budget={"trials": 16}
        )
        assert (more.phase, more.completion_time) == (Phase.RUNNING, None)
        assert condition(more, ConditionType.COMPLETE).status == "False"
        assert more.estimated_completion_time == write_time(at(400))

    def test_the_end_is_estimated_from_the_rate_so_far(self) -> None:
        first = reported()
        assert first.estimated_completion_time is None
        half = reported(records=history_of(*[GOOD] * 4), status=dump(first), after=100)
        assert half.estimated_completion_time == write_time(at(200))

    def test_the_estimate_is_updated_with_each_iteration_only(self) -> None:
        half = reported(records=history_of(*[GOOD] * 4), status=dump(reported()), after=100)
        later = reported(records=history_of(*[GOOD] * 4), status=dump(half), after=150)
        assert later.estimated_completion_time == half.estimated_completion_time


def test_a_lost_status_starts_when_the_search_was_created() -> None:
    status = reported(records=history_of(*[GOOD] * 4), after=3600)
    assert status.start_time == write_time(NOW)


def test_nothing_changes_while_nothing_happens() -> None:
    first = reported(*RUNNING_JOBS)
    assert reported(*RUNNING_JOBS, status=dump(first), after=3600) == first


def test_a_lost_or_foreign_status_is_written_anew() -> None:
    for status in ({}, {"phase": "Dreaming"}, {"observedGeneration": 1, "newerField": 1}):
        assert reported(*RUNNING_JOBS, status=status) == reported(*RUNNING_JOBS)


def test_a_status_reads_back_as_it_was_written() -> None:
    status = reported(succeeded(0, A), *RUNNING_JOBS[1:])
    assert previous_status(make_observed(search=make_search(status=dump(status)))) == status


def test_the_size_of_a_status_does_not_grow_with_the_search() -> None:
    """20,000 trials of the longest blocks, with every text at its longest."""
    longest = "(64,5,0,62,63)" * 64
    record = make_record(0, A, code=longest, message="x" * 400, parameters=10**12, macs=10**15)
    records = [record.model_copy(update={"trial": n, "reward": n / 7}) for n in range(20_000)]
    state = make_state(budget={"trials": 99_999}, suspend=True, agent={"batchSize": 4096})
    state.archive.extend(records)
    seen = make_observed(failed(20_000, A))
    problem = Problem(Reason.JOB_REFUSED, "x" * 5000)
    status = status_of(seen, state, [problem])
    assert status.progress.endswith("/99999")
    assert len(json.dumps(dump(status))) <= 64 * 1024


class TestStopped:
    PROBLEM = Problem(Reason.HISTORY_UNREADABLE, "Shard 1 of the history is missing.")

    def stopped(self, status: Mapping[str, Any] | None = None) -> BlockSearchStatus:
        search = make_search(status=status, generation=3)
        return report_stopped(make_observed(search=search, now=at(60)), self.PROBLEM)

    def test_it_says_that_it_failed_and_why(self) -> None:
        status = self.stopped()
        assert (status.phase, status.message) == (Phase.FAILED, self.PROBLEM.message)
        assert status.observed_generation == 3
        for kind, truth in ((ConditionType.FAILED, "True"), (ConditionType.PROGRESSING, "False")):
            matching = condition(status, kind)
            assert (matching.status, matching.reason) == (truth, "HistoryUnreadable")
            assert matching.message == self.PROBLEM.message
            assert matching.last_transition_time == write_time(at(60))

    def test_what_was_known_stays(self) -> None:
        before = reported(succeeded(0, A), make_job(1, B))
        status = self.stopped(dump(before))
        assert (status.best, status.trials, status.start_time) == (
            before.best,
            before.trials,
            before.start_time,
        )

    def test_it_is_forgotten_when_the_search_goes_on(self) -> None:
        status = dump(self.stopped(dump(reported(*RUNNING_JOBS))))
        again = reported(*RUNNING_JOBS, status=status, after=120)
        assert again.phase is Phase.RUNNING
        assert condition(again, ConditionType.FAILED).status == "False"


class TestTransitions:
    def told(self, before: BlockSearchStatus, after: BlockSearchStatus) -> list[tuple[str, str]]:
        return [(event.type, event.reason) for event in transitions(before.conditions, after)]

    def test_what_becomes_true_is_told_once(self) -> None:
        running = reported(*RUNNING_JOBS)
        done = reported(records=history_of(*[GOOD] * 8), status=dump(running), after=9)
        assert self.told(running, done) == [("Normal", "Complete")]
        assert self.told(done, done) == []

    def test_troubles_are_warnings(self) -> None:
        running = reported(*RUNNING_JOBS)
        over = reported(failed(0, A), status=dump(running), **TOLERANT_OF_NONE)
        assert self.told(running, over) == [("Warning", "Failed"), ("Warning", "TrialsFailed")]

    def test_another_reason_is_told_anew(self) -> None:
        first_status = reported(failed(0, A))
        problem = Problem(Reason.QUOTA_EXCEEDED, "Waiting for quota.")
        other = reported(failed(0, A), status=dump(first_status), problems=[problem])
        assert self.told(first_status, other) == [("Warning", "QuotaExceeded")]

    def test_suspension_is_told(self) -> None:
        running = reported(*RUNNING_JOBS)
        assert self.told(running, reported(*RUNNING_JOBS, suspend=True)) == [
            ("Normal", "Suspended")
        ]
