"""Readiness of a search's images, and what to do until they are ready. Pure.

The one Job in Kubernetes is the only record: it has completed, it runs, or it has failed. So a
crash at any moment loses nothing, and deleting the Job repeats its work.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from blockqnn.contract.preparation import PreparationResult
from blockqnn.errors import InvalidMessage
from blockqnn_api.status import Reason
from blockqnn_operator.core.jobs.base import Manifest
from blockqnn_operator.core.judging.pod_start import missing_pods, start_delay
from blockqnn_operator.core.judging.result import (
    REPORTING_DEADLINE,
    describe_end,
    last_words,
    lingering,
    newest_first,
)
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.observed.snapshot import Observed

_REASONS = {
    str(reason): reason
    for reason in (
        Reason.DATASET_MISSING,
        Reason.DATASET_INVALID,
        Reason.DATASET_TOO_LARGE,
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


def assess_preparation(
    observed: Observed, job: PreparationJob, outdated: tuple[str, ...]
) -> Preparation:
    """Assess a Job that prepares images and is not complete.

    Args:
        observed: the snapshot of the search.
        job: the Job.
        outdated: other Jobs, which are no longer needed.
    """
    pods = pods_of(observed, job)
    if job.condition is None:
        return _running(observed.now, job, pods, outdated)
    ended = [pod for pod in pods if pod.exit_code is not None]
    deadline = (job.finished_at or observed.now) + REPORTING_DEADLINE
    if observed.now < deadline and len(ended) < job.failed_pods:
        # It has failed; the message of its last Pod is about to arrive.
        message = f"Job {job.name} has ended."
        return Preparation(False, Reason.PREPARING, message, delete=outdated, wait_until=deadline)
    return _failed(ended, job, outdated)


def _failed(
    ended: Sequence[TrialPod], job: PreparationJob, outdated: tuple[str, ...]
) -> Preparation:
    reason, said = _failure(ended, job)
    message = f"{said} Fix this, then delete Job {job.name} to try again."
    return Preparation(False, reason, message, delete=outdated, failed=True)


def _running(
    now: datetime, job: PreparationJob, pods: Sequence[TrialPod], outdated: tuple[str, ...]
) -> Preparation:
    message = f"Job {job.name} prepares the images."
    trouble, wait_until = start_delay(pods, now) if pods else missing_pods(job, now)
    if outlived := lingering(pods):
        pod, wait_until = outlived
        if now >= wait_until:
            # Kubernetes waits for the other containers of its Pod, and would never retry.
            return _failed([pod], job, outdated)
    if trouble is not None:
        message = trouble.message
    elif wait_until is None and (ended := [pod for pod in pods if pod.exit_code]):
        message = f"Trying again: {_failure(ended, job)[1]}"
    return Preparation(
        False,
        Reason.PREPARING,
        message,
        delete=outdated,
        hindered=trouble is not None,
        wait_until=wait_until,
    )


def pods_of(observed: Observed, job: PreparationJob) -> list[TrialPod]:
    """Return the Pods of a Job, the newest first."""
    return newest_first(pod for pod in observed.pods if pod.job == job.name)


def is_complete(job: PreparationJob, pods: Sequence[TrialPod]) -> bool:
    """Return whether the images are ready: all has ended, or only other containers live on."""
    if job.condition == "Complete":
        return True
    outlived = lingering(pods)
    if outlived is None:
        return False
    pod, _ = outlived
    return pod.exit_code == 0 and success_message([pod]) is not None


def success_message(pods: Sequence[TrialPod]) -> str | None:
    """Return the message of the Pod that prepared the images; None where there is none."""
    return next((result.message for result in _results(pods) if result.prepared), None)


def _failure(ended: Sequence[TrialPod], job: PreparationJob) -> tuple[Reason, str]:
    """Return why a preparation failed, in the words of its latest Pod that left a message."""
    for result in _results(ended):
        if not result.prepared:
            return _REASONS.get(result.reason, Reason.PREPARATION_FAILED), result.message
    message = f"The preparation's Job failed: {job.message or job.reason}"
    if ended:
        message = f"The preparation's Pod {describe_end(ended[0])}{last_words(ended[0])}"
    return Reason.PREPARATION_FAILED, message


def _results(pods: Sequence[TrialPod]) -> Iterator[PreparationResult]:
    for pod in pods:
        with suppress(InvalidMessage):
            yield PreparationResult.read(pod.message)
