"""Judgement of a finalist's Job: running, reporting, or over, and how it ended.

Results are trusted in the same order as for trials: the Job's annotation, which is the durable
record, then the termination message of a Pod. A Pod that was drained or preempted decides nothing:
its Job starts another, which goes on from the last checkpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from blockqnn.contract.finalist import FinalistResult
from blockqnn.contract.message import Outcome
from blockqnn.errors import InvalidMessage
from blockqnn_operator.core.judging.pod_start import (
    SCHEDULING,
    give_up_at,
    stuck,
    unplaced,
    without_pod_at,
)
from blockqnn_operator.core.judging.result import REPORTING_DEADLINE, quote
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.observed.job import OUT_OF_TIME
from blockqnn_operator.core.observed.pod import TrialPod

VOLUME_MISSING = "VolumeMissing"
"""Reason that a trainer gives for a missing volume, and the operator for a missing claim."""


_PODLESS = (
    "Its Job has no Pod: kubectl describe job says whether a quota or a webhook refuses it; "
    "without a word there, the controller of Jobs does not run."
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Reason why a finalist has no accuracy and will get none, or why it waits."""

    reason: str
    message: str
    retry: bool = False
    """Another attempt may bring the result that is missing."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """State of a finalist's Job now; at most one of the first three fields is set."""

    result: FinalistResult | None = None
    """The result that it has reached, durably."""
    annotate: FinalistResult | None = None
    """The result that its Pod reports; it must become the Job's annotation before it counts."""
    failure: Failure | None = None
    """It has failed, durably."""
    end: bool = False
    """The Job would run on in vain: it must be ended together with the annotation."""
    waiting: Failure | None = None
    """Reason why it does not run, once worth reporting; it may go on by itself."""
    invalid: str = ""
    """Why the annotation, or a Pod's message, is no result of this finalist; empty if none is."""
    wait_until: datetime | None = None
    """Time to look again, even if nothing happens before."""


RUNNING = Judgement()
"""Judgement of a Job about which nothing is known yet."""


def judge(
    job: FinalistJob,
    pods: Sequence[TrialPod],
    seed: int,
    now: datetime,
    pending_timeout: timedelta,
) -> Judgement:
    """Judge a finalist's Job.

    Args:
        job: the Job.
        pods: the Job's Pods, in any order.
        seed: the seed that its result must name.
        now: the present time.
        pending_timeout: the longest wait for a Pod that cannot start.
    """
    invalid = ""
    if job.result is not None:
        try:
            return _of_result(_read(job, seed, job.result))
        except InvalidMessage as error:
            invalid = f"Its annotation is no result: {error}"
    latest = sorted(pods, key=lambda pod: (pod.created_at, pod.name), reverse=True)
    reported, complaint = _reported(job, seed, latest)
    invalid = invalid or complaint
    if reported is not None and reported.outcome is not Outcome.FAILED:
        return Judgement(annotate=reported, invalid=invalid)
    if job.condition is None:
        return _of_running_job(job, seed, latest, now, pending_timeout, invalid)
    deadline = (job.finished_at or now) + REPORTING_DEADLINE
    if now < deadline and not _all_seen(job, latest):
        return Judgement(invalid=invalid, wait_until=deadline)
    if reported is not None:
        return Judgement(annotate=reported, invalid=invalid)
    return Judgement(failure=_without_result(job, latest, invalid), invalid=invalid)


def _of_result(result: FinalistResult) -> Judgement:
    if result.outcome is Outcome.FAILED:
        return Judgement(failure=Failure(result.reason, result.message))
    return Judgement(result=result)


def _of_running_job(
    job: FinalistJob,
    seed: int,
    latest: Sequence[TrialPod],
    now: datetime,
    pending_timeout: timedelta,
    invalid: str,
) -> Judgement:
    """Judge whether a Job that has not ended can still bring a result."""
    if any(pod.out_of_time for pod in latest):
        message = "It ran for longer than spec.finalists.timeout and was stopped."
        failed = _failed(job, seed, OUT_OF_TIME, message)
        return Judgement(annotate=failed, end=True, invalid=invalid)
    if pod := stuck(latest):
        message = f"Its Pod cannot start: {quote(pod.message) or pod.reason}"
        give_up = give_up_at(pod, pending_timeout)
        if now >= give_up:
            failed = _failed(job, seed, pod.reason, message)
            return Judgement(annotate=failed, end=True, invalid=invalid)
        waiting = Failure(pod.reason, message)
        return Judgement(waiting=waiting, wait_until=give_up, invalid=invalid)
    if pod := unplaced(latest):
        news_at = pod.created_at + SCHEDULING
        if now < news_at:
            return Judgement(wait_until=news_at, invalid=invalid)
        return Judgement(waiting=_unplaced(pod), invalid=invalid)
    if missing_at := without_pod_at(job, latest):
        if now < missing_at:
            return Judgement(wait_until=missing_at, invalid=invalid)
        return Judgement(waiting=Failure("PodsMissing", _PODLESS), invalid=invalid)
    return Judgement(invalid=invalid)


def _unplaced(pod: TrialPod) -> Failure:
    words = quote(pod.unplaced)
    claim = "persistentvolumeclaim" in words and "not found" in words
    reason = VOLUME_MISSING if claim else "Unschedulable"
    return Failure(reason, f"Its Pod waits for a node: {words}")


def _failed(job: FinalistJob, seed: int, reason: str, message: str) -> FinalistResult:
    """Return the result that the operator itself writes for a Job that will never bring one."""
    return FinalistResult(
        trial=job.finalist.trial,
        attempt=job.attempt,
        target=job.finalist.target,
        seed=seed,
        block_hash=job.block_hash,
        outcome=Outcome.FAILED,
        reason=reason,
        message=message,
    )


def _read(job: FinalistJob, seed: int, text: str) -> FinalistResult:
    result = FinalistResult.read(text)
    trial, target, _ = job.finalist
    expected = (trial, target, seed, job.block_hash)
    if (result.trial, result.target, result.seed, result.block_hash) != expected:
        raise InvalidMessage(
            f"The result is of trial {result.trial}, target {result.target!r}, seed {result.seed}, "
            f"block {result.block_hash}; expected were {trial}, {target!r}, {seed}, "
            f"{job.block_hash}."
        )
    return result


def _reported(
    job: FinalistJob, seed: int, latest: Sequence[TrialPod]
) -> tuple[FinalistResult | None, str]:
    """Return the best result among the Pods' messages, and what is wrong with an invalid one.

    A result about the block counts from whichever Pod it is; of failures the latest counts.
    """
    failure, complaint = None, ""
    for pod in latest:
        if pod.exit_code is None or not pod.message:
            continue
        try:
            result = _read(job, seed, pod.message)
        except InvalidMessage as error:
            if pod.exit_code == 0:
                complaint = complaint or f"The message of its Pod is no result: {error}"
            continue
        if result.outcome is not Outcome.FAILED:
            return result, complaint
        if job.condition == "Failed" and job.reason != OUT_OF_TIME:
            failure = failure or result
    return failure, complaint


def _all_seen(job: FinalistJob, pods: Sequence[TrialPod]) -> bool:
    """Return whether the Pods that decided how a Job ended have been seen to end."""
    if job.condition == "Complete":
        return any(pod.exit_code == 0 for pod in pods)
    ended = sum(pod.exit_code is not None for pod in pods)
    return job.reason == OUT_OF_TIME or job.failed_pods <= ended


def _without_result(job: FinalistJob, latest: Sequence[TrialPod], invalid: str) -> Failure:
    if job.condition == "Complete":
        reason = "ResultInvalid" if invalid else "ResultMissing"
        message = invalid or "The trainer ended with status 0 and left no result."
        return Failure(reason, message, retry=True)
    ended = next((pod for pod in latest if pod.exit_code), None)
    if ended is None or job.reason == OUT_OF_TIME:
        message = f"Its Job failed: {job.message or job.reason}."
        return Failure(job.reason or "JobFailed", message)
    said = f": {quote(ended.message)}" if ended.message.strip() else "."
    message = f"Its last Pod ended with {ended.reason or 'no reason'}, status {ended.exit_code}"
    return Failure(job.reason or "JobFailed", f"{message}{said}")
