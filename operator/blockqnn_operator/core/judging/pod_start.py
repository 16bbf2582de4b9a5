"""Reasons why a Pod has not started: it waits for a node, or it can never start as it is."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

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


def stuck(pods: Sequence[TrialPod]) -> TrialPod | None:
    """Return the Pod that has a node and cannot start there; None when there is none.

    A Pod that waits for a node is not stuck, however long it waits: nothing is wrong with it.
    """
    return next((pod for pod in pods if pod.exit_code is None and pod.reason in CANNOT_START), None)


def give_up_at(pod: TrialPod, timeout: timedelta) -> datetime:
    """Return when to give up on a Pod that cannot start."""
    return (pod.placed_at or pod.created_at) + timeout


def unplaced(pods: Sequence[TrialPod]) -> TrialPod | None:
    """Return the Pod that the scheduler finds no node for; None when there is none."""
    return next((pod for pod in pods if pod.exit_code is None and pod.unplaced), None)


class _Job(Protocol):
    @property
    def created_at(self) -> datetime | None: ...

    @property
    def pods(self) -> int: ...

    @property
    def suspended(self) -> bool: ...


def without_pod_at(job: _Job, pods: Sequence[TrialPod]) -> datetime | None:
    """Return when to report that a Job which may start Pods has none; None where it has one.

    Nothing is wrong with the Job, and its trial may go on at any time: a quota or a webhook refuses
    its Pod, or the controller of Jobs does not run.
    """
    if pods or job.pods or job.suspended or job.created_at is None:
        return None
    return job.created_at + CREATING
