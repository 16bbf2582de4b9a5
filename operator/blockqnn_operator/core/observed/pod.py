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
        """Read a Pod from its JSON; None when no Job made it."""
        metadata, status = body["metadata"], body.get("status", {})
        job = metadata.get("labels", {}).get(names.JOB_NAME_LABEL)
        if not job:
            return None
        trainer = _state_of(status, names.CONTAINER)
        terminated = trainer.get("terminated")
        container, state = names.CONTAINER, trainer
        if not terminated and "running" not in trainer:
            container, state = _obstacle(status) or (container, state)
        current = state.get("terminated") or state.get("waiting") or status
        other = container != names.CONTAINER
        placed = _pod_condition(status, "PodScheduled")
        has_node = placed.get("status") == "True"
        return cls(
            name=metadata["name"],
            job=job,
            created_at=read_time(metadata["creationTimestamp"]),
            exit_code=terminated.get("exitCode") if terminated else None,
            reason=current.get("reason", ""),
            message=current.get("message", ""),
            container=container,
            container_status=current.get("exitCode") if other else None,
            running="running" in trainer,
            over=status.get("phase") in ("Succeeded", "Failed"),
            node=body.get("spec", {}).get("nodeName", ""),
            deleted_at=time_or_none(metadata.get("deletionTimestamp")),
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


def _state_of(status: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for container in status.get("containerStatuses") or ():
        if container.get("name") == name:
            return dict(container.get("state") or {})
    return {}


_ORDINARY = frozenset({"", "PodInitializing", "ContainerCreating"})
"""Reasons of a container that waits for its turn."""


def _obstacle(status: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Return the container that keeps a trainer from starting, with its state; None if none does.

    Init containers run one after the other, before all others. One that has failed ends the Pod;
    one that cannot start, as any other container, gives a reason of its own.
    """
    for container in status.get("initContainerStatuses") or ():
        state = container.get("state") or {}
        if (state.get("terminated") or {}).get("exitCode"):
            return container.get("name", ""), dict(state)
    trainer = _state_of(status, names.CONTAINER).get("waiting") or {}
    if trainer.get("reason", "") not in _ORDINARY:
        return None
    for group in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(group) or ():
            state = container.get("state") or {}
            if (state.get("waiting") or {}).get("reason", "") not in _ORDINARY:
                return container.get("name", ""), dict(state)
    return None
