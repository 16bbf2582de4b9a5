"""The one process that owns a cluster: it starts everything, watches it, and ends it."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from .access import LOOPBACK, write_private
from .build import ensure_programs
from .control_plane import (
    Components,
    prepare,
    start_control_plane,
    wait_for_controllers,
)
from .errors import AlreadyRunningError, ComponentDiedError, UsageError
from .flags import Ports
from .health import HealthClient, node_is_ready
from .layout import ClusterDirectory
from .locks import FileLock, holder
from .nodes import Node, NodeKind, node_of
from .processes import ProcessFamily
from .programs import KUBERNETES_VERSION

LOOK_EVERY = 0.25
"""Seconds between two looks at the running components."""
NODE_STOP_WITHIN = 10.0
"""Seconds in which the node ends its containers: it gives them 2 s themselves."""
NODE_RESTARTS = 3
NODE_RESTARTS_WITHIN = 30.0
"""More restarts than that within so many seconds: the node would only end again."""
LEFTOVERS_WITHIN = 10.0
"""Seconds in which what a killed cluster left must be gone; its guardians take a moment."""


@dataclass(frozen=True)
class Options:
    """Options of a cluster."""

    name: str
    cpus: int | None = None
    node: NodeKind | None = NodeKind.PROCESS
    """Node that runs the pods; None for a control plane alone."""
    keep: bool = False
    """True if the state directory, logs included, stays when the cluster ends."""

    def __post_init__(self) -> None:
        if self.cpus is not None and self.cpus < 1:
            raise UsageError(f"--cpus {self.cpus}: a node needs at least 1")
        if self.cpus is not None and self.node is NodeKind.CONTAINER:
            raise UsageError("--cpus: a container node announces the processors that it has")


@dataclass(frozen=True)
class Description:
    """Contents of `cluster.json`, about a running cluster."""

    name: str
    pid: int
    server: str
    programs: str
    kubernetes: str
    node: str | None


class Stopped(BaseException):
    """Somebody asked the cluster to end."""


class Lifeline:
    """The connection to the program that asked for the cluster: when it closes, the cluster ends.

    It also carries one JSON object a line to that program: progress, ready, or an error.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self.told_ready = False

    def fileno(self) -> int:
        """Return the descriptor, readable once the other side is gone: it never writes."""
        return self._socket.fileno()

    def send(self, kind: str, text: str) -> None:
        """Tell the other side; where it is gone, that is noticed soon enough."""
        self.told_ready = self.told_ready or kind == "ready"
        with suppress(OSError):
            self._socket.sendall(json.dumps({"kind": kind, "text": text}).encode() + b"\n")


def supervise(
    options: Options,
    announce: Callable[[str], None],
    ready: Callable[[ClusterDirectory, Description], None],
    lifeline: Lifeline | None = None,
) -> None:
    """Run a cluster until a signal or the end of the lifeline; leave nothing behind.

    `ready` is called once, when the cluster can be used. Raises `DevClusterError` where it could
    not be started, or where a part of it ended by itself.
    """
    directory = ClusterDirectory.named(options.name)
    with _stopped_by_signals():
        try:
            lock = _take_name(directory, options.name, announce)
            try:
                _run(options, directory, lock, announce, ready, lifeline)
            finally:
                _ignore_signals()
                if not options.keep:
                    shutil.rmtree(directory.path, ignore_errors=True)
                directory.description.unlink(missing_ok=True)
                lock.release()
        except Stopped:
            announce(f"cluster {options.name!r}: stopped, nothing is left of it")


def _run(
    options: Options,
    directory: ClusterDirectory,
    lock: FileLock,
    announce: Callable[[str], None],
    ready: Callable[[ClusterDirectory, Description], None],
    lifeline: Lifeline | None,
) -> None:
    node = None if options.node is None else node_of(options.node, options.cpus, announce)
    programs = ensure_programs(announce)
    began = time.monotonic()
    announce(f"cluster {options.name!r}: starting Kubernetes v{KUBERNETES_VERSION}")
    prepare(directory)
    # The guardian holds the lock too: the name is free no earlier than everything is gone.
    with ProcessFamily(held=(lock.descriptor,)) as family:
        components = Components(family, directory)
        try:

            def start_node(ports: Ports) -> None:
                if node:
                    node.start(components, directory, ports, lock.descriptor)

            if node:
                node.prepare(family, directory)
            address = node.server_address if node else LOOPBACK
            ports = start_control_plane(components, programs, directory, start_node, address)
            announce(f"  {time.monotonic() - began:.1f} s: the API server answers")
            wait_for_controllers(components, directory, ports)
            if node:
                _wait_for_node(node, components, directory, ports)
            description = Description(
                name=options.name,
                pid=os.getpid(),
                server=ports.server,
                programs=str(programs),
                kubernetes=KUBERNETES_VERSION,
                node=node.name if node else None,
            )
            write_private(directory.description, json.dumps(vars(description)).encode())
            announce(f"  {time.monotonic() - began:.1f} s: ready")
            ready(directory, description)
            _watch(options, node, components, directory, ports, lock, announce, lifeline)
        finally:
            _ignore_signals()
            _stop(components)


def _wait_for_node(
    node: Node, components: Components, directory: ClusterDirectory, ports: Ports
) -> None:
    health = HealthClient(directory)
    url = f"{ports.server}/api/v1/nodes/{node.name}"
    components.wait_for("the node", lambda: node_is_ready(health.read(url)))


def _watch(
    options: Options,
    node: Node | None,
    components: Components,
    directory: ClusterDirectory,
    ports: Ports,
    lock: FileLock,
    announce: Callable[[str], None],
    lifeline: Lifeline | None,
) -> None:
    """Look at the components until somebody asks for the end; a node that dies is started again."""
    parent = os.getppid()
    restarts: list[float] = []
    while True:
        readable, _, _ = select.select([lifeline] if lifeline else [], [], [], LOOK_EVERY)
        # The other end of the lifeline may live on in a child that the asker forked.
        if readable or (lifeline and os.getppid() != parent):
            raise Stopped
        components.check_guarded()
        components.rest_as_asked()
        for component in components.running[:]:
            status = component.process.poll()
            if status is None:
                continue
            now = time.monotonic()
            restarts = [at for at in restarts if now - at < NODE_RESTARTS_WITHIN]
            if node is None or component.name != "node" or len(restarts) >= NODE_RESTARTS:
                raise ComponentDiedError(
                    f"{component.name} ended by itself with status {status}; "
                    f"the cluster {options.name!r} ends with it. Its last lines:\n"
                    f"{component.last_lines()}"
                )
            announce(f"the node ended with status {status}: starting it again")
            components.drop(component)
            node.start(components, directory, ports, lock.descriptor)
            restarts.append(now)


def _stop(components: Components) -> None:
    """End the node in an orderly way, so that containers may catch SIGTERM; kill the rest.

    The control plane loses nothing by that: its data is deleted with it, and an orderly end of
    the API server takes longer than everything else together.
    """
    for component in components.running:
        if component.name == "node" and component.process.poll() is None:
            component.process.terminate()
            deadline = time.monotonic() + NODE_STOP_WITHIN
            while component.process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
    components.kill()


def _take_name(directory: ClusterDirectory, name: str, announce: Callable[[str], None]) -> FileLock:
    """Take the cluster's lock; a killed cluster's leftovers are waited for, a live one refuses."""
    deadline = time.monotonic() + LEFTOVERS_WITHIN
    waiting = False
    while True:
        lock = FileLock.take(directory.lock)
        if lock is not None:
            if directory.path.exists():
                announce(f"cluster {name!r}: deleting what an earlier one left")
            return lock
        pid = holder(directory.lock)
        if (pid and _is_alive(pid)) or time.monotonic() > deadline:
            raise AlreadyRunningError(
                f"cluster {name!r} is running already (process {pid}): "
                f"choose another --name, or stop it with 'down --name {name}'"
            )
        if not waiting:
            announce(f"cluster {name!r}: waiting for the end of a killed one")
            waiting = True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Turn the signals that end a program into `Stopped`, wherever the program just is."""

    def stop(number: int, frame: FrameType | None) -> None:
        _ignore_signals()
        raise Stopped

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        # What was ignored from the start (nohup, a shell's background job) stays ignored.
        if before[number] != signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    """Let nothing break off the end of a cluster: it is short."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
