"""Verdicts on a finalist's Job, from its annotation, its condition and its Pods."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from operator_builders import NOW, B, at
from operator_finalists import FIRST, failure, make_job, make_pod, make_result

from blockqnn.contract.message import Outcome
from blockqnn_operator.core.jobs.finalist import finalist_seed
from blockqnn_operator.core.judging.finalist import (
    FinalistAssessment,
    assess_finalist,
)
from blockqnn_operator.core.judging.result import REPORTING_DEADLINE, UNASSESSED, JobAssessment
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.observed.job import OUT_OF_TIME
from blockqnn_operator.core.observed.pod import TrialPod

GOOD = make_result()
FULL = failure("VolumeUnusable")
KILLED = failure("Killed")


def judged(
    job: FinalistJob, pods: Sequence[TrialPod] = (), now: datetime = NOW
) -> FinalistAssessment:
    return assess_finalist(job, pods, finalist_seed(0, FIRST), now, timedelta(minutes=5))


def test_a_job_that_has_said_nothing_runs() -> None:
    job = make_job()
    assert judged(job) == UNASSESSED
    assert judged(job, [make_pod(job)]) == UNASSESSED


def test_a_good_result_of_a_pod_becomes_the_annotation_before_it_counts() -> None:
    job = make_job()
    pods = [make_pod(job, message=GOOD, exit_code=0)]
    assert judged(job, pods) == JobAssessment(annotate=GOOD)
    assert judged(make_job(result=GOOD)).result == GOOD


def test_an_infeasible_block_has_a_result() -> None:
    unfit = make_result(outcome=Outcome.INFEASIBLE)
    assert judged(make_job(result=unfit)).result == unfit


def test_a_pod_that_was_killed_or_drained_decides_nothing_while_the_job_goes_on() -> None:
    job = make_job(failed_pods=1)
    for status in (137, 143):
        assert judged(job, [make_pod(job, message=KILLED, exit_code=status)]) == UNASSESSED


def test_the_words_of_the_last_pod_decide_once_the_job_has_failed() -> None:
    job = make_job(condition="Failed", reason="PodFailurePolicy", failed_pods=2)
    pods = [
        make_pod(job, message=KILLED, exit_code=137, name="first"),
        make_pod(job, message=FULL, exit_code=2, name="second", created_at=at(60)),
    ]
    assert judged(job, pods) == JobAssessment(annotate=FULL)
    failed = judged(make_job(result=FULL)).failure
    assert failed is not None
    assert (failed.reason, failed.message, failed.retry) == ("VolumeUnusable", "It is so.", False)


def test_a_job_that_has_ended_waits_for_its_pods_to_be_seen_but_not_for_ever() -> None:
    job = make_job(condition="Failed", reason="BackoffLimitExceeded", failed_pods=1)
    deadline = NOW + REPORTING_DEADLINE
    assert judged(job) == JobAssessment(wait_until=deadline)
    lost = judged(job, now=deadline).failure
    assert lost is not None
    assert lost.reason == "BackoffLimitExceeded"


@pytest.mark.parametrize(
    ("text", "reason"), [("", "ResultMissing"), ("Done!", "ResultInvalid")], ids=str
)
def test_a_trainer_that_ends_well_without_a_result_is_tried_again(text: str, reason: str) -> None:
    job = make_job(condition="Complete")
    assessment = judged(job, [make_pod(job, message=text, exit_code=0)])
    assert assessment.failure is not None
    assert (assessment.failure.reason, assessment.failure.retry) == (reason, True)


@pytest.mark.parametrize(
    "other",
    [
        make_result(FIRST._replace(trial=1)),
        make_result(FIRST._replace(target="wide")),
        make_result(FIRST._replace(seed=1)),
        make_result(block=B),
    ],
    ids=["trial", "target", "seed", "block"],
)
def test_the_result_of_another_finalist_is_none(other: object) -> None:
    assessment = judged(make_job(result=other))  # type: ignore[arg-type]
    assert assessment.result is None
    assert "expected trial" in assessment.invalid


def test_a_pod_that_took_too_long_ends_the_job() -> None:
    job = make_job()
    assessment = judged(job, [make_pod(job, out_of_time=True)])
    assert assessment.end
    assert assessment.annotate is not None
    assert assessment.annotate.reason == OUT_OF_TIME
    assert "spec.finalists.timeout" in assessment.annotate.message


def test_a_pod_that_cannot_start_is_given_up_after_a_time() -> None:
    job = make_job()
    pods = [make_pod(job, reason="ErrImagePull", message="no such image", placed_at=NOW)]
    waiting = judged(job, pods)
    assert waiting.waiting is not None
    assert "no such image" in waiting.waiting.message
    given_up = judged(job, pods, at(300))
    assert given_up.end
    assert given_up.annotate is not None
    assert given_up.annotate.reason == "ErrImagePull"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ('persistentvolumeclaim "models" not found', "VolumeMissing"),
        ("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", "Unschedulable"),
    ],
)
def test_a_pod_without_a_node_is_news_after_ten_seconds(words: str, reason: str) -> None:
    job = make_job()
    pods = [make_pod(job, unplaced=words)]
    assert judged(job, pods) == JobAssessment(wait_until=at(10))
    waiting = judged(job, pods, at(10)).waiting
    assert waiting is not None
    assert waiting.reason == reason
    assert words.split(".")[0] in waiting.message


def test_a_job_without_a_pod_is_news_after_a_minute() -> None:
    job = make_job(created_at=NOW)
    assert judged(job) == JobAssessment(wait_until=at(60))
    waiting = judged(job, now=at(60)).waiting
    assert waiting is not None
    assert waiting.reason == "PodsMissing"
    assert judged(make_job(created_at=NOW, pods=1), now=at(60)) == UNASSESSED
    assert judged(make_job(created_at=NOW, suspended=True), now=at(60)) == UNASSESSED
