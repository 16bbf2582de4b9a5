"""A Pod of a Job, as the API server holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from blockqnn_api import names
from blockqnn_api.object_fields import Fields
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
        """Read a Pod from its JSON; None when no Job made it.

        Raises:
            ObjectUnreadable: naming the field that is not as it must be.
        """
        pod = Fields(body)
        metadata, status = pod.part("metadata"), pod.part("status")
        job = metadata.part("labels").text(names.JOB_NAME_LABEL)
        if not job:
            return None
        created_at = metadata.time("creationTimestamp")
        if created_at is None:
            raise metadata.is_unreadable("creationTimestamp", "the time of its creation")
        state = _trainer_state(status)
        terminated, waiting = state.part("terminated"), state.part("waiting")
        current = terminated or waiting or status
        placed = _pod_condition(status, "PodScheduled")
        has_node = placed.text("status") == "True"
        return cls(
            name=metadata.text("name", None),
            job=job,
            created_at=created_at,
            exit_code=terminated.integer("exitCode") if "exitCode" in terminated else None,
            reason=current.text("reason"),
            message=current.text("message"),
            started_at=terminated.time("startedAt"),
            finished_at=terminated.time("finishedAt"),
            placed_at=placed.time("lastTransitionTime") if has_node else None,
            unplaced="" if has_node else placed.text("message"),
            interrupted=_interruption(metadata, status),
            out_of_time=status.text("reason") == OUT_OF_TIME,
        )


def _interruption(metadata: Fields, status: Fields) -> str:
    disruption = _pod_condition(status, "DisruptionTarget")
    if disruption.text("status") == "True":
        return f"{disruption.text('reason')}: {disruption.text('message')}"
    return "It was deleted." if "deletionTimestamp" in metadata else ""


def _pod_condition(status: Fields, kind: str) -> Fields:
    for condition in status.parts("conditions"):
        if condition.text("type") == kind:
            return condition
    return Fields(None)


def _trainer_state(status: Fields) -> Fields:
    for container in status.parts("containerStatuses"):
        if container.text("name") == names.CONTAINER:
            return container.part("state")
    return Fields(None)
