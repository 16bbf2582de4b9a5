"""The status of a pod, from the states of its containers. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .environment import ADDRESS

Object = dict[str, Any]


@dataclass(frozen=True)
class Waiting:
    """The container has no process (yet)."""

    reason: str = "ContainerCreating"
    message: str = ""


@dataclass(frozen=True)
class Running:
    """The container's process runs."""

    started: datetime.datetime
    process: int


@dataclass(frozen=True)
class Terminated:
    """The container's process has ended."""

    code: int
    reason: str
    message: str
    started: datetime.datetime
    finished: datetime.datetime
    process: int | None


@dataclass(frozen=True)
class Container:
    """State of one container so far."""

    name: str
    image: str
    state: Waiting | Running | Terminated
    last: Terminated | None = None
    restarts: int = 0

    def waits(self, state: Waiting) -> Container:
        """Return the container, waiting; an end that went before becomes the last state."""
        last = self.state if isinstance(self.state, Terminated) else self.last
        return replace(self, state=state, last=last)

    def begins(self, state: Running | Terminated) -> Container:
        """Return the container in a new run, which may have ended in the moment it began."""
        last = self.state if isinstance(self.state, Terminated) else self.last
        restarts = self.restarts + (0 if last is None else 1)
        return replace(self, state=state, last=last, restarts=restarts)

    def ends(self, state: Terminated) -> Container:
        """Return the container after the run that is its present state."""
        return replace(self, state=state)


@dataclass(frozen=True)
class Failure:
    """Why the pod as a whole failed, where it is not for the end of a container."""

    reason: str
    message: str


@dataclass(frozen=True)
class PodState:
    """Everything that the status of a pod is made from."""

    started: datetime.datetime
    restart_policy: str
    init: tuple[Container, ...]
    containers: tuple[Container, ...]
    failure: Failure | None = None
    over: bool = False
    """No process of the pod runs, and none will be started again."""


def timestamp(moment: datetime.datetime) -> str:
    """Return a moment as Kubernetes writes it: UTC, whole seconds."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exit_code(status: int) -> int:
    """Return the exit code of a process status: 128 + n for one that ended by signal n."""
    return status if status >= 0 else 128 - status


def end_reason(code: int) -> str:
    """Return the reason that Kubernetes gives for an exit code."""
    return "Completed" if code == 0 else "Error"


def phase(state: PodState) -> str:
    """Return the phase of the pod."""
    if state.over:
        ended = [c.state for c in state.containers]
        good = all(isinstance(end, Terminated) and end.code == 0 for end in ended)
        return "Succeeded" if good and state.failure is None else "Failed"
    if all(isinstance(c.state, Waiting) and c.last is None for c in state.containers):
        return "Pending"
    return "Running"


def pod_status(
    state: PodState, previous: Sequence[Object], now: datetime.datetime, generation: int
) -> Object:
    """Return the status to write.

    `previous` are the conditions that stand now: one that does not change keeps its time.
    """
    status: Object = {
        "observedGeneration": generation,
        "phase": phase(state),
        "conditions": _conditions(state, previous, now),
        "hostIP": ADDRESS,
        "hostIPs": [{"ip": ADDRESS}],
        "podIP": ADDRESS,
        "podIPs": [{"ip": ADDRESS}],
        "startTime": timestamp(state.started),
        "containerStatuses": [_container_status(c, init=False) for c in state.containers],
    }
    if state.init:
        status["initContainerStatuses"] = [_container_status(c, init=True) for c in state.init]
    if state.failure is not None:
        status["reason"] = state.failure.reason
        status["message"] = state.failure.message
    return status


def lost_status(pod: Object, now: datetime.datetime) -> Object:
    """Return the status of a pod whose processes ended with an earlier life of the node."""
    status = pod["status"]
    lost: Object = {
        "phase": "Failed",
        "reason": "NodeRestarted",
        "message": "the node was started again and no longer has the processes of this pod",
    }
    for kind in ("initContainerStatuses", "containerStatuses"):
        if status.get(kind):
            lost[kind] = [_lost_container(container, now) for container in status[kind]]
    lost["conditions"] = [
        {
            "type": kind,
            "status": "False",
            "reason": "PodFailed",
            "lastTransitionTime": timestamp(now),
        }
        for kind in ("ContainersReady", "Ready")
    ]
    return lost


def _lost_container(container: Object, now: datetime.datetime) -> Object:
    running = container["state"].get("running")
    if running is None:
        return container
    terminated = {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": "the process ended with the node; its exit status is unknown",
        "startedAt": running["startedAt"],
        "finishedAt": timestamp(now),
    }
    return {**container, "ready": False, "started": False, "state": {"terminated": terminated}}


def _container_status(container: Container, *, init: bool) -> Object:
    state = container.state
    if init:
        ready = isinstance(state, Terminated) and state.code == 0
    else:
        ready = isinstance(state, Running)
    status: Object = {
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "ready": ready,
        "started": isinstance(state, Running),
        "restartCount": container.restarts,
        "state": _state(state),
        "lastState": {} if container.last is None else _state(container.last),
    }
    process = None if isinstance(state, Waiting) else state.process
    if process is not None:
        status["containerID"] = f"process://{process}"
    return status


def _state(state: Waiting | Running | Terminated) -> Object:
    if isinstance(state, Waiting):
        waiting = {"reason": state.reason}
        return {"waiting": {**waiting, "message": state.message} if state.message else waiting}
    if isinstance(state, Running):
        return {"running": {"startedAt": timestamp(state.started)}}
    terminated: Object = {
        "exitCode": state.code,
        "reason": state.reason,
        "startedAt": timestamp(state.started),
        "finishedAt": timestamp(state.finished),
    }
    if state.message:
        terminated["message"] = state.message
    if state.process is not None:
        terminated["containerID"] = f"process://{state.process}"
    return {"terminated": terminated}


def _conditions(
    state: PodState, previous: Sequence[Object], now: datetime.datetime
) -> list[Object]:
    initialized = all(isinstance(c.state, Terminated) and c.state.code == 0 for c in state.init)
    ready = not state.over and all(isinstance(c.state, Running) for c in state.containers)
    reason = None
    if not ready:
        reason = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(
            phase(state), "ContainersNotReady"
        )
    wanted = {
        "PodScheduled": (True, None),
        "Initialized": (initialized, None if initialized else "ContainersNotInitialized"),
        "ContainersReady": (ready, reason),
        "Ready": (ready, reason),
    }
    before = {condition["type"]: condition for condition in previous}
    conditions = []
    for kind, (holds, why) in wanted.items():
        condition: Object = {"type": kind, "status": "True" if holds else "False"}
        condition["reason"] = why
        old = before.get(kind)
        same = old is not None and old["status"] == condition["status"]
        time = old["lastTransitionTime"] if old is not None and same else timestamp(now)
        condition["lastTransitionTime"] = time
        conditions.append(condition)
    return conditions
