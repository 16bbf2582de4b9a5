"""The decision: which Jobs to create, which results to keep, what to archive and what to delete.

Iterations have four trials here, and the budget is two iterations unless a test says otherwise.
"""

from typing import Any

import pytest
from operator_builders import (
    BLOCKS,
    NOW,
    UID,
    A,
    B,
    C,
    D,
    at,
    chain,
    failed,
    infeasible,
    make_job,
    make_observed,
    make_pod,
    make_record,
    make_result,
    make_state,
    succeeded,
)
from operator_plans import (
    BAD,
    FIRST_FOUR,
    GOOD,
    LEARNING,
    RANDOM,
    UNFIT,
    archived,
    created,
    decide,
    history_of,
    planned,
    stages,
)

from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.assessment import assess
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.retention import NOTHING_TO_CLEAN
from blockqnn_operator.core.planning.trials import Plan


class TestCreating:
    def test_a_new_search_starts_its_first_trials(self) -> None:
        assert created(planned(parallelism=3)) == [0, 1, 2]

    def test_trials_are_started_in_order_as_slots_become_free(self) -> None:
        assert created(planned(succeeded(0), make_job(1, B), parallelism=2)) == [2]
        assert created(planned(make_job(0), make_job(1, B), parallelism=2)) == []
        assert created(planned(make_job(0), make_job(1, B), parallelism=4)) == [2, 3]

    def test_a_gap_is_filled_first(self) -> None:
        assert created(planned(make_job(1, B), make_job(2, C), parallelism=3)) == [0]

    def test_a_job_keeps_its_slot_until_its_result_is_its_annotation(self) -> None:
        pod = make_pod(0, exit_code=0, message=make_result())
        assert created(planned(make_job(0), pods=[pod], parallelism=1)) == []

    def test_parallelism_below_what_runs_starts_nothing(self) -> None:
        assert created(planned(make_job(0), make_job(1, B), make_job(2, C), parallelism=1)) == []

    def test_random_iterations_run_at_the_same_time(self) -> None:
        assert created(planned(parallelism=6, **RANDOM)) == [0, 1, 2, 3, 4, 5]

    def test_an_iteration_that_depends_on_what_is_learned_waits_for_the_one_before(self) -> None:
        jobs = [succeeded(0, A), succeeded(1, B), make_job(2, C), succeeded(3, D)]
        assert created(planned(*jobs, parallelism=6, **LEARNING)) == []
        done = history_of(GOOD, GOOD, GOOD, GOOD)
        assert created(planned(records=done, parallelism=3, **LEARNING)) == [4, 5, 6]

    def test_nothing_is_started_beyond_the_budget(self) -> None:
        assert created(planned(parallelism=32, budget={"trials": 3})) == [0, 1, 2]
        done = history_of(GOOD, GOOD, GOOD)
        assert created(planned(records=done, budget={"trials": 3})) == []

    def test_a_suspended_search_starts_nothing_and_goes_on_with_what_runs(self) -> None:
        jobs = [*FIRST_FOUR, make_job(4, BLOCKS[4])]
        pod = make_pod(4, exit_code=0, message=make_result(4, BLOCKS[4]))
        decided = planned(*jobs, pods=[pod], suspend=True, parallelism=9, **RANDOM)
        assert created(decided) == []
        assert [trial.number for trial in decided.annotate] == [4]
        assert archived(decided) == [0, 1, 2, 3]

    def test_a_deleted_job_is_created_again(self) -> None:
        assert created(planned(make_job(0, deleting=True), parallelism=1)) == [0]

    def test_an_archived_trial_is_never_started_again(self) -> None:
        decided = planned(records=history_of(GOOD, BAD, UNFIT, GOOD), parallelism=9)
        assert created(decided) == [4, 5, 6, 7]

    def test_an_archived_part_of_an_iteration_is_not_started_again(self) -> None:
        """As after a crash between the writes of two shards."""
        assert created(planned(records=history_of(GOOD, GOOD), parallelism=2)) == [2, 3]


class TestFailures:
    POLICY = {"failurePolicy": {"maxFailedTrials": 1}}  # noqa: RUF012

    def test_as_many_failures_as_are_tolerated_stop_nothing(self) -> None:
        assert created(planned(failed(0, A), parallelism=1, **self.POLICY)) == [1]

    def test_one_more_stops_the_search(self) -> None:
        jobs = [failed(0, A), failed(1, B)]
        assert created(planned(*jobs, parallelism=9, **self.POLICY)) == []

    def test_failures_in_the_history_count_with_the_open_ones(self) -> None:
        records = history_of(GOOD, BAD, GOOD, GOOD)
        assert created(planned(failed(4, BLOCKS[4]), records=records, **self.POLICY)) == []
        assert created(planned(records=records, **self.POLICY)) == [4, 5]

    def test_infeasible_blocks_are_no_failures(self) -> None:
        jobs = [infeasible(0, A), infeasible(1, B)]
        assert created(planned(*jobs, parallelism=1, **self.POLICY)) == [2]

    def test_raising_the_limit_goes_on(self) -> None:
        state = make_state(parallelism=1, **self.POLICY)
        observed = make_observed(failed(0, A), failed(1, B))
        assert assess(observed, state).too_many_failures
        raised = make_state(parallelism=1, failurePolicy={"maxFailedTrials": 2})
        assert created(decide(observed, raised)) == [2]

    def test_what_runs_when_the_search_stops_is_still_archived(self) -> None:
        jobs = [failed(0, A), failed(1, B), succeeded(2, C), succeeded(3, D)]
        assert archived(planned(*jobs, **self.POLICY)) == [0, 1, 2, 3]


TWINS = [A, A, B, A]
"""The first, second and fourth trial of each iteration mean the same network."""


class TestDuplicates:
    def test_a_duplicate_costs_no_job(self) -> None:
        decided = planned(script=TWINS, parallelism=9)
        assert created(decided) == [0, 2]
        assert stages(decided)[1] is stages(decided)[3] is Stage.WAITING

    def test_a_duplicate_shares_the_result_of_the_lowest_number(self) -> None:
        decided = planned(succeeded(0, A, 0.9), succeeded(2, B), script=TWINS)
        assert archived(decided)[:4] == [0, 1, 2, 3]
        for twin in (decided.archive[1], decided.archive[3]):
            assert (twin.outcome, twin.shared_with) == (Outcome.CACHED, 0)
            assert (twin.accuracy, twin.reward) == (0.9, decided.archive[0].reward)
            assert twin.message == "It means the same network as trial 0."
            assert (twin.gpu_seconds, twin.curve) == (0.0, ())

    def test_a_duplicate_of_an_infeasible_block_shares_its_floor_reward(self) -> None:
        decided = planned(infeasible(0, A), succeeded(2, B), script=TWINS)
        twin = decided.archive[1]
        assert (twin.outcome, twin.accuracy) == (Outcome.CACHED, None)
        assert twin.reward == decided.archive[0].reward
        assert twin.reward is not None

    def test_the_same_network_under_another_code_is_a_duplicate(self) -> None:
        identity_first = Block.parse("(1,4,0,0,0)(2,1,1,1,0)(3,7,0,0,0)")
        assert created(planned(script=[A, identity_first, B, C], parallelism=2)) == [0, 2]

    def test_when_the_original_fails_its_duplicate_gets_a_job(self) -> None:
        decided = planned(failed(0, A), succeeded(2, B), script=TWINS, parallelism=9)
        assert created(decided)[0] == 1
        assert stages(decided)[3] is Stage.WAITING

    def test_then_the_others_share_what_that_one_reaches(self) -> None:
        jobs = [failed(0, A), succeeded(1, A), succeeded(2, B)]
        decided = planned(*jobs, script=TWINS)
        assert [record.outcome for record in decided.archive[:4]] == [
            Outcome.FAILED,
            Outcome.SUCCEEDED,
            Outcome.SUCCEEDED,
            Outcome.CACHED,
        ]
        assert decided.archive[3].shared_with == 1

    def test_a_duplicate_of_an_archived_trial_is_over_at_once(self) -> None:
        records = history_of(GOOD, GOOD, UNFIT, GOOD)
        decided = planned(records=records, script=[A, B, C, D, A, C, C, B], **LEARNING)
        assert archived(decided) == [4, 5, 6, 7]
        assert [record.shared_with for record in decided.archive] == [0, 2, 2, 1]
        assert {record.outcome for record in decided.archive} == {Outcome.CACHED}
        assert decided.archive[0].reward == records[0].reward

    def test_a_duplicate_of_an_archived_duplicate_shares_with_the_original(self) -> None:
        records = history_of(GOOD, GOOD, GOOD, GOOD)
        records[2] = make_record(2, A, outcome=Outcome.CACHED, shared_with=0)
        decided = planned(records=records, script=[A, B, A, D, A, B, A, D])
        assert [record.shared_with for record in decided.archive] == [0, 1, 0, 3]

    def test_an_archived_failure_is_nobodys_original(self) -> None:
        records = history_of(BAD, GOOD, GOOD, GOOD)
        assert created(planned(records=records, script=[A, B, C, D], parallelism=9)) == [4]

    def test_a_duplicate_does_not_take_a_slot(self) -> None:
        decided = planned(make_job(0, A), script=TWINS, parallelism=2)
        assert created(decided) == [2]

    def test_the_lowest_number_is_the_original_whatever_ends_first(self) -> None:
        """A duplicate may have a Job from a time when its original looked lost."""
        jobs = [make_job(0, A), succeeded(1, A), succeeded(2, B)]
        decided = planned(*jobs, script=TWINS)
        assert archived(decided) == []
        assert stages(decided)[3] is Stage.WAITING
        done = planned(succeeded(0, A), *jobs[1:], script=TWINS)
        assert done.archive[3].shared_with == 0


class TestAdoption:
    def test_a_running_job_wins_over_what_would_be_proposed_today(self) -> None:
        other = chain(5, 5)
        decided = planned(succeeded(0, other), succeeded(1, B), succeeded(2, C), succeeded(3, D))
        record = decided.archive[0]
        assert (record.block, record.hash) == (str(other), make_record(0, other).hash)
        assert record.reward == make_state().agent.reward(other, {"accuracy": 0.5})

    def test_a_duplicate_follows_the_block_that_is_trained(self) -> None:
        decided = planned(make_job(0, B), script=[A, A, B, C], parallelism=9)
        assert created(decided) == [1, 3]
        assert stages(decided)[2] is Stage.WAITING

    @pytest.mark.parametrize(
        "code", ["(1,11,0,0,0)", "", str(chain(1, 1, 1, 1)), "(1,9,0,0,0)(2,7,0,0,0)"]
    )
    def test_a_job_whose_block_cannot_be_of_this_search_has_failed(self, code: str) -> None:
        """No block, none at all, one beyond maxLayers, one of another space: nothing to learn."""
        job = make_job(0, code=code, block_hash="0123456789abcdef", result=make_result(0, A))
        trial = planned(job, script=[B, C]).assessment.open_trials.trials[0]
        assert trial.verdict is not None
        assert (trial.outcome, trial.verdict.reason) == (Outcome.FAILED, "BlockInvalid")
        assert trial.verdict.message == (
            f"Its Job trains {code!r}, which this search cannot propose."
        )

    def test_jobs_of_another_search_are_ignored(self) -> None:
        stranger = make_job(0, owner_uid="another", result=make_result())
        decided = planned(stranger, parallelism=1)
        assert created(decided) == [0]
        assert decided.cleanup == NOTHING_TO_CLEAN

    def test_jobs_of_another_search_are_not_cleaned_up(self) -> None:
        stranger = make_job(0, owner_uid="another", result=make_result())
        decided = planned(stranger, records=history_of(GOOD, GOOD, GOOD, GOOD))
        assert decided.cleanup == NOTHING_TO_CLEAN

    def test_the_latest_attempt_counts(self) -> None:
        result = make_result(0, A, attempt=1)
        second = make_job(0, A, attempt=1, name="digits-t00000-a1", result=result)
        for jobs in [(failed(0, A), second), (second, failed(0, A))]:
            trial = planned(*jobs).assessment.open_trials.trials[0]
            assert trial.outcome is Outcome.SUCCEEDED

    def test_a_job_beyond_the_window_is_still_looked_at(self) -> None:
        decided = planned(make_job(7, BLOCKS[7]), parallelism=1, **RANDOM)
        assert max(stages(decided)) == 7
        assert created(decided) == []


class TestAnnotating:
    def test_what_a_pod_reports_is_annotated_before_it_counts(self) -> None:
        result = make_result(0, A)
        decided = planned(make_job(0), pods=[make_pod(0, exit_code=0, message=result)])
        (trial,) = decided.annotate
        assert (trial.number, trial.to_annotate) == (0, result)
        assert trial.stage is Stage.RUNNING

    def test_an_annotated_job_is_left_alone(self) -> None:
        pod = make_pod(0, exit_code=0, message=make_result(0, A))
        assert planned(succeeded(0), pods=[pod]).annotate == ()

    def test_the_pods_of_other_jobs_say_nothing(self) -> None:
        pod = make_pod(1, exit_code=0, message=make_result(0, A))
        assert planned(make_job(0), pods=[pod]).annotate == ()


class TestArchiving:
    def test_an_iteration_is_archived_when_all_its_trials_are_over(self) -> None:
        assert archived(planned(*FIRST_FOUR)) == [0, 1, 2, 3]
        assert archived(planned(*FIRST_FOUR[:3])) == []
        assert archived(planned(*FIRST_FOUR[:3], make_job(3, D))) == []

    def test_an_iteration_waits_for_those_before_it(self) -> None:
        later = [succeeded(trial, BLOCKS[trial]) for trial in (4, 5, 6, 7)]
        assert archived(planned(*FIRST_FOUR[:3], *later, **RANDOM)) == []
        assert archived(planned(*FIRST_FOUR, *later, **RANDOM)) == [0, 1, 2, 3, 4, 5, 6, 7]

    def test_records_are_in_trial_order_whatever_the_order_of_the_jobs(self) -> None:
        assert archived(planned(*reversed(FIRST_FOUR))) == [0, 1, 2, 3]

    def test_a_failure_is_archived_without_a_reward_and_infeasible_with_the_floor(self) -> None:
        jobs = [failed(0, A), infeasible(1, B), *FIRST_FOUR[2:]]
        failure, floor = planned(*jobs).archive[:2]
        assert (failure.outcome, failure.reward) == (Outcome.FAILED, None)
        assert (floor.outcome, floor.reward) == (UNFIT, make_state().agent.reward(B, {}))

    def test_a_record_holds_what_the_trainer_measured(self) -> None:
        measured = {
            "curve": (0.25, 0.5),
            "parameters": 7466,
            "macs": 481_280,
            "restarts": 1,
            "device": "cpu",
        }
        job = make_job(0, A, result=make_result(0, A, **measured))
        record = planned(job, *FIRST_FOUR[1:]).archive[0]
        assert record.model_dump(include=set(measured)) == measured
        assert (record.iteration, record.attempt, record.gpus) == (0, 0, 1)
        assert record.gpu_seconds == 10.0

    def test_the_last_iteration_is_over_when_the_budget_is(self) -> None:
        jobs = [succeeded(4, BLOCKS[4]), succeeded(5, BLOCKS[5])]
        records = history_of(GOOD, GOOD, GOOD, GOOD)
        decided = planned(*jobs, records=records, budget={"trials": 6})
        assert archived(decided) == [4, 5]
        assert created(decided) == []

    def test_a_budget_raised_later_completes_the_iteration_that_was_cut(self) -> None:
        records = history_of(GOOD, GOOD, GOOD, GOOD, GOOD, GOOD)
        state = make_state(records=records, budget={"trials": 8}, parallelism=9)
        assert state.agent.learned == 1
        assert created(decide(make_observed(), state)) == [6, 7]
        jobs = [succeeded(6, BLOCKS[6]), succeeded(7, BLOCKS[7])]
        decided = decide(make_observed(*jobs), state)
        assert archived(decided) == [6, 7]
        state.extend(decided.archive)
        assert state.agent.learned == 2

    def test_a_budget_lowered_below_what_is_done_archives_no_more(self) -> None:
        records = history_of(GOOD, GOOD, GOOD, GOOD)
        decided = planned(succeeded(4, BLOCKS[4]), records=records, budget={"trials": 2})
        assert (archived(decided), created(decided)) == ([], [])


class TestRetention:
    RECORDS = history_of(GOOD, BAD, UNFIT, GOOD)

    def cleanup(self, *jobs: TrialJob, **retain: int) -> tuple[Any, ...]:
        decided = planned(*jobs, records=self.RECORDS, trial={"retain": retain})
        cleanup = decided.cleanup
        return cleanup.keep, cleanup.delete_iterations, cleanup.delete

    def jobs(self, **changes: Any) -> list[TrialJob]:
        return [make_job(trial, BLOCKS[trial], **changes) for trial in range(4)]

    def test_an_iteration_goes_by_one_request_when_nothing_is_kept(self) -> None:
        assert self.cleanup(*self.jobs(), failed=0, succeeded=0) == ((), (0,), ())

    def test_failed_and_infeasible_jobs_are_kept_for_their_logs(self) -> None:
        kept = ("digits-t00001-a0", "digits-t00002-a0")
        assert self.cleanup(*self.jobs(), failed=10, succeeded=0) == (kept, (0,), ())

    def test_the_latest_are_kept(self) -> None:
        assert self.cleanup(*self.jobs(), failed=1, succeeded=1) == (
            ("digits-t00002-a0", "digits-t00003-a0"),
            (0,),
            (),
        )

    def test_what_is_kept_already_is_left_alone(self) -> None:
        kept = make_job(1, B, archived=True)
        assert self.cleanup(kept, failed=10, succeeded=0) == ((), (), ())

    def test_a_kept_job_makes_room_for_later_ones(self) -> None:
        jobs = [make_job(1, B, archived=True), make_job(2, C)]
        assert self.cleanup(*jobs, failed=1, succeeded=0) == (
            ("digits-t00002-a0",),
            (),
            ("digits-t00001-a0",),
        )

    def test_an_iteration_that_the_budget_cut_goes_job_by_job(self) -> None:
        records = history_of(GOOD, GOOD)
        decided = planned(*self.jobs()[:2], records=records, budget={"trials": 2})
        assert decided.cleanup.delete_iterations == ()
        assert decided.cleanup.delete == ("digits-t00000-a0", "digits-t00001-a0")

    def test_jobs_that_are_being_deleted_need_nothing(self) -> None:
        assert self.cleanup(*self.jobs(deleting=True), failed=0) == ((), (), ())

    def test_open_trials_keep_their_jobs(self) -> None:
        decided = planned(succeeded(4, BLOCKS[4]), make_job(5), records=self.RECORDS)
        assert decided.cleanup == NOTHING_TO_CLEAN


class TestLookingAgain:
    def test_there_is_no_need_while_nothing_is_waited_for(self) -> None:
        assert planned(make_job(0), succeeded(1, B)).requeue_after is None

    def test_a_job_without_its_pod_is_looked_at_again_when_its_time_is_up(self) -> None:
        job = make_job(0, condition="Complete", finished_at=at(-20))
        later = make_job(1, B, condition="Complete", finished_at=NOW)
        assert planned(job, later, parallelism=4).requeue_after == 40.0


class TestEvents:
    def told(self, decided: Plan) -> list[tuple[str, str, str]]:
        return [(event.type, event.reason, event.message) for event in decided.events]

    def test_failures_and_infeasible_blocks_are_told(self) -> None:
        assert self.told(planned(failed(0, A), infeasible(1, B))) == [
            (
                "Warning",
                "TrialFailed",
                "Trial 0 (digits-t00000-a0): SomeReason: Something happened.",
            ),
            (
                "Normal",
                "TrialInfeasible",
                "Trial 1 (digits-t00001-a0): SomeReason: Something happened.",
            ),
        ]

    def test_an_invalid_result_is_told(self) -> None:
        ((kind, reason, message),) = self.told(planned(make_job(0, result="null")))
        assert (kind, reason) == ("Warning", "ResultInvalid")
        assert message == (
            "Trial 0 (digits-t00000-a0): Its annotation is not a valid result: The trial result "
            "is wrong: Input should be an object."
        )

    def test_a_new_best_block_is_told_when_it_enters_the_history(self) -> None:
        jobs = [succeeded(0, A, 0.1), succeeded(1, B, 0.9), *FIRST_FOUR[2:]]
        reward = make_state().agent.reward(B, {"accuracy": 0.9})
        assert self.told(planned(*jobs)) == [
            ("Normal", "NewBest", f"Trial 1 reached 90.00% accuracy, reward {reward:.2f}: {B}")
        ]

    def test_a_block_that_is_no_better_is_not_told(self) -> None:
        jobs = [succeeded(trial, BLOCKS[trial], 0.1) for trial in (4, 5, 6, 7)]
        records = history_of(GOOD, GOOD, GOOD, GOOD)
        assert self.told(planned(*jobs, records=records)) == []

    def test_every_event_has_a_key_of_its_own_that_stays_the_same(self) -> None:
        jobs = [failed(0, A), infeasible(1, B), make_job(2, C, result="x"), make_job(3, D)]
        keys = [event.key for event in planned(*jobs).events]
        assert len(set(keys)) == len(keys) == 3
        assert keys == [event.key for event in planned(*jobs).events]


def test_the_plan_of_a_finished_search_is_empty() -> None:
    records = history_of(*[GOOD] * 8)
    decided = planned(records=records)
    assert decided == Plan(decided.assessment)
    assert decided.assessment.open_trials.trials == ()


def test_planning_is_a_function_of_what_is_observed() -> None:
    state, observed = make_state(), make_observed(failed(0, A), make_job(1, B), succeeded(2, C))
    assert decide(observed, state) == decide(observed, state)


def test_the_owner_decides_and_not_the_name() -> None:
    assert created(planned(make_job(0, owner_uid=UID), parallelism=1)) == []
