"""Why a trial's Pod has not started: it waits for a node, or it can never start as it is."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from blockqnn_operator.core.observation import TrialPod

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
"""What a kubelet says of a container that it cannot start for a reason of the Pod's own."""

SCHEDULING = timedelta(seconds=10)
"""How long a Pod without a node is no news: a busy scheduler takes less."""


CREATING = timedelta(seconds=60)
"""How long a Job without a Pod is no news: Kubernetes needs seconds for it on a busy machine."""


def stuck(pods: Sequence[TrialPod]) -> TrialPod | None:
    """Return the Pod that has a node and cannot start there; None when there is none.

    A Pod that waits for a node is not stuck, however long it waits: nothing is wrong with it.
    """
    return next((pod for pod in pods if pod.exit_code is None and pod.reason in CANNOT_START), None)


def give_up_at(pod: TrialPod, timeout: timedelta) -> datetime:
    """Say when a Pod that cannot start has been waited for long enough."""
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
    """Say when it is news that a Job which may start Pods has none; None where it has one.

    Nothing is wrong with the Job, and its trial may go on at any time: a quota refuses its Pod, a
    webhook does, or the controller of Jobs does not run.
    """
    if pods or job.pods or job.suspended or job.created_at is None:
        return None
    return job.created_at + CREATING
