"""Reasons why a Pod has not started: it waits for a node, or it can never start as it is.

A Pod that makes no progress is reported after a stated time, whatever the reason: it has a node and
has not started, it is being deleted and does not end, or it is interrupted again and again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from blockqnn_api import names
from blockqnn_api.objects import write_time
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

STARTING = timedelta(minutes=2)
"""Time for which a Pod that has a node may start before it is reported. An image of several GB may
take longer, and a volume that cannot be mounted takes for ever."""

ENDING = timedelta(minutes=1)
"""Time after its grace period for which a deleted Pod or Job may still be there before it is
reported: the kubelet of its node no longer answers, or a finalizer holds it."""

OFTEN = 3
"""Interruptions of a Job's Pods from which on they are reported."""

SCHEDULING = timedelta(seconds=10)
"""Time for which a Pod without a node is not reported: a busy scheduler takes less."""

CREATING = timedelta(seconds=60)
"""Time for which a Job without a Pod is not reported: a busy machine takes seconds for it."""


UNSCHEDULABLE = "Unschedulable"
"""Reason of a Pod that waits for a node."""

STALLED = "PodsStalled"
"""Reason of a Pod or a Job that makes no progress."""

INTERRUPTED = "PodsInterrupted"
"""Reason of a Job whose Pods are ended again and again by somebody else."""

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


def never_ran(job: Job[Any], pods: Sequence[TrialPod]) -> bool:
    """Return whether none of a Job's Pods has run a container yet, as far as all of them are seen.

    Replacing such a Job loses nothing.
    """
    if job.condition is not None or len(pods) < job.pods + job.failed_pods:
        return False
    return not any(p.running or p.over or p.gone or p.exit_code is not None for p in pods)


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
        in_container = _in_container(pod)
        return Trouble(pod.reason, f"Its Pod cannot start{in_container}: {said}", pod.message), None
    unplaced = next((pod for pod in pods if pod.exit_code is None and pod.unplaced), None)
    if unplaced is None:
        return stall(pods, now)
    news_at = unplaced.created_at + SCHEDULING
    if now < news_at:
        return None, news_at
    message = f"Its Pod waits for a node: {quote(unplaced.unplaced)}"
    return Trouble(UNSCHEDULABLE, message, unplaced.unplaced), None


def stall(pods: Sequence[TrialPod], now: datetime) -> tuple[Trouble | None, datetime | None]:
    """Return which Pod makes no progress, if that is worth reporting, else when it will be."""
    waits = []
    for pod in pods:
        if pod.over or pod.gone:
            continue
        if pod.deleted_at is not None:
            news_at, message = pod.deleted_at + ENDING, _not_ending(pod, pod.deleted_at)
        elif pod.node and pod.exit_code is None and not pod.running:
            since = pod.placed_at or pod.created_at
            news_at, message = since + STARTING, _not_starting(pod, since)
        else:
            continue
        if now >= news_at:
            return Trouble(STALLED, message, pod.message), None
        waits.append(news_at)
    often = [pod for pod in pods if pod.interrupted]
    if len(often) >= OFTEN:
        message = interrupted_often(len(often), often[0].name, quote(often[0].interrupted))
        return Trouble(INTERRUPTED, message, often[0].interrupted), min(waits, default=None)
    return None, min(waits, default=None)


def interrupted_often(count: int, pod: str, why: str) -> str:
    """Say how often a Job's Pods were interrupted, and why the latest was."""
    return f"Its Pods were interrupted {count} times, the latest, {pod}, by this: {why}"


def _not_ending(pod: TrialPod, since: datetime) -> str:
    node = f" on node {pod.node}" if pod.node else ""
    return (
        f"Its Pod {pod.name}{node} is being deleted since {write_time(since)} and does not end. If "
        "the node is lost, delete the Pod with kubectl delete pod --force."
    )


def _not_starting(pod: TrialPod, since: datetime) -> str:
    reason = pod.reason or "no container has a state"
    words = f": {quote(pod.message)}" if pod.message.strip() else ""
    return (
        f"Its Pod {pod.name} on node {pod.node} has not started since {write_time(since)}"
        f"{_in_container(pod)} ({reason}{words}). kubectl describe pod shows its Events."
    )


def _in_container(pod: TrialPod) -> str:
    return "" if pod.container == names.CONTAINER else f" because of its container {pod.container}"


def deletion_stall(job: Job[Any], now: datetime) -> tuple[Trouble | None, datetime | None]:
    """Return the trouble of a Job that is being deleted and stays, else when it will be news."""
    if job.deleted_at is None:
        return None, None
    news_at = job.deleted_at + ENDING
    if now < news_at:
        return None, news_at
    message = (
        f"Job {job.name} is being deleted since {write_time(job.deleted_at)} and stays: its Pods "
        "do not end, or a finalizer holds it. Its work waits for that."
    )
    return Trouble(STALLED, message), None


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
