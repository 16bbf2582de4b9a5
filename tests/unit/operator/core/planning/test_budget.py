"""Budgets other than the number of trials, and what becomes of the running trials."""

from collections.abc import Sequence
from typing import Any

import pytest
from operator_builders import (
    BLOCKS,
    NOW,
    A,
    B,
    at,
    failed,
    make_job,
    make_observed,
    make_pod,
    make_record,
    make_result,
    make_search,
    make_spec,
    make_state,
    succeeded,
)
from operator_plans import FIRST_FOUR, GOOD, archived, created, decide, history_of, status_of

from blockqnn.contract.trial import Seconds
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.objects import write_time
from blockqnn_api.resolve import pin
from blockqnn_api.status import BlockSearchStatus, ConditionType, Phase, Reason
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.trials import Plan

GOAL: dict[str, Any] = {"budget": {"targetAccuracy": 0.8}}
STOP: dict[str, Any] = {"suspendPolicy": "Stop"}


def seen(
    *jobs: TrialJob,
    records: Sequence[TrialRecord] = (),
    after: float = 0,
    pods: Sequence[Any] = (),
    **changes: Any,
) -> tuple[Observed, SearchState]:
    """A search that started at NOW, some seconds later."""
    search = make_search(make_spec(**changes), status={"startTime": write_time(NOW)})
    observed = make_observed(*jobs, search=search, now=at(after), pods=pods)
    return observed, make_state(records=records, **changes)


def planned(*jobs: TrialJob, **rest: Any) -> Plan:
    return decide(*seen(*jobs, **rest))


def reported(*jobs: TrialJob, **rest: Any) -> BlockSearchStatus:
    observed, state = seen(*jobs, **rest)
    return status_of(observed, state)


def reason_of(status: BlockSearchStatus, kind: ConditionType) -> tuple[str, str]:
    (matching,) = [condition for condition in status.conditions if condition.type is kind]
    return matching.status, matching.reason


def used(trial: int, seconds: float, gpus: int = 1) -> TrialJob:
    block = BLOCKS[trial]
    result = make_result(trial, block, seconds=Seconds(total=seconds))
    return make_job(trial, block, result=result, gpus=gpus)


REACHED: dict[Reason, tuple[tuple[TrialJob, ...], dict[str, Any]]] = {
    Reason.GOAL_REACHED: ((succeeded(0, A, 0.85),), GOAL),
    Reason.GPU_HOURS_SPENT: ((used(0, 1800, 2),), {"budget": {"gpuHours": 1}}),
    Reason.DURATION_SPENT: ((succeeded(0, A),), {"budget": {"duration": "1h"}, "after": 3600}),
}
NEARLY: dict[Reason, tuple[tuple[TrialJob, ...], dict[str, Any]]] = {
    Reason.GOAL_REACHED: ((succeeded(0, A, 0.79),), GOAL),
    Reason.GPU_HOURS_SPENT: ((used(0, 1799, 2),), {"budget": {"gpuHours": 1}}),
    Reason.DURATION_SPENT: ((succeeded(0, A),), {"budget": {"duration": "1h"}, "after": 3599}),
}


@pytest.mark.parametrize("reason", REACHED)
class TestWhenABudgetIsReached:
    def test_no_more_trials_are_started(self, reason: Reason) -> None:
        jobs, changes = REACHED[reason]
        assert created(planned(*jobs, **changes)) == []
        jobs, changes = NEARLY[reason]
        assert created(planned(*jobs, **changes)) == [1, 2]

    def test_running_ones_drain_and_then_the_part_of_the_iteration_is_archived(
        self, reason: Reason
    ) -> None:
        jobs, changes = REACHED[reason]
        running = planned(*jobs, make_job(1, B), **changes)
        assert (archived(running), running.cleanup.delete) == ([], ())
        assert archived(planned(*jobs, succeeded(1, B), **changes)) == [0, 1]

    def test_the_search_is_complete_once_all_is_in_the_history_and_says_why(
        self, reason: Reason
    ) -> None:
        jobs, changes = REACHED[reason]
        running = reported(*jobs, make_job(1, B), **changes)
        assert running.phase is Phase.RUNNING
        assert "1 trial is running" in running.message
        assert reported(*jobs, **changes).phase is Phase.RUNNING, "the history lacks the trial"
        records = planned(*jobs, **changes).archive
        status = reported(records=records, **changes)
        assert status.phase is Phase.COMPLETE
        assert status.completion_time is not None
        assert reason_of(status, ConditionType.COMPLETE) == ("True", reason)
        assert reason_of(status, ConditionType.PROGRESSING) == ("False", reason)
        assert status.progress == "1/8"

    def test_a_search_that_is_to_stop_deletes_what_runs(self, reason: Reason) -> None:
        jobs, changes = REACHED[reason]
        decided = planned(*jobs, make_job(1, B), **changes, **STOP)
        assert decided.cleanup.delete == ("digits-t00001-a0",)
        assert archived(decided) == [], "not before it is gone"

    def test_a_lost_trial_is_started_again_so_that_the_history_has_no_gap(
        self, reason: Reason
    ) -> None:
        jobs, changes = REACHED[reason]
        decided = planned(*jobs, succeeded(2, BLOCKS[2]), **changes)
        assert (created(decided), archived(decided)) == ([1], [])
        assert reported(*jobs, succeeded(2, BLOCKS[2]), **changes).phase is Phase.RUNNING


class TestRaising:
    def test_the_rest_of_the_iteration_follows_from_the_same_values(self) -> None:
        records = history_of(GOOD, GOOD)
        state = make_state(records=records, parallelism=9, budget={"targetAccuracy": 0.9})
        assert state.agent.learned == 0, "a part of an iteration is not learned"
        decided = decide(make_observed(), state)
        assert created(decided) == [2, 3]
        rest = decide(make_observed(succeeded(2, BLOCKS[2]), succeeded(3, BLOCKS[3])), state)
        assert archived(rest) == [2, 3]
        state.extend(rest.archive)
        assert state.agent.learned == 1

    def test_a_limit_that_was_taken_away_is_gone_although_the_search_began_with_it(self) -> None:
        state = make_state(budget={"duration": "1m", "gpuHours": 1, "targetAccuracy": 0.5})
        assert pin(state.settings)["budget"] == {"trials": 8}


class TestGoal:
    def test_an_accuracy_in_the_history_counts_whatever_its_reward(self) -> None:
        records = [make_record(0, A, accuracy=0.85, reward=1.0), make_record(1, B, reward=99.0)]
        assert created(planned(records=records, **GOAL)) == []

    def test_a_search_that_is_to_stop_waits_for_what_the_history_needs_to_come_to_it(self) -> None:
        jobs = [make_job(0, A), succeeded(1, B, 0.9), make_job(2, BLOCKS[2])]
        decided = planned(*jobs, **GOAL, **STOP)
        assert decided.cleanup.delete == ("digits-t00002-a0",)
        done = planned(succeeded(0, A), jobs[1], **GOAL, **STOP)
        assert archived(done) == [0, 1]

    def test_all_trials_done_and_the_goal_reached_is_the_goal_reached(self) -> None:
        records = history_of(*[GOOD] * 8)
        status = reported(records=records, budget={"targetAccuracy": 0.5})
        assert reason_of(status, ConditionType.COMPLETE) == ("True", "GoalReached")


class TestDuration:
    HOUR: dict[str, Any] = {"budget": {"duration": "1h"}}  # noqa: RUF012

    def test_the_search_is_looked_at_again_when_its_time_is_up(self) -> None:
        assert planned(make_job(0, A), after=600, **self.HOUR).requeue_after == 3000.0
        assert planned(make_job(0, A), after=3600, **self.HOUR).requeue_after is None

    def test_a_finished_search_does_not_change_its_mind_when_time_goes_on(self) -> None:
        status = reported(records=history_of(*[GOOD] * 8), after=7200, **self.HOUR)
        assert reason_of(status, ConditionType.COMPLETE) == ("True", "BudgetSpent")

    def test_the_estimate_of_the_end_is_no_later_than_the_time_allows(self) -> None:
        status = reported(records=history_of(*[GOOD] * 4), after=1900, **self.HOUR)
        assert status.estimated_completion_time == write_time(at(3600))


class TestStopping:
    def test_a_suspended_search_deletes_what_runs_only_if_told_to(self) -> None:
        jobs = [succeeded(0, A), make_job(1, B)]
        assert planned(*jobs, suspend=True).cleanup.delete == ()
        decided = planned(*jobs, suspend=True, **STOP)
        assert decided.cleanup.delete == ("digits-t00001-a0",)
        assert planned(*jobs, **STOP).cleanup.delete == ()

    def test_a_failed_search_deletes_what_runs_if_told_to(self) -> None:
        policy = {"failurePolicy": {"maxFailedTrials": 0}}
        decided = planned(failed(0, A), make_job(1, B), **policy, **STOP)
        assert decided.cleanup.delete == ("digits-t00001-a0",)

    def test_what_has_ended_or_reports_just_now_is_collected(self) -> None:
        pod = make_pod(1, exit_code=0, message=make_result(1, B))
        jobs = [make_job(0, A, condition="Complete"), make_job(1, B)]
        assert planned(*jobs, pods=[pod], suspend=True, **STOP).cleanup.delete == ()

    def test_a_suspended_search_archives_what_has_ended_and_goes_on_from_there(self) -> None:
        decided = planned(*FIRST_FOUR[:3], suspend=True)
        assert archived(decided) == [0, 1, 2]
        assert created(planned(records=decided.archive)) == [3]

    def test_trials_beyond_a_lowered_budget_are_stopped_and_their_results_kept(self) -> None:
        jobs = [make_job(0, A), make_job(2, BLOCKS[2]), succeeded(3, BLOCKS[3])]
        decided = planned(*jobs, budget={"trials": 2})
        assert decided.cleanup.delete == ("digits-t00002-a0",)
