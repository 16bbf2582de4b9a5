"""Judgement of a trial's Job: running, reporting, or over, and with which outcome.

Results are trusted in this order: the Job's annotation, which is the durable record, whoever wrote
it; then the termination message of a Pod. An invalid result is reported and never guessed at.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import TrialResult
from blockqnn.contract.trial_group import result_texts
from blockqnn.errors import InvalidMessage
from blockqnn_api.spec import FailurePolicy
from blockqnn_operator.core.jobs.base import BAD_INPUT_STATUS, SIGTERM_STATUS
from blockqnn_operator.core.judging.pod_start import (
    SCHEDULING,
    give_up_at,
    stuck,
    unplaced,
    without_pod_at,
)
from blockqnn_operator.core.judging.result import (
    OUT_OF_MEMORY,
    REPORTING_DEADLINE,
    all_seen,
    quote,
)
from blockqnn_operator.core.observed.job import OUT_OF_TIME
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a trial whose Job is over."""

    outcome: Outcome
    reason: str
    message: str
    result: TrialResult | None = None
    retry: bool = False
    """Another attempt may bring the result that is missing."""
    blameless: bool = False
    """The attempt ended before the trial could show anything; it is not counted as a failure."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """State of a trial's Job now; at most one of the first two fields is set."""

    verdict: Verdict | None = None
    """The trial is over."""
    annotate: TrialResult | None = None
    """The Job's Pod reports this result, or shows that there will be none; it must become the Job's
    annotation before it counts."""
    end: bool = False
    """The Job would run on in vain: it must be ended together with the annotation."""
    invalid: str = ""
    """Why the annotation, or a Pod's message, is no result of this trial; empty when none is."""
    wait_until: datetime | None = None
    """Time to look again, even if nothing happens before."""
    unplaced: str = ""
    """Why the scheduler finds no node for the Job's Pod, in its words, once worth reporting."""
    podless: bool = False
    """The Job has had no Pod for so long that this is worth reporting."""
    interruptions: tuple[tuple[str, str], ...] = ()
    """The Pods that somebody other than the trainer has ended, each with the reason."""


NOTHING_SAID = Judgement()
"""Judgement of a trial without a Job."""


def judge(
    job: TrialJob,
    pods: Sequence[TrialPod],
    now: datetime,
    pending_timeout: timedelta,
    retries: int = FailurePolicy().retries,
) -> Judgement:
    """Judge a trial's Job.

    Args:
        job: the Job; for a Job of several trials, the trial's part.
        pods: the Job's Pods, in any order.
        now: the present time.
        pending_timeout: the longest wait for a Pod that cannot start.
        retries: the number of retries before a trial counts as failed.
    """
    invalid = ""
    if job.result is not None:
        try:
            return Judgement(verdict=_of_result(_read(job, job.result)))
        except InvalidMessage as error:
            invalid = f"Its annotation is no result: {error}"
    latest = sorted(pods, key=lambda pod: (pod.created_at, pod.name), reverse=True)
    reported, complaint = _reported(job, latest)
    invalid = invalid or complaint
    if reported is not None and reported.outcome is not Outcome.FAILED:
        # A Pod that was killed because of its block would be started again in vain.
        return Judgement(annotate=reported, end=_goes_on(job, latest), invalid=invalid)
    if job.condition is None:
        return _of_running_job(job, latest, now, pending_timeout, retries, invalid)
    deadline = (job.finished_at or now) + REPORTING_DEADLINE
    if now < deadline and not all_seen(job, latest):
        return Judgement(invalid=invalid, wait_until=deadline)
    if job.shared and job.condition == "Failed":
        return _of_shared_job(job, latest, retries, reported, invalid)
    if reported is not None:
        return Judgement(annotate=reported, invalid=invalid)
    return Judgement(verdict=_without_result(job, latest, invalid), invalid=invalid)


def _goes_on(job: TrialJob, latest: Sequence[TrialPod]) -> bool:
    """Return whether a Job would start another Pod although its trial has a result."""
    alone = job.condition is None and not job.shared
    return alone and any(pod.reason == OUT_OF_MEMORY for pod in latest)


def _of_shared_job(
    job: TrialJob,
    latest: Sequence[TrialPod],
    retries: int,
    reported: TrialResult | None,
    invalid: str,
) -> Judgement:
    """Judge a trial without a result whose Job of several trials has failed.

    Kubernetes does not start such a Job's Pod again: the remaining trials get another Job. The
    failure belongs to the first trial without a result; the later ones were not begun.
    """
    ended = _without_result(job, latest, invalid)
    if not _was_begun(job, latest):
        return _try_again(replace(ended, reason="NotBegun"), invalid)
    if invalid:
        # It was trained; the Pod's status comes from a later trial.
        verdict = Verdict(Outcome.FAILED, "ResultInvalid", invalid, retry=job.failures < retries)
        return Judgement(verdict=verdict, invalid=invalid)
    if interruptions := _interruptions(latest):
        judgement = _try_again(replace(ended, reason="Interrupted"), invalid)
        return replace(judgement, interruptions=interruptions)
    if job.before and any(pod.reason == OUT_OF_MEMORY for pod in latest):
        # The trials before it may have filled the memory: next time it is the first.
        return _try_again(replace(ended, reason="OutOfMemory"), invalid)
    if any(pod.out_of_time for pod in latest):
        message = "It ran for longer than spec.failurePolicy.trialTimeout and was stopped."
        return Judgement(annotate=_failure(job, OUT_OF_TIME, message), invalid=invalid)
    is_final = job.failures >= retries or any(pod.exit_code == BAD_INPUT_STATUS for pod in latest)
    if is_final and reported is not None:
        return Judgement(annotate=reported, invalid=invalid)
    return Judgement(verdict=replace(ended, retry=not is_final), invalid=invalid)


def _try_again(ended: Verdict, invalid: str) -> Judgement:
    verdict = replace(ended, retry=True, blameless=True)
    return Judgement(verdict=verdict, invalid=invalid)


def _was_begun(job: TrialJob, pods: Sequence[TrialPod]) -> bool:
    """Return whether all trials before this one have a result that is no failure."""
    for earlier in job.before:
        if not any(_is_done(earlier, text) for text in (earlier.result, *_said(earlier, pods))):
            return False
    return True


def _is_done(job: TrialJob, text: str | None) -> bool:
    if text is None:
        return False
    try:
        return _read(job, text).outcome is not Outcome.FAILED
    except InvalidMessage:
        return False


def _said(job: TrialJob, pods: Sequence[TrialPod]) -> list[str | None]:
    said = []
    for pod in pods:
        with suppress(InvalidMessage):
            said.append(_words(job, pod))
    return said


def _words(job: TrialJob, pod: TrialPod) -> str | None:
    """Return a Pod's message about a trial; None when there is none.

    Raises:
        InvalidMessage: when it should hold the results of several trials and does not.
    """
    if pod.exit_code is None or not pod.message:
        return None
    if not job.shared:
        return pod.message
    try:
        return result_texts(pod.message).get(job.trial)
    except InvalidMessage:
        # A trainer that failed before there was any result may have said why in plain words.
        if pod.exit_code == 0:
            raise
        return None


def _of_running_job(
    job: TrialJob,
    latest: Sequence[TrialPod],
    now: datetime,
    pending_timeout: timedelta,
    retries: int,
    invalid: str,
) -> Judgement:
    """Judge whether a Job that has not ended can still bring a result."""
    if not job.shared and sum(map(_ended_itself, latest)) > retries:
        # Kubernetes takes the status for that of a Pod that was deleted, and would never give up.
        message = f"Its Pods ended {len(latest)} times with status {SIGTERM_STATUS} by themselves."
        return Judgement(annotate=_failure(job, "Terminated", message), end=True, invalid=invalid)
    if not job.shared and any(pod.out_of_time for pod in latest):
        message = "It ran for longer than spec.failurePolicy.trialTimeout and was stopped."
        return Judgement(annotate=_failure(job, OUT_OF_TIME, message), end=True, invalid=invalid)
    waiting, wait_until = "", None
    if pod := stuck(latest):
        wait_until = give_up_at(pod, pending_timeout)
        if now >= wait_until:
            message = f"Its Pod cannot start: {quote(pod.message) or pod.reason}"
            return Judgement(annotate=_failure(job, pod.reason, message), end=True, invalid=invalid)
    elif pod := unplaced(latest):
        news_at = pod.created_at + SCHEDULING
        waiting, wait_until = (pod.unplaced, None) if now >= news_at else ("", news_at)
    elif missing_at := without_pod_at(job, latest):
        if now >= missing_at:
            return Judgement(invalid=invalid, podless=True)
        wait_until = missing_at
    return Judgement(
        invalid=invalid,
        wait_until=wait_until,
        unplaced=waiting,
        interruptions=_interruptions(latest),
    )


def _interruptions(pods: Sequence[TrialPod]) -> tuple[tuple[str, str], ...]:
    return tuple((pod.name, pod.interrupted) for pod in pods if pod.interrupted)


def _ended_itself(pod: TrialPod) -> bool:
    """Return whether a Pod ended as if it had been deleted, although nobody deleted it."""
    return pod.exit_code == SIGTERM_STATUS and not (pod.interrupted or pod.out_of_time)


def _failure(job: TrialJob, reason: str, message: str) -> TrialResult:
    """Return the result that the operator itself writes for a Job that will never bring one."""
    return TrialResult(
        trial=job.trial,
        attempt=job.attempt,
        block_hash=job.block_hash,
        outcome=Outcome.FAILED,
        reason=reason,
        message=message,
    )


def _read(job: TrialJob, text: str) -> TrialResult:
    result = _parsed(text)
    expected = (job.trial, job.attempt, job.block_hash)
    if (result.trial, result.attempt, result.block_hash) != expected:
        raise InvalidMessage(
            f"The trial result is of trial {result.trial}, attempt {result.attempt}, block "
            f"{result.block_hash}; expected were {expected[0]}, {expected[1]}, {expected[2]}."
        )
    return result


@lru_cache(maxsize=2048)
def _parsed(text: str) -> TrialResult:
    """Read a result; cached, since each pass reads again what is not in the history yet."""
    return TrialResult.read(text)


def _of_result(result: TrialResult) -> Verdict:
    return Verdict(result.outcome, result.reason, result.message, result)


def _reported(job: TrialJob, latest: Sequence[TrialPod]) -> tuple[TrialResult | None, str]:
    """Return the best result among the Pods' messages, and what is wrong with an invalid one.

    A result about the block counts from whichever Pod it is; of failures the latest counts.
    """
    failure, complaint = None, ""
    for pod in latest:
        try:
            words = _words(job, pod)
            if words is None:
                continue
            result = _read(job, words)
        except InvalidMessage as error:
            if pod.exit_code == 0 or job.shared:
                complaint = complaint or f"The message of its Pod is no result: {error}"
            continue
        if _ran_out_of_memory(job, pod, result):
            return _out_of_memory(result), complaint
        if result.outcome is not Outcome.FAILED:
            return result, complaint
        if _explains_the_end(job, pod):
            failure = failure or result
    return failure, complaint


def _ran_out_of_memory(job: TrialJob, pod: TrialPod, result: TrialResult) -> bool:
    """Return whether the kernel killed the trainer over the memory that this trial's block takes.

    For a later trial in one process this is not certain: memory of earlier trials counts too.
    """
    killed = pod.reason == OUT_OF_MEMORY and result.reason == "Killed"
    return killed and result.outcome is Outcome.FAILED and not job.before


def _out_of_memory(result: TrialResult) -> TrialResult:
    message = "The kernel killed the trainer, which took more memory than its container may."
    changes = {"outcome": Outcome.INFEASIBLE, "reason": "OutOfMemory", "message": message}
    return result.model_copy(update=changes)


def _explains_the_end(job: TrialJob, pod: TrialPod) -> bool:
    """Return whether a Pod's failure may be why its Job ended as it did.

    The failure of a Pod that was tried again is not, nor is the message of a Pod that Kubernetes
    stopped because the Job's time was up.
    """
    return pod.exit_code == 0 if job.condition == "Complete" else job.reason != OUT_OF_TIME


def _without_result(job: TrialJob, latest: Sequence[TrialPod], invalid: str) -> Verdict:
    if job.condition == "Failed":
        return _of_failed_job(job, latest)
    reason = "ResultInvalid" if invalid else "ResultMissing"
    message = invalid or "The trainer ended with status 0 and left no result."
    return Verdict(Outcome.FAILED, reason, message, retry=True)


def _of_failed_job(job: TrialJob, latest: Sequence[TrialPod]) -> Verdict:
    """Return the verdict on a failed Job: the message of its last Pod, if it left one."""
    ended = next((pod for pod in latest if _tells_why(job, pod)), None)
    message = f"Its Job failed: {job.message or job.reason}."
    if ended is not None:
        words = quote(ended.message) if _is_plain(job, ended.message) else ""
        said = f": {words}" if words else ""
        status = "" if ended.exit_code is None else f", status {ended.exit_code}"
        message = f"Its last Pod ended with {ended.reason or 'no reason'}{status}{said}"
    return Verdict(Outcome.FAILED, job.reason or "JobFailed", message)


def _tells_why(job: TrialJob, pod: TrialPod) -> bool:
    """Return whether a Pod can explain a failed Job: it ended by itself, or could not start."""
    return bool(pod.reason) if pod.exit_code is None else job.reason != OUT_OF_TIME


def _is_plain(job: TrialJob, message: str) -> bool:
    """Return whether a message is plain words, not the results of a Job's other trials."""
    if not job.shared:
        return True
    try:
        result_texts(message)
    except InvalidMessage:
        return True
    return False
