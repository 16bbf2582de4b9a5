"""Verdicts on a trial's Job, from its annotation, its conditions and its Pods."""

from dataclasses import replace

import pytest
from operator_builders import NOW, A, B, at, make_job, make_pod, make_result
from operator_verdicts import failure_of, judged

from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import TrialResult
from blockqnn_operator.core.judging.pod_start import (
    CANNOT_START,
    PODS_MISSING,
    UNSCHEDULABLE,
    Trouble,
)
from blockqnn_operator.core.judging.result import JobAssessment
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob

GOOD = make_result(accuracy=0.75)
INFEASIBLE = make_result(outcome=Outcome.INFEASIBLE, reason="OutOfMemory", message="Too big.")
FAILURE = make_result(outcome=Outcome.FAILED, reason="Error", message="The disk is full.")
LATER_FAILURE = make_result(outcome=Outcome.FAILED, reason="Error", message="The disk broke.")

LIMIT_MESSAGE = "Job has reached the specified backoff limit"
DEADLINE_MESSAGE = "Job was active longer than specified deadline"

RUNNING = make_job()
COMPLETE = make_job(condition="Complete")
OUT_OF_RETRIES = make_job(
    condition="Failed", reason="BackoffLimitExceeded", message=LIMIT_MESSAGE, failed_pods=1
)
OUT_OF_TIME = make_job(
    condition="Failed", reason="DeadlineExceeded", message=DEADLINE_MESSAGE, failed_pods=1
)

FIRST = make_pod(name="first", exit_code=1, reason="OOMKilled")
SECOND = replace(FIRST, name="second", created_at=at(30))


def annotated(text: str) -> TrialJob:
    return make_job(result=text)


def test_a_job_without_a_pod_is_news_after_a_minute_unless_a_queue_holds_it() -> None:
    job = make_job(created_at=NOW)
    assert judged(job, now=at(59)) == JobAssessment(wait_until=at(60))
    waiting = judged(job, now=at(60)).waiting
    assert waiting is not None
    assert waiting.reason == PODS_MISSING
    for waiting in (
        make_job(created_at=NOW, suspended=True),
        make_job(created_at=NOW, pods=1),
        make_job(),
    ):
        assert judged(waiting, now=at(3600)) == JobAssessment()


@pytest.mark.parametrize("pods", [(), (make_pod(),), (make_pod(reason="ContainerCreating"),)])
def test_a_job_that_runs_says_nothing(pods: tuple[TrialPod, ...]) -> None:
    assert judged(RUNNING, *pods) == JobAssessment()


@pytest.mark.parametrize("result", [GOOD, INFEASIBLE, FAILURE])
@pytest.mark.parametrize("condition", [None, "Complete", "Failed"])
def test_a_valid_annotation_ends_the_trial_whatever_else_there_is(
    result: object, condition: str | None
) -> None:
    job = make_job(result=result, condition=condition)  # type: ignore[arg-type]
    verdict = judged(job, make_pod(exit_code=1, message="Traceback")).verdict
    assert verdict is not None
    assert verdict.result == result
    assert (verdict.outcome, verdict.reason) == (verdict.result.outcome, verdict.result.reason)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            "The trial result is wrong: Invalid JSON: EOF while parsing a value at line 1 column 0",
        ),
        ("null", "The trial result is wrong: Input should be an object"),
        (
            make_result(trial=7).write(),
            f"The result is of trial 7, attempt 0, block hash {GOOD.block_hash}; "
            f"expected trial 0, attempt 0, block hash {GOOD.block_hash}.",
        ),
        (
            make_result(attempt=1).write(),
            f"The result is of trial 0, attempt 1, block hash {GOOD.block_hash}; "
            f"expected trial 0, attempt 0, block hash {GOOD.block_hash}.",
        ),
        (
            make_result(block=B).write(),
            f"The result is of trial 0, attempt 0, block hash {make_result(block=B).block_hash}; "
            f"expected trial 0, attempt 0, block hash {GOOD.block_hash}.",
        ),
        (GOOD.write().replace("0.75", "1.75"), "The trial result is wrong at accuracy: "),
        (
            GOOD.write().replace('"version":1', '"version":2'),
            "The trial result is wrong at version",
        ),
        ("x" * 3585, "The trial result is 3585 bytes long; at most 3584 fit."),
    ],
    ids=["empty", "null", "trial", "attempt", "block", "accuracy", "version", "too long"],
)
def test_an_invalid_annotation_is_reported_and_does_not_count(text: str, said: str) -> None:
    assessment = judged(annotated(text))
    assert assessment.verdict is None
    assert assessment.annotate is None
    assert assessment.invalid.startswith(f"Its annotation is not a valid result: {said}")


def test_an_invalid_annotation_gives_way_to_the_message_of_the_pod() -> None:
    assessment = judged(annotated("null"), make_pod(exit_code=0, message=GOOD))
    assert assessment.annotate == GOOD
    assert assessment.invalid.startswith("Its annotation is not a valid result: ")


@pytest.mark.parametrize("job", [RUNNING, COMPLETE, OUT_OF_RETRIES, OUT_OF_TIME])
@pytest.mark.parametrize("result", [GOOD, INFEASIBLE])
@pytest.mark.parametrize("exit_code", [0, 1, 137])
def test_what_a_pod_says_of_its_block_is_annotated_however_the_job_ends(
    job: TrialJob, result: object, exit_code: int
) -> None:
    pod = make_pod(exit_code=exit_code, message=result)  # type: ignore[arg-type]
    assert judged(job, pod) == JobAssessment(annotate=result)  # type: ignore[arg-type]


def test_a_message_counts_only_once_the_container_has_ended() -> None:
    assert judged(RUNNING, make_pod(message=GOOD)) == JobAssessment()


def test_the_result_of_a_retry_counts_and_the_failure_before_it_does_not() -> None:
    first = replace(FIRST, message=FAILURE.write())
    second = make_pod(exit_code=0, message=GOOD, created_at=at(30))
    for pods in [(first, second), (second, first)]:
        assert judged(COMPLETE, *pods).annotate == GOOD
        assert judged(RUNNING, *pods).annotate == GOOD


def test_a_result_about_the_block_counts_even_when_a_later_pod_failed() -> None:
    first = make_pod(exit_code=1, message=INFEASIBLE)
    assert judged(OUT_OF_RETRIES, first, SECOND).annotate == INFEASIBLE


def test_a_failure_is_not_the_end_while_the_job_still_tries_again() -> None:
    assert judged(RUNNING, make_pod(exit_code=1, message=FAILURE)) == JobAssessment()


def test_the_latest_failure_is_annotated_when_the_job_gives_up() -> None:
    first = replace(FIRST, message=FAILURE.write())
    second = replace(SECOND, message=LATER_FAILURE.write())
    for pods in [(first, second), (second, first)]:
        assert judged(OUT_OF_RETRIES, *pods) == JobAssessment(annotate=LATER_FAILURE)


def test_a_failure_that_ends_with_status_0_is_annotated_when_the_job_is_complete() -> None:
    assert judged(RUNNING, make_pod(exit_code=0, message=FAILURE)) == JobAssessment()
    assert judged(COMPLETE, make_pod(exit_code=0, message=FAILURE)).annotate == FAILURE


def test_an_invalid_message_is_reported_when_the_pod_claims_success() -> None:
    assessment = judged(RUNNING, make_pod(exit_code=0, message="Done!"))
    assert assessment.verdict is None
    assert assessment.invalid == (
        "The termination message of its Pod is not a valid result: The trial result is wrong: "
        "Invalid JSON: expected value at line 1 column 1."
    )
    assert failure_of(judged(COMPLETE, make_pod(exit_code=0, message="Done!"))) == (
        "ResultInvalid",
        assessment.invalid,
    )


def test_an_invalid_message_is_nothing_to_report_when_the_pod_failed() -> None:
    assert judged(RUNNING, make_pod(exit_code=1, message="Traceback ...")) == JobAssessment()


def test_a_trainer_that_leaves_no_result_has_failed() -> None:
    assert failure_of(judged(COMPLETE, make_pod(exit_code=0))) == (
        "ResultMissing",
        "The trainer exited with status 0 and left no result.",
    )


def test_the_failure_of_an_earlier_pod_does_not_explain_a_complete_job() -> None:
    failed = replace(FIRST, message=FAILURE.write())
    assessment = judged(COMPLETE, failed, make_pod(exit_code=0, created_at=at(30)))
    assert failure_of(assessment)[0] == "ResultMissing"


NOT_ALL_SEEN = {
    "complete, no pod": (COMPLETE, ()),
    "complete, pod still running": (COMPLETE, (make_pod(),)),
    "complete, only the failed pod before": (COMPLETE, (FIRST,)),
    "complete, only the failure before": (COMPLETE, (replace(FIRST, message=FAILURE.write()),)),
    "failed, no pod": (OUT_OF_RETRIES, ()),
    "failed, pod still running": (OUT_OF_RETRIES, (make_pod(),)),
    "failed, one of two pods": (replace(OUT_OF_RETRIES, failed_pods=2), (FIRST,)),
}


@pytest.mark.parametrize(("job", "pods"), NOT_ALL_SEEN.values(), ids=NOT_ALL_SEEN)
def test_a_job_that_ended_waits_until_its_pods_are_seen(
    job: TrialJob, pods: tuple[TrialPod, ...]
) -> None:
    for now in (NOW, at(59)):
        assert judged(job, *pods, now=now) == JobAssessment(wait_until=at(60))


@pytest.mark.parametrize(("job", "pods"), NOT_ALL_SEEN.values(), ids=NOT_ALL_SEEN)
def test_after_a_minute_a_job_is_judged_by_what_is_seen(
    job: TrialJob, pods: tuple[TrialPod, ...]
) -> None:
    assessment = judged(job, *pods, now=at(60))
    assert assessment.wait_until is None
    reason, _ = failure_of(assessment)
    assert reason == ("ResultMissing" if job is COMPLETE else "BackoffLimitExceeded")


def test_a_job_that_ran_out_of_time_is_judged_at_once_for_its_pods_are_deleted() -> None:
    assert failure_of(judged(OUT_OF_TIME)) == (
        "DeadlineExceeded",
        "Its Job failed: Job was active longer than specified deadline.",
    )


def test_the_last_words_of_a_trainer_out_of_time_do_not_hide_the_reason() -> None:
    last_words = make_result(outcome=Outcome.FAILED, reason="Terminated", message="By SIGTERM.")
    pod = make_pod(exit_code=143, message=last_words)
    assert failure_of(judged(OUT_OF_TIME, pod)) == failure_of(judged(OUT_OF_TIME))


def test_a_pod_that_never_started_tells_why_its_job_ran_out_of_time() -> None:
    pod = make_pod(reason="ErrImagePull", message='pull of "trainer:none" failed')
    assert failure_of(judged(OUT_OF_TIME, pod)) == (
        "DeadlineExceeded",
        'Its last Pod ended with ErrImagePull: pull of "trainer:none" failed',
    )


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        (FIRST, "Its last Pod ended with OOMKilled, status 1"),
        (
            make_pod(exit_code=1, message="\nNo such file\n  and so on"),
            "Its last Pod ended with Error, status 1: No such file",
        ),
        (
            make_pod(exit_code=1, message="x" * 301),
            f"Its last Pod ended with Error, status 1: {'x' * 300}",
        ),
        (make_pod(exit_code=3, reason=""), "Its last Pod ended with no reason, status 3"),
    ],
    ids=["killed", "traceback", "long", "no reason"],
)
def test_a_job_that_failed_without_a_result_quotes_its_last_pod(
    pod: TrialPod, message: str
) -> None:
    assert failure_of(judged(OUT_OF_RETRIES, pod)) == ("BackoffLimitExceeded", message)


def test_the_last_pod_is_the_one_that_was_made_last() -> None:
    earlier = make_pod(exit_code=1, name="z", message="first")
    later = make_pod(exit_code=1, name="a", message="second", created_at=at(1))
    for pods in [(earlier, later), (later, earlier)]:
        assert failure_of(judged(OUT_OF_RETRIES, *pods))[1].endswith("second")


def test_a_failed_job_without_pods_quotes_the_job() -> None:
    assert failure_of(judged(OUT_OF_RETRIES, now=at(60))) == (
        "BackoffLimitExceeded",
        "Its Job failed: Job has reached the specified backoff limit.",
    )


PULLING = make_pod(reason="ErrImagePull", message="pull of trainer:none failed\nand so on")


@pytest.mark.parametrize("reason", sorted(CANNOT_START))
def test_a_pod_that_cannot_start_is_waited_for_until_its_time_is_up(reason: str) -> None:
    pod = replace(PULLING, reason=reason)
    message = "Its Pod cannot start: pull of trainer:none failed"
    waiting = Trouble(reason, message, PULLING.message)
    assert judged(RUNNING, pod) == JobAssessment(waiting=waiting, wait_until=at(900))
    assessment = judged(RUNNING, pod, now=at(900))
    assert assessment.end, "its Job would try for ever"
    assert assessment.annotate is not None
    assert (assessment.annotate.outcome, assessment.annotate.reason) == (Outcome.FAILED, reason)
    assert assessment.annotate.message == message


def test_the_time_in_which_a_pod_had_no_node_is_no_part_of_it() -> None:
    placed = replace(PULLING, placed_at=at(7200))
    assert judged(RUNNING, placed, now=at(7300)).wait_until == at(8100)


def test_a_pod_without_a_node_waits_for_ever_and_is_quoted_after_a_moment() -> None:
    pod = make_pod(unplaced="0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")
    assert judged(RUNNING, pod) == JobAssessment(wait_until=at(10))
    for now in (at(10), at(10_000_000)):
        message = f"Its Pod waits for a node: {pod.unplaced}"
        waiting = Trouble(UNSCHEDULABLE, message, pod.unplaced)
        assert judged(RUNNING, pod, now=now) == JobAssessment(waiting=waiting)


def test_a_pod_that_ran_out_of_time_has_failed_whatever_its_last_words() -> None:
    last_words = make_result(outcome=Outcome.FAILED, reason="Terminated", message="By SIGTERM.")
    for message in ("", last_words.write()):
        pod = make_pod(exit_code=143, message=message, out_of_time=True)
        assessment = judged(RUNNING, pod)
        assert assessment.end
        assert assessment.annotate is not None
        assert assessment.annotate.reason == "DeadlineExceeded"
        assert "trialTimeout" in assessment.annotate.message


KILLED = make_result(outcome=Outcome.FAILED, reason="Killed", message="It was killed.")


@pytest.mark.parametrize("job", [RUNNING, OUT_OF_RETRIES])
def test_a_trainer_that_was_killed_over_its_memory_shows_what_its_block_needs(
    job: TrialJob,
) -> None:
    assessment = judged(job, make_pod(exit_code=137, reason="OOMKilled", message=KILLED))
    assert assessment.annotate is not None
    assert (assessment.annotate.outcome, assessment.annotate.reason) == (
        Outcome.INFEASIBLE,
        "OutOfMemory",
    )
    assert assessment.annotate.block_hash == KILLED.block_hash
    assert assessment.end is (job is RUNNING), "another Pod would be killed for the same reason"


@pytest.mark.parametrize(
    ("reason", "message"),
    [("OOMKilled", ""), ("OOMKilled", FAILURE), ("Error", KILLED)],
    ids=["before it could say what it trains", "after it failed", "by somebody else"],
)
def test_a_kill_that_is_not_the_blocks_fault_is_tried_again(
    reason: str, message: TrialResult | str
) -> None:
    pod = make_pod(exit_code=137, reason=reason, message=message)
    assert judged(RUNNING, pod) == JobAssessment()


def test_a_trainer_that_ends_itself_as_if_it_were_deleted_fails_after_its_retries() -> None:
    """Kubernetes takes the status for that of a deleted Pod, and starts another for ever."""
    pods = [make_pod(exit_code=143, name=f"pod-{n}", created_at=at(n)) for n in range(4)]
    assert judged(RUNNING, *pods[:2]) == JobAssessment()
    drained = make_pod(exit_code=143, name="drained", interrupted="It was deleted.")
    assert judged(RUNNING, *pods[:2], drained).annotate is None
    assessment = judged(RUNNING, *pods[:3])
    assert assessment.end
    assert assessment.annotate is not None
    assert (assessment.annotate.outcome, assessment.annotate.reason) == (
        Outcome.FAILED,
        "Terminated",
    )


def test_a_result_that_came_before_the_time_was_up_counts() -> None:
    pod = make_pod(exit_code=143, message=GOOD, out_of_time=True)
    assert judged(RUNNING, pod) == JobAssessment(annotate=GOOD)


def test_a_drained_or_deleted_pod_is_told_of_and_decides_nothing() -> None:
    pod = make_pod(exit_code=143, interrupted="It was deleted.")
    assert judged(RUNNING, pod) == JobAssessment(interruptions=((pod.name, "It was deleted."),))


def test_only_a_missing_result_is_worth_another_attempt() -> None:
    missing, nonsense = (make_pod(exit_code=0), make_pod(exit_code=0, message="Done!"))
    for pod in (missing, nonsense):
        verdict = judged(COMPLETE, pod).verdict
        assert verdict is not None
        assert verdict.retry
    for job in (annotated(FAILURE.write()), OUT_OF_RETRIES, OUT_OF_TIME):
        verdict = judged(job, FIRST).verdict
        assert verdict is not None
        assert not verdict.retry


def read_pod(status: dict[str, object], **metadata: object) -> TrialPod:
    body = {
        "metadata": {
            "name": "digits-t00000-a0-x2x2x",
            "labels": {"batch.kubernetes.io/job-name": "digits-t00000-a0"},
            "creationTimestamp": "2024-05-01T12:00:00Z",
            **metadata,
        },
        "status": status,
    }
    pod = TrialPod.read(body)
    assert pod is not None
    return pod


def pod_condition(kind: str, status: str, **fields: str) -> dict[str, object]:
    return {"conditions": [{"type": kind, "status": status, **fields}]}


def test_a_pod_says_why_it_has_no_node_and_when_it_got_one() -> None:
    waiting = read_pod(pod_condition("PodScheduled", "False", message="No node is free."))
    assert (waiting.unplaced, waiting.placed_at) == ("No node is free.", None)
    since = {"lastTransitionTime": "2024-05-01T12:00:30Z"}
    placed = read_pod(pod_condition("PodScheduled", "True", **since))
    assert (placed.unplaced, placed.placed_at) == ("", at(30))


def test_a_pod_says_who_ended_it() -> None:
    drained = pod_condition(
        "DisruptionTarget", "True", reason="EvictionByEvictionAPI", message="Eviction API: evicting"
    )
    assert read_pod(drained).interrupted == "EvictionByEvictionAPI: Eviction API: evicting"
    assert read_pod({}, deletionTimestamp="2024-05-01T12:01:00Z").interrupted == "It was deleted."
    assert read_pod({}).interrupted == ""
    assert read_pod({"reason": "DeadlineExceeded"}).out_of_time


def test_a_result_of_another_block_is_refused() -> None:
    pod = make_pod(exit_code=0, message=make_result(block=B))
    assert f"block hash {make_result(block=B).block_hash}" in judged(make_job(0, A), pod).invalid
