"""Trials that are tried again, and Pods that are in trouble."""

from collections.abc import Sequence
from typing import Any

from operator_builders import NOW, A, B, C, D, at, make_job, make_pod, make_result, make_search
from operator_plans import FIRST_FOUR, created, planned

from blockqnn.contract.message import Outcome
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.events import deleted_jobs
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.trials import Plan


class TestFurtherAttempts:
    SILENT = make_job(0, A, condition="Complete")
    PODS = (make_pod(0, exit_code=0),)

    def again(self, *jobs: TrialJob, pods: Sequence[TrialPod] = (), **changes: Any) -> Plan:
        return planned(*jobs, pods=[*self.PODS, *pods], parallelism=1, **changes)

    def second(self, **changes: Any) -> TrialJob:
        return make_job(0, A, attempt=1, name="digits-t00000-a1", **changes)

    def test_a_trial_without_a_result_is_tried_again_in_a_job_of_its_own(self) -> None:
        decided = self.again(self.SILENT)
        assert [(t.number, t.attempt, t.stage) for (t,) in decided.create] == [
            (0, 1, Stage.UNSTARTED)
        ]
        (event,) = decided.events
        assert (event.type, event.reason) == ("Warning", "TrialRetried")
        assert event.message == (
            "Trial 0 (digits-t00000-a0): The trainer exited with status 0 and left no result. "
            "Starting attempt 1."
        )

    def test_it_waits_for_a_slot_and_for_a_resumed_search_as_any_other(self) -> None:
        assert created(self.again(self.SILENT, make_job(1, B))) == []
        assert created(self.again(self.SILENT, suspend=True)) == []

    def test_the_same_block_is_tried_although_another_would_be_proposed_now(self) -> None:
        ((trial,),) = self.again(self.SILENT, script=[B, C, D, A]).create
        assert trial.proposal.block == A

    def test_the_second_attempt_runs_in_place_of_the_first(self) -> None:
        decided = self.again(self.SILENT, self.second())
        assert created(decided) == []
        assert decided.assessment.open_trials.trials[0].stage is Stage.RUNNING

    def test_a_late_result_of_an_older_attempt_is_ignored(self) -> None:
        late = make_job(0, A, condition="Complete", result=make_result(0, A, accuracy=0.9))
        decided = self.again(late, self.second())
        assert decided.assessment.open_trials.trials[0].outcome is None
        result = make_result(0, A, accuracy=0.4, attempt=1)
        trial = self.again(late, self.second(result=result)).assessment.open_trials.trials[0]
        assert trial.verdict is not None
        assert trial.verdict.result == result

    def test_a_result_of_an_older_attempt_is_none_of_the_newer(self) -> None:
        decided = self.again(self.SILENT, self.second(result=make_result(0, A)))
        trial = decided.assessment.open_trials.trials[0]
        assert "is of trial 0, attempt 0" in trial.assessment.invalid
        assert decided.assessment.open_trials.trials[0].outcome is None

    def test_a_result_that_comes_after_the_trial_is_in_the_history_changes_nothing(self) -> None:
        records = planned(*FIRST_FOUR).archive
        late = make_job(0, A, result=make_result(0, A, accuracy=0.99))
        decided = planned(late, *FIRST_FOUR[1:], records=records)
        assert (decided.archive, decided.annotate) == ((), ())
        assert decided.cleanup.delete_iterations == (0,)

    def test_after_the_last_retry_the_trial_has_failed(self) -> None:
        pods = [make_pod(0, exit_code=0, job="digits-t00000-a1")]
        jobs = [self.SILENT, self.second(condition="Complete")]
        decided = self.again(*jobs, pods=pods, failurePolicy={"retries": 1})
        trial = decided.assessment.open_trials.trials[0]
        assert (trial.outcome, trial.attempt, created(decided)) == (Outcome.FAILED, 1, [1])
        assert created(self.again(self.SILENT, failurePolicy={"retries": 0})) == [1]

    def test_the_record_says_which_attempt_it_was_and_the_jobs_of_all_go(self) -> None:
        result = make_result(0, A, attempt=1)
        jobs = [self.SILENT, self.second(result=result), *FIRST_FOUR[1:]]
        decided = planned(*jobs, pods=self.PODS)
        assert decided.archive[0].attempt == 1
        after = planned(*jobs, records=decided.archive)
        assert after.cleanup.delete_iterations == (0,)
        assert after.cleanup.keep == ()


def test_a_job_that_was_there_and_must_be_created_is_told_of_each_time() -> None:
    create = planned(parallelism=2).create
    (event,) = deleted_jobs(make_search(), create, {"digits-t00001-a0"}, NOW)
    assert (event.type, event.reason) == ("Warning", "JobDeleted")
    assert "Job digits-t00001-a0 was deleted" in event.message
    (later,) = deleted_jobs(make_search(), create, {"digits-t00001-a0"}, at(60))
    assert later.key != event.key
    assert deleted_jobs(make_search(), create, set(), NOW) == ()


class TestTroubledPods:
    def test_an_interrupted_pod_is_told_of_once_and_its_job_goes_on(self) -> None:
        why = "EvictionByEvictionAPI: Eviction API: evicting"
        pod = make_pod(0, exit_code=143, interrupted=why)
        decided = planned(make_job(0, A), pods=[pod], parallelism=1)
        assert created(decided) == []
        (event,) = decided.events
        assert (event.type, event.reason) == ("Normal", "TrialInterrupted")
        assert why in event.message

    def test_a_pod_that_can_never_start_ends_its_job_with_a_result_of_the_operators(self) -> None:
        pod = make_pod(0, reason="ImagePullBackOff", message="no such image", created_at=at(-901))
        (trial,) = planned(make_job(0, A), pods=[pod]).annotate
        assert trial.assessment.end
        assert trial.to_annotate is not None
        assert trial.to_annotate.outcome is Outcome.FAILED

    def test_the_operator_looks_again_when_the_time_of_a_pod_is_up(self) -> None:
        pod = make_pod(0, reason="ImagePullBackOff")
        changes = {"failurePolicy": {"pendingTimeout": "2m"}}
        assert planned(make_job(0, A), pods=[pod], **changes).requeue_after == 120.0
