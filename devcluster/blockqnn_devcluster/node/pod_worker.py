"""The life of one pod on this node: its containers in order, restarts, and its end."""

from __future__ import annotations

import asyncio
import datetime
import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..processes import ProcessFamily
from .acceptance import UNSUPPORTED, problems
from .api import Object
from .container_process import ContainerProcess
from .environment import command_line, declared_variables, process_environment
from .messages import termination_message
from .pod_files import MountError, PodFiles
from .pod_status import (
    Container,
    Failure,
    PodState,
    Running,
    Terminated,
    Waiting,
    end_reason,
    exit_code,
)
from .publisher import Publisher
from .stopping import Stop

FIRST_BACKOFF = 10.0
LAST_BACKOFF = 300.0
"""Seconds before a container is started again: none the first time, then doubled, as kubelet."""
BACKOFF_FORGOTTEN = 600.0
"""Seconds that a container must run for its earlier ends to be forgotten."""
START_ERROR = 128
"""The exit code of a container whose command could not be executed."""


@dataclass(frozen=True)
class Tools:
    """Services that every pod of the node uses."""

    family: ProcessFamily
    first_backoff: float = FIRST_BACKOFF


class PodWorker:
    """Runs one pod. The state is replaced as a whole; each change is published."""

    def __init__(
        self, pod: Object, tools: Tools, files: PodFiles, stop: Stop, publisher: Publisher
    ) -> None:
        self._pod = pod
        self._spec: Object = pod["spec"]
        self._tools = tools
        self.files = files
        self._stop = stop
        self._publisher = publisher
        self._deadline_passed = False
        self.state = PodState(
            started=_now(),
            restart_policy=self._spec.get("restartPolicy") or "Always",
            init=tuple(map(_fresh, self._spec.get("initContainers") or [])),
            containers=tuple(map(_fresh, self._spec["containers"])),
        )

    async def run(self) -> None:
        """Run the pod to its end; afterwards its state is final and no process is left."""
        refusal = self._refusal()
        if refusal is None:
            deadline = self._spec.get("activeDeadlineSeconds")
            timer = None
            if deadline is not None:
                timer = asyncio.get_running_loop().call_later(deadline, self._pass_deadline)
            try:
                await self._run_containers()
            finally:
                if timer is not None:
                    timer.cancel()
                self.files.remove_scratch()
            if self._deadline_passed:
                refusal = Failure(
                    "DeadlineExceeded",
                    f"the pod was active for longer than its deadline of {deadline} s",
                )
        self._update(replace(self.state, failure=refusal, over=True))

    def find(self, name: str) -> Container | None:
        """Return what became of a container so far."""
        for container in (*self.state.init, *self.state.containers):
            if container.name == name:
                return container
        return None

    def _refusal(self) -> Failure | None:
        """Return why this pod cannot be run here, having made its directories otherwise."""
        found = problems(self._spec)
        if found:
            return Failure(UNSUPPORTED, "; ".join(found))
        try:
            self.files.create(self._spec)
        except (MountError, OSError) as error:
            return Failure("FailedMount", str(error))
        return None

    def _pass_deadline(self) -> None:
        self._deadline_passed = True
        self._stop.request(self._spec.get("terminationGracePeriodSeconds", 30))

    async def _run_containers(self) -> None:
        for index, container in enumerate(self._spec.get("initContainers") or []):
            await self._run_container(container, index, init=True)
            state = self.state.init[index].state
            if self._stop.requested or not _succeeded(state):
                return
        async with asyncio.TaskGroup() as group:
            for index, container in enumerate(self._spec["containers"]):
                group.create_task(self._run_container(container, index, init=False))

    async def _run_container(self, spec: Object, index: int, *, init: bool) -> None:
        """Run one container as often as the restart policy says."""
        backoff = 0.0
        for attempt in itertools.count():
            if self._stop.requested:
                return
            began = asyncio.get_running_loop().time()
            ended = await self._run_once(spec, index, attempt, init=init)
            if self._stop.requested or not self._is_restarted(ended, init=init):
                return
            if asyncio.get_running_loop().time() - began > BACKOFF_FORGOTTEN:
                backoff = 0.0
            if backoff:
                container = self._container(index, init=init)
                message = f"back-off {backoff:.0f}s restarting failed container={spec['name']}"
                self._set(index, container.waits(Waiting("CrashLoopBackOff", message)), init=init)
                if await self._stop.wait(backoff):
                    # It never ran again: what it was at the end is what it stays.
                    self._set(index, container, init=init)
                    return
            backoff = min(2 * backoff or self._tools.first_backoff, LAST_BACKOFF)

    def _is_restarted(self, ended: Terminated, *, init: bool) -> bool:
        if self.state.restart_policy == "Never":
            return False
        if ended.code == 0:
            return self.state.restart_policy == "Always" and not init
        return True

    async def _run_once(self, spec: Object, index: int, attempt: int, *, init: bool) -> Terminated:
        """Start the container's process, follow it to its end and record how it ended."""
        places = self.files.places(spec, attempt)
        log = self.files.log(spec["name"], attempt)
        started = _now()
        try:
            process = ContainerProcess.start(
                self._tools.family,
                command_line(spec, declared_variables(self._pod, spec)),
                process_environment(self._pod, spec, os.environ, places),
                spec.get("workingDir") or self.files.working_directory,
                log,
            )
        except (OSError, ValueError) as error:
            message = f"the command could not be started: {error}"
            ended = Terminated(START_ERROR, "StartError", message, started, _now(), None)
            self._set(index, self._container(index, init=init).begins(ended), init=init)
            return ended
        running = self._container(index, init=init).begins(Running(started, process.number))
        self._set(index, running, init=init)
        code = exit_code(await self._follow(process))
        policy = spec.get("terminationMessagePolicy") or "File"
        message = termination_message(places.message, log, policy, code)
        ended = Terminated(code, end_reason(code), message, started, _now(), process.number)
        self._set(index, running.ends(ended), init=init)
        return ended

    async def _follow(self, process: ContainerProcess) -> int:
        """Wait for the end of a process, which a request to stop brings about."""
        ended = asyncio.ensure_future(process.wait())
        asked = False
        while not ended.done():
            changed = asyncio.ensure_future(self._stop.changed())
            timeout = None
            if self._stop.kill_at is not None:
                timeout = self._stop.kill_at - asyncio.get_running_loop().time()
                if timeout <= 0:
                    process.kill()
                    timeout = None
                elif not asked:
                    asked = True
                    process.terminate()
            await asyncio.wait(
                {ended, changed}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            changed.cancel()
        return await ended

    def _container(self, index: int, *, init: bool) -> Container:
        return (self.state.init if init else self.state.containers)[index]

    def _set(self, index: int, container: Container, *, init: bool) -> None:
        kind = "init" if init else "containers"
        containers: tuple[Container, ...] = getattr(self.state, kind)
        changed = (*containers[:index], container, *containers[index + 1 :])
        if init:
            self._update(replace(self.state, init=changed))
        else:
            self._update(replace(self.state, containers=changed))

    def _update(self, state: PodState) -> None:
        self.state = state
        self._publisher.publish(state)


def _fresh(container: Mapping[str, Any]) -> Container:
    return Container(container["name"], container.get("image") or "", Waiting())


def _succeeded(state: Waiting | Running | Terminated) -> bool:
    return isinstance(state, Terminated) and state.code == 0


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
