"""Reasons why a Pod has not started: it waits for a node, or it can never start as it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from blockqnn_operator.core.observed.job import Job
from blockqnn_operator.core.observed.pod import TrialPod

CANNOT_START = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
    }
)
"""Reasons that a kubelet gives for a container that it cannot start because of the Pod itself."""

SCHEDULING = timedelta(seconds=10)
"""Time for which a Pod without a node is not reported: a busy scheduler takes less."""

CREATING = timedelta(seconds=60)
"""Time for which a Job without a Pod is not reported: a busy machine takes seconds for it."""


UNSCHEDULABLE = "Unschedulable"
"""Reason of a Pod that waits for a node."""

PODS_MISSING = "PodsMissing"
"""Reason of a Job that may start Pods and has none."""

WHY_NO_POD = (
    "If a quota or a webhook refuses the Pod, kubectl describe job shows it; otherwise the Job "
    "controller does not run."
)

LONGEST_QUOTE = 300
"""Most characters that are quoted from a message of a Pod or a kubelet."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps a Job from its result, and may pass by itself or with help."""

    reason: str
    message: str
    """One sentence."""
    words: str = ""
    """The words of the scheduler or the kubelet, as they are."""


def stuck(pods: Sequence[TrialPod]) -> TrialPod | None:
    """Return the Pod that has a node and cannot start there; None when there is none.

    A Pod that waits for a node is not stuck, however long it waits: nothing is wrong with it.
    """
    return next((pod for pod in pods if pod.exit_code is None and pod.reason in CANNOT_START), None)


def give_up_at(pod: TrialPod, timeout: timedelta) -> datetime:
    """Return when to give up on a Pod that cannot start."""
    return (pod.placed_at or pod.created_at) + timeout


def start_delay(pods: Sequence[TrialPod], now: datetime) -> tuple[Trouble | None, datetime | None]:
    """Return why Pods do not start, if that is worth reporting, else when it will be."""
    if pod := stuck(pods):
        said = quote(pod.message) or pod.reason
        return Trouble(pod.reason, f"Its Pod cannot start: {said}", pod.message), None
    unplaced = next((pod for pod in pods if pod.exit_code is None and pod.unplaced), None)
    if unplaced is None:
        return None, None
    news_at = unplaced.created_at + SCHEDULING
    if now < news_at:
        return None, news_at
    message = f"Its Pod waits for a node: {quote(unplaced.unplaced)}"
    return Trouble(UNSCHEDULABLE, message, unplaced.unplaced), None


def missing_pods(job: Job[Any], now: datetime) -> tuple[Trouble | None, datetime | None]:
    """Return why a Job has no Pod, if that is worth reporting, else when it will be.

    Nothing is wrong with the Job, and it may go on at any time: a quota or a webhook refuses its
    Pod, or the controller of Jobs does not run.
    """
    if job.pods or job.suspended or job.created_at is None:
        return None, None
    news_at = job.created_at + CREATING
    if now < news_at:
        return None, news_at
    return Trouble(PODS_MISSING, f"Its Job has no Pod. {WHY_NO_POD}"), None


def quote(text: str) -> str:
    """Return the first line of a message, cut where it is too long to be quoted."""
    return "".join(text.strip().splitlines()[:1])[:LONGEST_QUOTE]
