"""A Pod of a Job, as the API server holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from blockqnn_api import names
from blockqnn_api.objects import read_time, time_or_none
from blockqnn_operator.core.observed.job import OUT_OF_TIME


@dataclass(frozen=True, slots=True)
class TrialPod:
    """A Pod of a Job of ours, reduced to what decisions need."""

    name: str
    job: str
    created_at: datetime
    exit_code: int | None
    """The exit status of the trainer's container, None while it has not ended."""
    reason: str
    """Why the container or the Pod ended, or why the container is waiting."""
    message: str
    """The termination message of the trainer's container, or the Pod's own message."""
    started_at: datetime | None = None
    """When the trainer's container started, known once it has ended."""
    finished_at: datetime | None = None
    """When the trainer's container ended."""
    placed_at: datetime | None = None
    """When the Pod was given to a node."""
    unplaced: str = ""
    """Why the scheduler finds no node for the Pod, in its words; empty once it has one."""
    interrupted: str = ""
    """Why somebody other than the trainer ends the Pod: a drain, a preemption, a deletion."""
    out_of_time: bool = False
    """The Pod was stopped for running longer than its deadline."""
    gone: bool = False
    """The Pod no longer exists; this is its last known state."""

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self | None:
        """Read a Pod from its JSON; None when no Job made it."""
        metadata, status = body["metadata"], body.get("status", {})
        job = metadata.get("labels", {}).get(names.JOB_NAME_LABEL)
        if not job:
            return None
        state = _trainer_state(status)
        terminated = state.get("terminated")
        current = terminated or state.get("waiting") or status
        placed = _pod_condition(status, "PodScheduled")
        has_node = placed.get("status") == "True"
        return cls(
            name=metadata["name"],
            job=job,
            created_at=read_time(metadata["creationTimestamp"]),
            exit_code=terminated.get("exitCode") if terminated else None,
            reason=current.get("reason", ""),
            message=current.get("message", ""),
            started_at=time_or_none((terminated or {}).get("startedAt")),
            finished_at=time_or_none((terminated or {}).get("finishedAt")),
            placed_at=time_or_none(placed.get("lastTransitionTime")) if has_node else None,
            unplaced="" if has_node else placed.get("message", ""),
            interrupted=_interruption(metadata, status),
            out_of_time=status.get("reason") == OUT_OF_TIME,
        )


def _interruption(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    disruption = _pod_condition(status, "DisruptionTarget")
    if disruption.get("status") == "True":
        return f"{disruption.get('reason', '')}: {disruption.get('message', '')}"
    return "It was deleted." if "deletionTimestamp" in metadata else ""


def _pod_condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind:
            return dict(condition)
    return {}


def _trainer_state(status: Mapping[str, Any]) -> Mapping[str, Any]:
    for container in status.get("containerStatuses") or ():
        if container.get("name") == names.CONTAINER:
            return dict(container.get("state") or {})
    return {}
