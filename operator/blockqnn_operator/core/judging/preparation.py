"""Readiness of a search's images, and what to do until they are ready. Pure.

The one Job in Kubernetes is the only record: it has completed, it runs, or it has failed. So a
crash at any moment loses nothing, and deleting the Job repeats its work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from blockqnn.contract.preparation import PreparationResult
from blockqnn.errors import InvalidMessage
from blockqnn_api.status import Reason
from blockqnn_operator.core.jobs.base import Manifest
from blockqnn_operator.core.judging.pod_start import SCHEDULING, stuck, unplaced
from blockqnn_operator.core.judging.result import REPORTING_DEADLINE, quote
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.observed.snapshot import Observed

_REASONS = {
    str(reason): reason
    for reason in (
        Reason.DATASET_MISSING,
        Reason.DATASET_INVALID,
        Reason.VOLUME_UNUSABLE,
        Reason.DOWNLOAD_FAILED,
    )
}
"""Reasons that a preparation gives and that the condition has too."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """State of a search's images, and what to do about it."""

    ready: bool
    """Trials can be started."""
    reason: Reason
    message: str
    create: Manifest | None = None
    """The Job to create."""
    delete: tuple[str, ...] = ()
    """Jobs that are no longer needed."""
    failed: bool = False
    """It will not go on by itself."""
    hindered: bool = False
    """It may go on by itself, but needs attention."""
    wait_until: datetime | None = None
    """Time to look again, even if nothing happens before."""


def judge_job(observed: Observed, job: PreparationJob, outdated: tuple[str, ...]) -> Preparation:
    """Judge a Job that prepares images, and its Pods."""
    pods = pods_of(observed, job)
    if job.condition is None:
        return _of_running_job(observed.now, job, pods, outdated)
    ended = [pod for pod in pods if pod.exit_code is not None]
    deadline = (job.finished_at or observed.now) + REPORTING_DEADLINE
    if observed.now < deadline and len(ended) < job.failed_pods:
        # It has failed; the message of its last Pod is about to arrive.
        message = f"Job {job.name} has ended."
        return Preparation(False, Reason.PREPARING, message, delete=outdated, wait_until=deadline)
    reason, said = _failure(ended, job)
    message = f"{said} When it is mended, delete Job {job.name} to have it tried again."
    return Preparation(False, reason, message, delete=outdated, failed=True)


def _of_running_job(
    now: datetime, job: PreparationJob, pods: Sequence[TrialPod], outdated: tuple[str, ...]
) -> Preparation:
    message, hindered, wait_until = f"Job {job.name} prepares the images.", False, None
    if pod := stuck(pods):
        message, hindered = f"Its Pod cannot start: {quote(pod.message) or pod.reason}", True
    elif pod := unplaced(pods):
        news_at = pod.created_at + SCHEDULING
        if now >= news_at:
            message, hindered = f"Its Pod waits for a node: {quote(pod.unplaced)}", True
        else:
            wait_until = news_at
    elif ended := [pod for pod in pods if pod.exit_code]:
        message = f"It is tried again: {_failure(ended, job)[1]}"
    return Preparation(
        False,
        Reason.PREPARING,
        message,
        delete=outdated,
        hindered=hindered,
        wait_until=wait_until,
    )


def pods_of(observed: Observed, job: PreparationJob) -> list[TrialPod]:
    """Return the Pods of a Job, the latest first."""
    pods = [pod for pod in observed.pods if pod.job == job.name]
    return sorted(pods, key=lambda pod: (pod.created_at, pod.name), reverse=True)


def success_message(pods: Sequence[TrialPod]) -> str | None:
    """Return the message of the Pod that prepared the images; None where there is none."""
    for pod in pods:
        result = _result(pod)
        if result is not None and result.prepared:
            return result.message
    return None


def _failure(ended: Sequence[TrialPod], job: PreparationJob) -> tuple[Reason, str]:
    """Return why a preparation failed, in the words of its latest Pod that left a message."""
    for pod in ended:
        result = _result(pod)
        if result is not None and not result.prepared:
            reason = _REASONS.get(result.reason, Reason.PREPARATION_FAILED)
            return reason, result.message
    if ended:
        said = f": {quote(ended[0].message)}" if ended[0].message.strip() else "."
        why = f"{ended[0].reason or 'no reason'}, status {ended[0].exit_code}"
        return Reason.PREPARATION_FAILED, f"The preparation's Pod ended with {why}{said}"
    return Reason.PREPARATION_FAILED, f"The preparation's Job failed: {job.message}"


def _result(pod: TrialPod) -> PreparationResult | None:
    try:
        return PreparationResult.read(pod.message)
    except InvalidMessage:
        return None
