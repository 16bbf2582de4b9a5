"""What became of a trial's Job: running, reporting, or over, and with which outcome.

A result is believed in this order: the Job's annotation, which is the durable record, whoever wrote
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
from blockqnn_operator.api.spec import FailurePolicy
from blockqnn_operator.core.manifests import BAD_INPUT_STATUS, SIGTERM_STATUS
from blockqnn_operator.core.observation import OUT_OF_TIME, TrialJob, TrialPod
from blockqnn_operator.core.starting import SCHEDULING, give_up_at, stuck, unplaced, without_pod_at

REPORTING_DEADLINE = timedelta(seconds=60)
"""How long after its end a Job without a result is given for its Pods to be seen: the watch of the
Pods may lag behind that of the Jobs, by far less than this."""

OUT_OF_MEMORY = "OOMKilled"
"""Why Kubernetes says a container ended whose processes the kernel killed over its memory limit."""

LONGEST_QUOTE = 300
"""How much of what a Pod or a kubelet says is quoted, in characters."""


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
    """What can be said of a trial's Job now; at most one of the first two is set."""

    verdict: Verdict | None = None
    """The trial is over."""
    annotate: TrialResult | None = None
    """The Job's Pod reports this result, or shows that there will be none; it must become the Job's
    annotation before it counts."""
    end: bool = False
    """The Job would go on for nothing: it must be ended together with the annotation."""
    invalid: str = ""
    """Why the annotation, or a Pod's message, is no result of this trial; empty when none is."""
    wait_until: datetime | None = None
    """When to look again although nothing may happen until then."""
    unplaced: str = ""
    """Why the scheduler finds no node for the Job's Pod, in its words, once that is news."""
    podless: bool = False
    """The Job has had no Pod for so long that this is news."""
    interruptions: tuple[tuple[str, str], ...] = ()
    """The Pods that somebody else has ended, each with the reason."""


NOTHING_SAID = Judgement()
"""What can be said of a trial without a Job."""


def judge(
    job: TrialJob,
    pods: Sequence[TrialPod],
    now: datetime,
    pending_timeout: timedelta,
    retries: int = FailurePolicy().retries,
) -> Judgement:
    """Say what became of a trial's Job.

    Args:
        job: the Job; of one of several trials, the trial's part.
        pods: the Job's Pods, in any order.
        now: the present time.
        pending_timeout: how long a Pod that cannot start is waited for.
        retries: how often a trial is tried again before it counts as failed.
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
        # A Pod that was killed for its block's sake would be started again for nothing.
        return Judgement(annotate=reported, end=_goes_on(job, latest), invalid=invalid)
    if job.condition is None:
        return _of_running_job(job, latest, now, pending_timeout, retries, invalid)
    deadline = (job.finished_at or now) + REPORTING_DEADLINE
    if now < deadline and not _all_seen(job, latest):
        return Judgement(invalid=invalid, wait_until=deadline)
    if job.shared and job.condition == "Failed":
        return _of_shared_job(job, latest, retries, reported, invalid)
    if reported is not None:
        return Judgement(annotate=reported, invalid=invalid)
    return Judgement(verdict=_without_result(job, latest, invalid), invalid=invalid)


def _goes_on(job: TrialJob, latest: Sequence[TrialPod]) -> bool:
    """Say whether a Job would start another Pod although its trial has a result."""
    alone = job.condition is None and not job.shared
    return alone and any(pod.reason == OUT_OF_MEMORY for pod in latest)


def _of_shared_job(
    job: TrialJob,
    latest: Sequence[TrialPod],
    retries: int,
    reported: TrialResult | None,
    invalid: str,
) -> Judgement:
    """Say what a Job of several trials means for one of them without a result, when it has failed.

    Kubernetes does not start such a Job's Pod again: the trials that are left get another Job. The
    failure is that of the first trial without a result; those behind it were not begun.
    """
    ended = _without_result(job, latest, invalid)
    if not _was_begun(job, latest):
        return _try_again(replace(ended, reason="NotBegun"), invalid)
    if invalid:
        # It was trained; the Pod's status is that of a trial behind it.
        verdict = Verdict(Outcome.FAILED, "ResultInvalid", invalid, retry=job.failures < retries)
        return Judgement(verdict=verdict, invalid=invalid)
    if told := _interruptions(latest):
        judgement = _try_again(replace(ended, reason="Interrupted"), invalid)
        return replace(judgement, interruptions=told)
    if job.before and any(pod.reason == OUT_OF_MEMORY for pod in latest):
        # What the trials before it have left may have filled the memory: next time it is the first.
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
    """Say whether all trials before one have a result that is no failure."""
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
    """Return what a Pod says of a trial; None when that is nothing.

    Raises:
        InvalidMessage: when it should be the results of several trials and is not.
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
    """Say whether a Job that has not ended will ever bring a result."""
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
    """Say whether a Pod ended as if it had been deleted, although nobody did."""
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
    """Read a result; kept, for each pass reads again what is not in the history yet."""
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
    """Say whether the kernel killed the trainer over the memory that this trial's block takes.

    That of a later trial in one process is not sure: what those before it have left counts too.
    """
    killed = pod.reason == OUT_OF_MEMORY and result.reason == "Killed"
    return killed and result.outcome is Outcome.FAILED and not job.before


def _out_of_memory(result: TrialResult) -> TrialResult:
    message = "The kernel killed the trainer, which took more memory than its container may."
    changes = {"outcome": Outcome.INFEASIBLE, "reason": "OutOfMemory", "message": message}
    return result.model_copy(update=changes)


def _explains_the_end(job: TrialJob, pod: TrialPod) -> bool:
    """Say whether a Pod's failure may be why its Job ended as it did.

    That of a Pod which was tried again is not; nor are the last words of one that Kubernetes
    stopped because the Job's time was up.
    """
    return pod.exit_code == 0 if job.condition == "Complete" else job.reason != OUT_OF_TIME


def _all_seen(job: TrialJob, pods: Sequence[TrialPod]) -> bool:
    """Say whether the Pods that decided how a Job ended have been seen to end."""
    if job.condition == "Complete":
        return any(pod.exit_code == 0 for pod in pods)
    return job.reason == OUT_OF_TIME or job.failed_pods <= sum(
        pod.exit_code is not None or pod.gone for pod in pods
    )


def _without_result(job: TrialJob, latest: Sequence[TrialPod], invalid: str) -> Verdict:
    if job.condition == "Failed":
        return _of_failed_job(job, latest)
    reason = "ResultInvalid" if invalid else "ResultMissing"
    message = invalid or "The trainer ended with status 0 and left no result."
    return Verdict(Outcome.FAILED, reason, message, retry=True)


def _of_failed_job(job: TrialJob, latest: Sequence[TrialPod]) -> Verdict:
    """Say why a Job failed: the last words of its last Pod when it left any."""
    ended = next((pod for pod in latest if _tells_why(job, pod)), None)
    message = f"Its Job failed: {job.message or job.reason}."
    if ended is not None:
        words = quote(ended.message) if _is_plain(job, ended.message) else ""
        said = f": {words}" if words else ""
        status = "" if ended.exit_code is None else f", status {ended.exit_code}"
        message = f"Its last Pod ended with {ended.reason or 'no reason'}{status}{said}"
    return Verdict(Outcome.FAILED, job.reason or "JobFailed", message)


def _tells_why(job: TrialJob, pod: TrialPod) -> bool:
    """Say whether a Pod can explain a failed Job: it ended of itself, or it could not start."""
    return bool(pod.reason) if pod.exit_code is None else job.reason != OUT_OF_TIME


def _is_plain(job: TrialJob, message: str) -> bool:
    """Say whether a message is words, and not the results of a Job's other trials."""
    if not job.shared:
        return True
    try:
        result_texts(message)
    except InvalidMessage:
        return True
    return False


def quote(text: str) -> str:
    """Return the first line of what was said, cut where it is too long to be quoted."""
    return "".join(text.strip().splitlines()[:1])[:LONGEST_QUOTE]
