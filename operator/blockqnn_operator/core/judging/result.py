"""Assessment of a Job: running, reporting, or over, and with which outcome. Pure.

Results are trusted in this order: the Job's annotation, which is the durable record, whoever wrote
it; then the termination message of the newest Pod that has one. Else the Job's Pods are waited for,
and then the Job itself says why there is no result. An invalid result is reported and never guessed
at. A Pod that was drained or preempted decides nothing: its Job starts another.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, Self, TypeVar

from blockqnn.contract.message import Outcome
from blockqnn.errors import InvalidMessage
from blockqnn_api import names
from blockqnn_operator.core.judging.pod_start import (
    Trouble,
    give_up_at,
    interrupted_often,
    missing_pods,
    quote,
    start_delay,
    stuck,
)
from blockqnn_operator.core.observed.job import OUT_OF_TIME, Job, JobPart
from blockqnn_operator.core.observed.pod import TrialPod

REPORTING_DEADLINE = timedelta(seconds=60)
"""Time after the end of a Job without a result until its Pods must have been seen: the watch of
the Pods may lag behind that of the Jobs, by far less than this."""


LINGERING = timedelta(seconds=30)
"""Time after the end of a trainer for which other containers of its Pod may live on; then the
trainer's end counts."""

MOST_SECONDS = 1e9
"""The longest run time of a Pod that counts: clocks may differ."""

MOST_INTERRUPTIONS = 20
"""Interruptions of a Job's Pods after which it has failed: what ends them will not pass."""


class JobResult(Protocol):
    """The result that a trainer reports."""

    @property
    def outcome(self) -> Outcome:
        """Success, a block that cannot be trained, or a failure."""

    @property
    def reason(self) -> str:
        """A short cause in CamelCase."""

    @property
    def message(self) -> str:
        """The same as a sentence."""

    @property
    def seconds(self) -> Any:
        """Run times, the whole one as ``total``."""

    def model_copy(self, *, update: Mapping[str, Any]) -> Self:
        """Return a copy with other values."""


Part = TypeVar("Part", bound=JobPart)
Result = TypeVar("Result", bound=JobResult)


@dataclass(frozen=True)
class Verdict(Generic[Result]):
    """The outcome of a Job that is over, or of its part."""

    outcome: Outcome
    reason: str
    message: str
    result: Result | None = None
    seconds: float = 0.0
    """The run time of its Pods, where there is no result that says it."""
    retry: bool = False
    """Another attempt may bring the result that is missing."""
    blameless: bool = False
    """The attempt ended before the trial could show anything; it is not counted as a failure."""


@dataclass(frozen=True)
class JobAssessment(Generic[Result]):
    """State of a Job, or of its part, now; at most one of the first two fields is set."""

    verdict: Verdict[Result] | None = None
    """It is over, durably."""
    annotate: Result | None = None
    """The Job's Pod reports this result, or shows that there will be none; it must become the Job's
    annotation before it counts."""
    end: bool = False
    """The Job would run on in vain: it must be ended together with the annotation."""
    invalid: str = ""
    """Why the annotation, or a Pod's message, is no result of this Job; empty when none is."""
    waiting: Trouble | None = None
    """Reason why it does not run, once worth reporting; it may go on by itself."""
    wait_until: datetime | None = None
    """Time to look again, even if nothing happens before."""
    interruptions: tuple[tuple[str, str], ...] = ()
    """The Pods that somebody other than the trainer has ended, each with the reason."""

    @property
    def result(self) -> Result | None:
        """The durable result, unless it is a failure."""
        return None if self.verdict is None or self.failure else self.verdict.result

    @property
    def failure(self) -> Verdict[Result] | None:
        """The verdict, if it is a failure."""
        verdict = self.verdict
        return verdict if verdict is not None and verdict.outcome is Outcome.FAILED else None


UNASSESSED: JobAssessment[Any] = JobAssessment()
"""Assessment of a Job about which nothing is known yet, or of none."""


def require_identity(result: JobResult, **expected: object) -> None:
    """Refuse the result of something else than was asked for.

    Args:
        result: as it was reported.
        expected: the fields of the result that must have these values.

    Raises:
        InvalidMessage: when one has another value.
    """
    actual = {field: getattr(result, field) for field in expected}
    if actual != expected:
        raise InvalidMessage(f"The result is of {_said(actual)}; expected {_said(expected)}.")


def _said(identity: Mapping[str, object]) -> str:
    return ", ".join(f"{field.replace('_', ' ')} {value}" for field, value in identity.items())


@dataclass(frozen=True)
class JobJudge(ABC, Generic[Part, Result]):
    """Assesses one part of a Job; a kind of Job says how its results are read and what fails it."""

    job: Job[Part]
    part: Part
    pods: Sequence[TrialPod]
    """The Job's Pods, the newest first."""
    now: datetime
    pending_timeout: timedelta
    """The longest wait for a Pod that cannot start."""

    def assess(self) -> JobAssessment[Result]:
        """Return the state of the Job's part now."""
        invalid = ""
        if self.part.result is not None:
            try:
                result = self.read(self.part.result)
            except InvalidMessage as error:
                invalid = f"Its annotation is not a valid result: {error}"
            else:
                verdict = Verdict(result.outcome, result.reason, result.message, result)
                return JobAssessment(verdict=verdict)
        reported, complaint = self._reported()
        invalid = invalid or complaint
        return replace(self._timed(self._from_pods(reported, invalid)), invalid=invalid)

    def _timed(self, assessment: JobAssessment[Result]) -> JobAssessment[Result]:
        """Let the time of the Pods count where the trainer says none: it may, and it may die."""
        result, verdict = assessment.annotate, assessment.verdict
        if verdict is not None and verdict.result is None:
            verdict = replace(verdict, seconds=self._seconds(self.pods))
        if result is not None and not result.seconds.total:
            latest = [pod for pod in self.pods if pod.started_at or pod.placed_at][:1]
            seconds = result.seconds.model_copy(update={"total": self._seconds(latest)})
            result = result.model_copy(update={"seconds": seconds})
        return replace(assessment, annotate=result, verdict=verdict)

    def _seconds(self, pods: Sequence[TrialPod]) -> float:
        total = sum(pod.seconds(self.now) for pod in pods) / len(self.job.parts)
        return round(min(total, MOST_SECONDS), 3)

    # What a kind of Job must say.

    @abstractmethod
    def read(self, text: str) -> Result:
        """Read a result.

        Raises:
            InvalidMessage: when the text is none, or of something else than this part.
        """

    @abstractmethod
    def failed(self, reason: str, message: str) -> Result:
        """Return the result that the operator itself writes for a Job that never brings one."""

    @abstractmethod
    def in_vain(self) -> tuple[str, str] | None:
        """Return reason and message of why a running Job will never bring a result, if so."""

    # What a kind of Job may say.

    def words(self, pod: TrialPod) -> str | None:
        """Return a Pod's message about the part; None when there is none.

        Raises:
            InvalidMessage: when the message should hold several results and does not.
        """
        return pod.message if pod.exit_code is not None and pod.message else None

    def should_report(self, pod: TrialPod) -> bool:
        """Return whether a Pod whose message is no result deserves a complaint."""
        return pod.exit_code == 0

    def corrected(self, _pod: TrialPod, result: Result) -> Result:
        """Return the result of a Pod in the light of how the Pod ended."""
        return result

    def goes_on(self) -> bool:
        """Return whether the Job would start another Pod although there is a result."""
        return False

    def explained(self, trouble: Trouble) -> Trouble:
        """Return why a Pod does not start, with a more exact reason where there is one."""
        return trouble

    def explains_the_end(self, _pod: TrialPod) -> bool:
        """Return whether the failure that a Pod reports may be why its Job ended as it did.

        The message of a Pod that Kubernetes stopped because the Job's time was up is not why.
        """
        return self.job.condition != "Complete" and self.job.reason != OUT_OF_TIME

    def tells_why(self, pod: TrialPod) -> bool:
        """Return whether the end of a Pod can explain a failed Job without a result."""
        return bool(pod.exit_code) and self.job.reason != OUT_OF_TIME

    def last_words(self, pod: TrialPod) -> str:
        """Return what follows the description of the last Pod's end: its message, if any."""
        return last_words(pod)

    def outlived(self, pod: TrialPod, reported: Result | None) -> JobAssessment[Result]:
        """Return the state of a Job whose trainer failed while another container lives on.

        Kubernetes waits for all containers of a Pod. It would neither retry nor end the Job.
        """
        return JobAssessment(annotate=reported or self.failed(*_of_lingering(pod)), end=True)

    def ended(self, reported: Result | None, invalid: str) -> JobAssessment[Result]:
        """Return the state of a Job that has ended, and brings at best a report of a failure."""
        if reported is not None:
            return JobAssessment(annotate=reported)
        return JobAssessment(verdict=self.without_result(invalid))

    def without_result(self, invalid: str) -> Verdict[Result]:
        """Return the verdict on a Job that has ended and left no result."""
        if self.job.condition == "Complete":
            reason = "ResultInvalid" if invalid else "ResultMissing"
            message = invalid or "The trainer exited with status 0 and left no result."
            return Verdict(Outcome.FAILED, reason, message, retry=True)
        last_pod = next((pod for pod in self.pods if self.tells_why(pod)), None)
        message = f"Its Job failed: {self.job.message or self.job.reason}."
        if last_pod is not None:
            message = f"Its last Pod {describe_end(last_pod)}{self.last_words(last_pod)}"
        return Verdict(Outcome.FAILED, self.job.reason or "JobFailed", message)

    def _reported(self) -> tuple[Result | None, str]:
        """Return the best result among the Pods' messages, and what is wrong with an invalid one.

        A result about the block counts from whichever Pod it is; of failures the latest counts.
        """
        failure, complaint = None, ""
        for pod in self.pods:
            try:
                words = self.words(pod)
                if words is None:
                    continue
                result = self.corrected(pod, self.read(words))
            except InvalidMessage as error:
                if self.should_report(pod):
                    complaint = (
                        complaint
                        or f"The termination message of its Pod is not a valid result: {error}"
                    )
                continue
            if result.outcome is not Outcome.FAILED:
                return result, complaint
            if self.explains_the_end(pod):
                failure = failure or result
        return failure, complaint

    def _from_pods(self, reported: Result | None, invalid: str) -> JobAssessment[Result]:
        if reported is not None and reported.outcome is not Outcome.FAILED:
            return JobAssessment(annotate=reported, end=self.goes_on())
        if self.job.condition is None:
            return self._running(reported)
        deadline = (self.job.finished_at or self.now) + REPORTING_DEADLINE
        if self.now < deadline and not all_seen(self.job, self.pods):
            return JobAssessment(wait_until=deadline)
        return self.ended(reported, invalid)

    def _elsewhere(self) -> tuple[str, str] | None:
        """Refuse a Job of another controller, such as MultiKueue's.

        Its Pods run in another cluster. Nobody copies their termination messages to this one.
        """
        if not self.job.managed_by:
            return None
        return "ManagedElsewhere", (
            f"Its Job is managed by {quote(self.job.managed_by)}, which runs its Pods in another "
            "cluster, where their results cannot be read. Use a queue that admits Jobs to this "
            "cluster."
        )

    def _interrupted_too_often(self) -> tuple[str, str] | None:
        ended = interruptions(self.pods)
        if len(ended) < MOST_INTERRUPTIONS:
            return None
        return "InterruptedTooOften", interrupted_often(len(ended), *ended[0])

    def _running(self, reported: Result | None) -> JobAssessment[Result]:
        """Assess whether a Job that has not ended can still bring a result."""
        if in_vain := self._elsewhere() or self.in_vain() or self._interrupted_too_often():
            return JobAssessment(annotate=self.failed(*in_vain), end=True)
        if outlived := lingering(self.pods):
            ended, deadline = outlived
            if self.now < deadline:
                return JobAssessment(wait_until=deadline)
            return self.outlived(ended, reported)
        trouble, wait_until = start_delay(self.pods, self.now)
        if not self.pods:
            trouble, wait_until = missing_pods(self.job, self.now)
        if (pod := stuck(self.pods)) and trouble:
            wait_until = give_up_at(pod, self.pending_timeout)
            if self.now >= wait_until:
                failed = self.failed(trouble.reason, trouble.message)
                return JobAssessment(annotate=failed, end=True)
        return JobAssessment(
            waiting=self.explained(trouble) if trouble else None,
            wait_until=wait_until,
            interruptions=interruptions(self.pods),
        )


def _of_lingering(pod: TrialPod) -> tuple[str, str]:
    """Return reason and message for a trainer that ended without a valid result."""
    if pod.exit_code == 0:
        return "ResultMissing", "The trainer exited with status 0 and left no result."
    return "TrainerFailed", f"Its Pod {describe_end(pod)}{last_words(pod)}"


def newest_first(pods: Iterable[TrialPod]) -> list[TrialPod]:
    """Return Pods in the order in which they are asked for a result."""
    return sorted(pods, key=lambda pod: (pod.created_at, pod.name), reverse=True)


def all_seen(job: Job[Any], pods: Sequence[TrialPod]) -> bool:
    """Return whether the Pods that decided how a Job ended have been seen to end."""
    if job.condition == "Complete":
        return any(pod.exit_code == 0 for pod in pods)
    return job.reason == OUT_OF_TIME or job.failed_pods <= sum(
        pod.exit_code is not None or pod.over or pod.gone for pod in pods
    )


def lingering(pods: Sequence[TrialPod]) -> tuple[TrialPod, datetime] | None:
    """Return the Pod whose trainer has ended while another of its containers lives on.

    With it comes the time from which on the trainer's end counts.
    """
    for pod in pods:
        if pod.exit_code is None or pod.finished_at is None:
            continue
        if not (pod.over or pod.gone or pod.interrupted):
            return pod, pod.finished_at + LINGERING
    return None


def interruptions(pods: Iterable[TrialPod]) -> tuple[tuple[str, str], ...]:
    """Return the Pods that somebody other than the trainer has ended, each with the reason."""
    return tuple((pod.name, pod.interrupted) for pod in pods if pod.interrupted)


def describe_end(pod: TrialPod) -> str:
    """Describe how a Pod ended, without its message."""
    other = pod.container != names.CONTAINER
    code = pod.container_status if other else pod.exit_code
    status = "" if code is None else f", status {code}"
    where = f"failed in its container {pod.container}, which " if other else ""
    return f"{where}ended with {pod.reason or 'no reason'}{status}"


def last_words(pod: TrialPod) -> str:
    """Return the rest of a sentence about a Pod's end: its message, or a full stop."""
    return f": {quote(pod.message)}" if pod.message.strip() else "."
