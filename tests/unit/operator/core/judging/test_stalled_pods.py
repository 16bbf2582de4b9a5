"""An attempt without progress is news after a stated time, whatever the reason.

The Pods are what a kubelet writes: bodies as the API server has them, read as the operator reads
them. `NOW` is their creation.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import (
    BLOCKS,
    NOW,
    A,
    at,
    make_job,
    make_observed,
    make_proposal,
    make_result,
    make_search,
    make_settings,
    make_spec,
    make_state,
)
from operator_plans import status_of

from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import Seconds
from blockqnn_api import names
from blockqnn_api.objects import write_time
from blockqnn_api.status import BlockSearchStatus, ConditionType
from blockqnn_operator.core.jobs.trial import trial_job
from blockqnn_operator.core.judging.pod_start import ENDING, OFTEN, STARTING
from blockqnn_operator.core.judging.result import LINGERING, MOST_INTERRUPTIONS
from blockqnn_operator.core.judging.trial import TrialAssessment, assess_trial
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.archiving import record_of
from blockqnn_operator.core.planning.assessment import assess
from blockqnn_operator.core.planning.trials import plan

Json = dict[str, Any]

PATIENT = timedelta(hours=1)
NODE = "gpu-node-7"
words = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=60)
kubelet_reasons = st.sampled_from(
    [
        "",
        "ContainerCreating",
        "PodInitializing",
        "CrashLoopBackOff",
        "RunContainerError",
        "PostStartHookError",
        "NetworkNotReady",
        "SomethingNew",
    ]
)


def body(status: Json, name: str = "digits-t00000-a0-x2x2x", **metadata: Any) -> Json:
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": write_time(NOW),
            "labels": {names.JOB_NAME_LABEL: "digits-t00000-a0"},
            **metadata,
        },
        "spec": {"nodeName": NODE},
        "status": {"phase": "Pending", **status},
    }


def states(**by_container: Json) -> list[Json]:
    return [{"name": name, "state": state} for name, state in by_container.items()]


def terminated(status: int, reason: str = "Error", message: str = "", after: float = 0) -> Json:
    times = {"startedAt": write_time(NOW), "finishedAt": write_time(at(after))}
    return {
        "terminated": {"exitCode": status, "reason": reason, "message": message, **times},
    }


WAITING: Json = {"waiting": {"reason": "PodInitializing"}}
RUNNING: Json = {"running": {"startedAt": write_time(NOW)}}


def read(text: Json) -> TrialPod:
    pod = TrialPod.read(text)
    assert pod is not None
    return pod


def judged(*bodies: Json, after: float, job: TrialJob | None = None) -> TrialAssessment:
    pods = [read(text) for text in bodies]
    return assess_trial(job or make_job(0, A), 0, pods, at(after), PATIENT)


def degraded(*bodies: Json, after: float, jobs: tuple[TrialJob, ...] = ()) -> tuple[str, str]:
    """Reason and message of the condition, seconds after NOW; empty where it is false."""
    status = reported(*bodies, after=after, jobs=jobs)
    (condition,) = [c for c in status.conditions if c.type is ConditionType.DEGRADED]
    return (condition.reason, condition.message) if condition.status == "True" else ("", "")


def reported(*bodies: Json, after: float, jobs: tuple[TrialJob, ...] = ()) -> BlockSearchStatus:
    seen = make_observed(
        *(jobs or (make_job(0, A, pods=1),)),
        pods=[read(text) for text in bodies],
        search=make_search(make_spec()),
        now=at(after),
    )
    return status_of(seen, make_state(BLOCKS))


@given(kubelet_reasons, words, st.booleans())
def test_a_placed_pod_that_does_not_start_is_news_after_the_stated_time(
    reason: str, message: str, has_container: bool
) -> None:
    waiting = {"waiting": {"reason": reason, "message": message}}
    stuck = body({"containerStatuses": states(trainer=waiting)} if has_container else {})
    late = STARTING.total_seconds()
    early = judged(stuck, after=late - 1)
    assert (early.waiting, early.wait_until) == (None, at(late))
    trouble = judged(stuck, after=late).waiting
    assert trouble is not None
    assert NODE in trouble.message
    assert "digits-t00000-a0-x2x2x" in trouble.message
    if has_container and reason:
        assert reason in trouble.message
        assert message.strip() in trouble.message
    assert degraded(stuck, after=late) == (
        "PodsStalled",
        f"Job digits-t00000-a0: {trouble.message}",
    )
    assert degraded(stuck, after=late - 1) == ("", "")


def test_a_pod_that_runs_is_no_news() -> None:
    running = body({"phase": "Running", "containerStatuses": states(trainer=RUNNING)})
    assert degraded(running, after=86400) == ("", "")


def test_a_pod_that_is_deleted_and_does_not_end_names_its_node() -> None:
    deleted = body(
        {"phase": "Running", "containerStatuses": states(trainer=RUNNING)},
        deletionTimestamp=write_time(at(30)),
    )
    late = 30 + ENDING.total_seconds()
    assert degraded(deleted, after=late - 1) == ("", "")
    reason, message = degraded(deleted, after=late)
    assert reason == "PodsStalled"
    assert f"on node {NODE} is being deleted since {write_time(at(30))}" in message
    assert "--force" in message


def test_a_deleted_job_that_stays_is_news() -> None:
    job = make_job(0, A, deleting=True, deleted_at=NOW)
    late = ENDING.total_seconds()
    assert degraded(after=late - 1, jobs=(job,)) == ("", "")
    reason, message = degraded(after=late, jobs=(job,))
    assert reason == "PodsStalled"
    assert message.startswith(f"Job {job.name} is being deleted since")
    observed = make_observed(job, search=make_search(make_spec()), now=at(late - 5))
    state = make_state(BLOCKS)
    assert plan(observed, state, assess(observed, state)).requeue_after == 5


EVICTED: Json = {
    "phase": "Failed",
    "reason": "Evicted",
    "message": "The node was low on resource: memory.",
    "conditions": [
        {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "TerminationByKubelet",
            "message": "The node was low on resource: memory.",
        }
    ],
    "containerStatuses": states(trainer=terminated(137, "ContainerStatusUnknown")),
}


@given(st.integers(0, MOST_INTERRUPTIONS + 3))
def test_interruptions_are_news_and_come_to_an_end(number: int) -> None:
    pods = [body(EVICTED, f"digits-t00000-a0-{index:05d}") for index in range(number)]
    assessment = judged(*pods, after=5)
    if number >= MOST_INTERRUPTIONS:
        assert assessment.annotate is not None
        assert assessment.end
        assert assessment.annotate.outcome is Outcome.FAILED
        assert assessment.annotate.reason == "InterruptedTooOften"
        assert "low on resource" in assessment.annotate.message
        return
    reason, message = degraded(*pods, after=5)
    assert (reason == "PodsInterrupted") == (number >= OFTEN)
    assert (f"{number} times" in message) == (number >= OFTEN)
    assert ("low on resource" in message) == (number >= OFTEN)


class TestOtherContainers:
    def failed_init(self, code: int = 1, message: str = "fatal error: no credentials") -> Json:
        return body(
            {
                "phase": "Failed",
                "initContainerStatuses": states(
                    **{"fetch-data": terminated(code, "Error", message)}
                ),
                "containerStatuses": states(trainer=WAITING),
            }
        )

    def test_an_init_container_that_fails_is_named_with_its_words(self) -> None:
        job = make_job(0, A, condition="Failed", reason="BackoffLimitExceeded", failed_pods=1)
        verdict = judged(self.failed_init(), after=1, job=job).verdict
        assert verdict is not None
        assert verdict.message == (
            "Its last Pod failed in its container fetch-data, which ended with Error, status 1: "
            "fatal error: no credentials"
        )

    @given(st.sampled_from(["ImagePullBackOff", "ErrImagePull", "CreateContainerConfigError"]))
    def test_any_container_that_cannot_start_is_named(self, reason: str) -> None:
        waiting = {"waiting": {"reason": reason, "message": "no such image"}}
        for statuses in (
            {
                "initContainerStatuses": states(setup=waiting),
                "containerStatuses": states(trainer=WAITING),
            },
            {
                "containerStatuses": states(
                    trainer={"waiting": {"reason": "ContainerCreating"}}, setup=waiting
                )
            },
        ):
            trouble = judged(body(statuses), after=1).waiting
            assert trouble is not None
            assert trouble.reason == reason
            assert trouble.message == (
                "Its Pod cannot start because of its container setup: no such image"
            )

    def test_a_sidecar_that_waits_does_not_hide_a_trainer_that_runs(self) -> None:
        waiting = {"waiting": {"reason": "ImagePullBackOff"}}
        running = body({"containerStatuses": states(trainer=RUNNING, proxy=waiting)})
        assert judged(running, after=9999).waiting is None


class TestSidecars:
    """A container that lives on keeps its Pod and its Job from ending; the trainer has ended."""

    def pod(self, status: int, message: str = "") -> Json:
        ended = terminated(status, "Error" if status else "Completed", message, after=10)
        return body({"phase": "Running", "containerStatuses": states(trainer=ended, proxy=RUNNING)})

    LATE = 10 + LINGERING.total_seconds()

    def test_the_other_containers_have_time_to_end(self) -> None:
        assessment = judged(self.pod(1), after=self.LATE - 1)
        assert assessment.verdict is assessment.annotate is None
        assert assessment.wait_until == at(self.LATE)

    @pytest.mark.parametrize("failures", [0, 1, 2])
    def test_a_trainer_that_fails_is_tried_again_as_often_as_any_other(self, failures: int) -> None:
        job = make_job(0, A, failures=failures)
        pod = read(self.pod(1, "CUDA error: out of luck"))
        assessment = assess_trial(job, 0, [pod], at(self.LATE), PATIENT, retries=2)
        said = "Its Pod ended with Error, status 1: CUDA error: out of luck"
        if failures < 2:
            assert assessment.verdict is not None
            assert assessment.verdict.retry
            assert assessment.verdict.message == said
        else:
            assert assessment.annotate is not None
            assert assessment.end
            assert (assessment.annotate.outcome, assessment.annotate.message) == (
                Outcome.FAILED,
                said,
            )

    def test_bad_input_is_not_tried_again(self) -> None:
        assessment = judged(self.pod(2, "There are no images."), after=self.LATE)
        assert assessment.annotate is not None
        assert assessment.annotate.outcome is Outcome.FAILED

    def test_a_success_without_a_result_is_one_missing(self) -> None:
        assessment = judged(self.pod(0), after=self.LATE)
        assert assessment.verdict is not None
        assert (assessment.verdict.reason, assessment.verdict.retry) == ("ResultMissing", True)

    def test_a_result_counts_at_once(self) -> None:
        result = make_result(0, A)
        assessment = judged(self.pod(0, result.write()), after=11)
        assert assessment.annotate == result

    def test_the_job_that_a_later_attempt_replaces_is_deleted(self) -> None:
        state = make_state(BLOCKS)
        older, newer = make_job(0, A), make_job(0, A, name="digits-t00000-a1", attempt=1)
        observed = make_observed(older, newer, search=make_search(make_spec()), now=NOW)
        assert plan(observed, state, assess(observed, state)).cleanup.delete == (older.name,)


@given(st.text(min_size=1, max_size=20))
def test_a_job_whose_pods_run_in_another_cluster_is_refused(controller: str) -> None:
    job = make_job(0, A)
    read_job = TrialJob.read(
        trial_job(make_search(make_spec()), make_settings(), make_proposal())
        | {"spec": {"managedBy": controller}}
    )
    assert read_job is not None
    own = controller == "kubernetes.io/job-controller"
    assert read_job.managed_by == ("" if own else controller)
    annotate = judged(after=1, job=replace(job, managed_by=controller)).annotate
    assert annotate is not None
    assert (annotate.outcome, annotate.reason) == (Outcome.FAILED, "ManagedElsewhere")


class TestTime:
    """Where a trainer says no time, that of its Pod counts: it holds the devices."""

    def ended(self, status: int, message: str, after: float) -> Json:
        statuses = states(trainer=terminated(status, "Completed", message, after=after))
        phase = "Failed" if status else "Succeeded"
        return body({"phase": phase, "containerStatuses": statuses})

    @given(st.integers(1, 10**6))
    def test_a_result_without_a_time_has_that_of_its_pod(self, seconds: int) -> None:
        result = make_result(0, A, seconds=Seconds())
        annotate = judged(self.ended(0, result.write(), seconds), after=seconds + 1).annotate
        assert annotate is not None
        assert annotate.seconds.total == seconds
        assert annotate.accuracy == result.accuracy

    def test_the_trainers_own_time_stays(self) -> None:
        result = make_result(0, A, seconds=Seconds(total=7.5))
        assert judged(self.ended(0, result.write(), 60), after=61).annotate == result

    def test_pods_that_fail_without_a_word_count_in_the_record(self) -> None:
        job = make_job(
            0, A, condition="Failed", reason="BackoffLimitExceeded", failed_pods=2, gpus=2
        )
        pods = [read(self.ended(1, "", 100)), read(self.ended(1, "", 50))]
        verdict = assess_trial(job, 0, pods, at(200), PATIENT).verdict
        assert verdict is not None
        assert verdict.seconds == 150
        seen = make_observed(job, pods=pods, search=make_search(make_spec()), now=at(200))
        state = make_state(BLOCKS)
        (trial, *_) = assess(seen, state).open_trials.trials
        assert record_of(trial, state, {}).gpu_seconds == 300
