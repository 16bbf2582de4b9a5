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
    """Why :attr:`container` or the Pod ended, or why the container is waiting."""
    message: str
    """The termination message of :attr:`container`, or the Pod's own message."""
    container: str = names.CONTAINER
    """The container that decides: the trainer's, or another one that keeps it from starting."""
    container_status: int | None = None
    """The exit status of that other container; None while it has not ended."""
    running: bool = False
    """The trainer's container is running."""
    over: bool = False
    """All containers have ended, or none will start: the Pod has succeeded or failed."""
    node: str = ""
    """The node that the Pod was given to."""
    deleted_at: datetime | None = None
    """When the Pod should have ended, since it is being deleted."""
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

    def seconds(self, now: datetime) -> float:
        """Return for how long the Pod has run its trainer, or held its node while it could not."""
        start = self.started_at or self.placed_at
        if start is None:
            return 0.0
        return max(((self.finished_at or now) - start).total_seconds(), 0.0)

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
        trainer = _state_of(status, names.CONTAINER)
        terminated = trainer.part("terminated")
        container, state = names.CONTAINER, trainer
        if not terminated and "running" not in trainer:
            container, state = _obstacle(status) or (container, state)
        current = state.part("terminated") or state.part("waiting") or status
        other = container != names.CONTAINER and "exitCode" in current
        placed = _pod_condition(status, "PodScheduled")
        has_node = placed.text("status") == "True"
        return cls(
            name=metadata.text("name", None),
            job=job,
            created_at=created_at,
            exit_code=terminated.integer("exitCode") if "exitCode" in terminated else None,
            reason=current.text("reason"),
            message=current.text("message"),
            container=container,
            container_status=current.integer("exitCode") if other else None,
            running="running" in trainer,
            over=status.text("phase") in ("Succeeded", "Failed"),
            node=pod.part("spec").text("nodeName"),
            deleted_at=metadata.time("deletionTimestamp"),
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


def _state_of(status: Fields, name: str) -> Fields:
    for container in status.parts("containerStatuses"):
        if container.text("name") == name:
            return container.part("state")
    return Fields(None)


_ORDINARY = frozenset({"", "PodInitializing", "ContainerCreating"})
"""Reasons of a container that waits for its turn."""


def _obstacle(status: Fields) -> tuple[str, Fields] | None:
    """Return the container that keeps a trainer from starting, with its state; None if none does.

    Init containers run one after the other, before all others. One that has failed ends the Pod;
    one that cannot start, as any other container, gives a reason of its own.
    """
    for container in status.parts("initContainerStatuses"):
        state = container.part("state")
        ended = state.part("terminated")
        if "exitCode" in ended and ended.integer("exitCode"):
            return container.text("name"), state
    trainer = _state_of(status, names.CONTAINER).part("waiting")
    if trainer.text("reason") not in _ORDINARY:
        return None
    for group in ("initContainerStatuses", "containerStatuses"):
        for container in status.parts(group):
            state = container.part("state")
            if state.part("waiting").text("reason") not in _ORDINARY:
                return container.text("name"), state
    return None
