"""Assessment of a trial: its own Job, or its part of a Job of several trials."""

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
from blockqnn_operator.core.judging.pod_start import quote
from blockqnn_operator.core.judging.result import (
    JobAssessment,
    JobJudge,
    Verdict,
    interruptions,
    newest_first,
    require_identity,
)
from blockqnn_operator.core.observed.job import OUT_OF_TIME
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob, TrialPart

OUT_OF_MEMORY = "OOMKilled"
"""Kubernetes' reason for the end of a container that the kernel killed over its memory limit."""

TOOK_TOO_LONG = "It ran longer than spec.failurePolicy.trialTimeout and was stopped."

TrialVerdict = Verdict[TrialResult]
TrialAssessment = JobAssessment[TrialResult]


def assess_trial(
    job: TrialJob,
    trial: int,
    pods: Sequence[TrialPod],
    now: datetime,
    pending_timeout: timedelta,
    retries: int = FailurePolicy().retries,
) -> TrialAssessment:
    """Assess a trial.

    Args:
        job: the Job that trains it.
        trial: the number of the trial.
        pods: the Job's Pods, in any order.
        now: the present time.
        pending_timeout: the longest wait for a Pod that cannot start.
        retries: the number of retries before a trial counts as failed.
    """
    part, before = job.part_of(trial), job.before(trial)
    latest = newest_first(pods)
    return _TrialJudge(job, part, latest, now, pending_timeout, before, retries).assess()


@dataclass(frozen=True)
class _TrialJudge(JobJudge[TrialPart, TrialResult]):
    before: Sequence[TrialPart]
    """The trials that the same Job trains before this one."""
    retries: int

    def read(self, text: str) -> TrialResult:
        return self._read_of(self.part, text)

    def _read_of(self, part: TrialPart, text: str) -> TrialResult:
        result = _parsed(text)
        attempt = self.job.attempt
        require_identity(result, trial=part.trial, attempt=attempt, block_hash=part.block_hash)
        return result

    def failed(self, reason: str, message: str) -> TrialResult:
        return TrialResult(
            trial=self.part.trial,
            attempt=self.job.attempt,
            block_hash=self.part.block_hash,
            outcome=Outcome.FAILED,
            reason=reason,
            message=message,
        )

    def in_vain(self) -> tuple[str, str] | None:
        if self.part.shared:
            return None
        if sum(map(_ended_itself, self.pods)) > self.retries:
            # Kubernetes takes the status for that of a deleted Pod, and would never give up.
            times = f"Its Pods ended {len(self.pods)} times"
            return "Terminated", f"{times} with status {SIGTERM_STATUS} by themselves."
        return (OUT_OF_TIME, TOOK_TOO_LONG) if any(p.out_of_time for p in self.pods) else None

    def words(self, pod: TrialPod) -> str | None:
        return self._words_about(self.part, pod)

    def _words_about(self, part: TrialPart, pod: TrialPod) -> str | None:
        if not part.shared or pod.exit_code is None or not pod.message:
            return super().words(pod)
        try:
            return result_texts(pod.message).get(part.trial)
        except InvalidMessage:
            # A trainer that failed before there was any result may have said why in plain words.
            if pod.exit_code == 0:
                raise
            return None

    def should_report(self, pod: TrialPod) -> bool:
        return pod.exit_code == 0 or self.part.shared

    def corrected(self, pod: TrialPod, result: TrialResult) -> TrialResult:
        """Return the block's own failure where the kernel killed the trainer over its memory.

        For a later trial in one process this is not certain: memory of earlier trials counts too.
        """
        killed = pod.reason == OUT_OF_MEMORY and result.reason == "Killed"
        if not killed or result.outcome is not Outcome.FAILED or self.before:
            return result
        message = (
            "The kernel killed the trainer because it exceeded the memory limit of its container."
        )
        changes = {"outcome": Outcome.INFEASIBLE, "reason": "OutOfMemory", "message": message}
        return result.model_copy(update=changes)

    def goes_on(self) -> bool:
        # A Pod that was killed because of its block would be started again in vain.
        alone = self.job.condition is None and not self.part.shared
        return alone and any(pod.reason == OUT_OF_MEMORY for pod in self.pods)

    def outlived(self, pod: TrialPod, reported: TrialResult | None) -> TrialAssessment:
        """Retry where Kubernetes would: it does so only once all containers have ended."""
        if self.part.shared and not self._was_begun():
            # Once the Job has been ended for the first trial without a result, it gets another.
            return JobAssessment()
        outlived = super().outlived(pod, reported)
        result = outlived.annotate
        fatal = pod.exit_code == BAD_INPUT_STATUS or self.part.failures >= self.retries
        if fatal or result is None or self.part.shared:
            return outlived
        return JobAssessment(
            verdict=Verdict(Outcome.FAILED, result.reason, result.message, retry=True)
        )

    def explains_the_end(self, pod: TrialPod) -> bool:
        # The failure of a Pod that was tried again does not explain a Job that is complete.
        return (
            pod.exit_code == 0
            if self.job.condition == "Complete"
            else super().explains_the_end(pod)
        )

    def tells_why(self, pod: TrialPod) -> bool:
        # A Pod that could not start explains it, too.
        return bool(pod.reason) if pod.exit_code is None else self.job.reason != OUT_OF_TIME

    def last_words(self, pod: TrialPod) -> str:
        words = quote(pod.message) if not self.part.shared or _is_plain(pod.message) else ""
        return f": {words}" if words else ""

    def ended(self, reported: TrialResult | None, invalid: str) -> TrialAssessment:
        if self.part.shared and self.job.condition == "Failed":
            return self._ended_shared(reported, invalid)
        return super().ended(reported, invalid)

    def _ended_shared(self, reported: TrialResult | None, invalid: str) -> TrialAssessment:
        """Assess a trial without a result whose Job of several trials has failed.

        Kubernetes does not start such a Job's Pod again: the remaining trials get another Job. The
        failure belongs to the first trial without a result; the later ones were not begun.
        """
        verdict = self.without_result(invalid)
        may_retry = self.part.failures < self.retries
        if not self._was_begun():
            return _try_again(verdict, "NotBegun")
        if invalid:
            # It was trained; the Pod's status comes from a later trial.
            return JobAssessment(
                verdict=Verdict(Outcome.FAILED, "ResultInvalid", invalid, retry=may_retry)
            )
        if interrupted := interruptions(self.pods):
            return replace(_try_again(verdict, "Interrupted"), interruptions=interrupted)
        if self.before and any(pod.reason == OUT_OF_MEMORY for pod in self.pods):
            # The trials before it may have filled the memory: next time it is the first.
            return _try_again(verdict, "OutOfMemory")
        if any(pod.out_of_time for pod in self.pods):
            return JobAssessment(annotate=self.failed(OUT_OF_TIME, TOOK_TOO_LONG))
        may_retry &= all(pod.exit_code != BAD_INPUT_STATUS for pod in self.pods)
        if not may_retry and reported is not None:
            return JobAssessment(annotate=reported)
        return JobAssessment(verdict=replace(verdict, retry=may_retry))

    def _was_begun(self) -> bool:
        """Return whether all trials before this one have a result that is no failure."""
        return all(
            any(self._is_done(part, text) for text in (part.result, *self._said_about(part)))
            for part in self.before
        )

    def _is_done(self, part: TrialPart, text: str | None) -> bool:
        if text is None:
            return False
        try:
            return self._read_of(part, text).outcome is not Outcome.FAILED
        except InvalidMessage:
            return False

    def _said_about(self, part: TrialPart) -> list[str | None]:
        said = []
        for pod in self.pods:
            with suppress(InvalidMessage):
                said.append(self._words_about(part, pod))
        return said


def _try_again(verdict: TrialVerdict, reason: str) -> TrialAssessment:
    return JobAssessment(verdict=replace(verdict, reason=reason, retry=True, blameless=True))


def _ended_itself(pod: TrialPod) -> bool:
    """Return whether a Pod ended as if it had been deleted, although nobody deleted it."""
    return pod.exit_code == SIGTERM_STATUS and not (pod.interrupted or pod.out_of_time)


@lru_cache(maxsize=2048)
def _parsed(text: str) -> TrialResult:
    """Read a result; cached, since each pass reads again what is not in the history yet."""
    return TrialResult.read(text)


def _is_plain(message: str) -> bool:
    """Return whether a message is plain words, not the results of a Job's other trials."""
    try:
        result_texts(message)
    except InvalidMessage:
        return True
    return False
