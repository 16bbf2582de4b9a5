"""Start the control plane as child processes and wait until each part is ready."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import yaml

from . import flags
from .access import ADMINISTRATOR, LOOPBACK, create_certificates, write_kubeconfig, write_private
from .errors import PortTakenError, StartError
from .flags import Ports
from .health import HealthClient
from .layout import ClusterDirectory
from .processes import ProcessFamily, kill_and_wait

READY_WITHIN = 120.0
"""Seconds for each part to become ready: far more than a loaded machine needs (4 s is usual)."""
POLL = 0.02
"""Seconds between two looks at a part that is not ready: it is the delay we add to a start."""
LAST_LINES = 15
"""Lines of a dead component's log that an error shows."""
ATTEMPTS = 3
"""Number of further starts if another program takes one of the ports."""


@dataclass
class Component:
    """One running part of the cluster."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    command: list[str]

    def last_lines(self) -> str:
        """Return the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        return "\n".join(lines) or "(it wrote nothing)"

    def check_alive(self) -> None:
        """Raise `StartError`, with the end of the log, where the component has ended."""
        status = self.process.poll()
        if status is None:
            return
        lines = self.last_lines()
        how = f"status {status}" if status >= 0 else f"signal {-status}"
        kind = PortTakenError if "address already in use" in lines else StartError
        raise kind(f"{self.name} ended with {how} while the cluster started:\n{lines}")


class Components:
    """The running parts of one cluster, in the order in which they were started."""

    def __init__(self, family: ProcessFamily, directory: ClusterDirectory) -> None:
        self._family = family
        self._directory = directory
        self.running: list[Component] = []
        self._resting: dict[str, Component] = {}

    def start(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str] | None = None,
        handed: tuple[int, ...] = (),
    ) -> Component:
        """Start one component; its output goes to its own log file."""
        log = self._directory.logs / f"{name}.log"
        with log.open("ab") as output:
            process = self._family.spawn(
                command,
                output=output,
                environment=environment,
                directory=self._directory.path,
                handed=handed,
            )
        component = Component(name, process, log, command)
        self.running.append(component)
        return component

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; a component that dies meanwhile ends the wait."""
        deadline = time.monotonic() + READY_WITHIN
        while True:
            for component in self.running:
                component.check_alive()
            if condition():
                return
            if time.monotonic() > deadline:
                logs = self._directory.logs
                raise StartError(f"{what} not ready after {READY_WITHIN:.0f} s; see {logs}")
            time.sleep(POLL)

    def check_guarded(self) -> None:
        """Raise `DevClusterError` where nobody would end the components of a killed cluster."""
        self._family.check_guarded()

    def drop(self, component: Component) -> None:
        """Forget a component that has ended, and kill what it left."""
        kill_and_wait(component.process)
        self._family.forget(component.process)
        self.running.remove(component)

    def rest_as_asked(self) -> None:
        """Kill the parts that are asked to rest, and start again those that no longer are."""
        asked = {file.name: file for file in self._directory.resting.glob("*")}
        for component in self.running[:]:
            if component.name in asked:
                self.drop(component)
                self._resting[component.name] = component
                write_private(asked[component.name], b"at rest\n")
        for name in self._resting.keys() - asked.keys():
            self.start(name, self._resting.pop(name).command)

    def kill(self) -> None:
        """Kill everything at once, the latest first."""
        for component in reversed(self.running[:]):
            self.drop(component)


def prepare(directory: ClusterDirectory) -> None:
    """Make the directory of a new cluster; what a killed one left there is deleted."""
    shutil.rmtree(directory.path, ignore_errors=True)
    for folder in (
        directory.path, directory.certificates, directory.users, directory.logs,
        directory.logs / "pods", directory.resting,
    ):  # fmt: skip
        folder.mkdir(mode=0o700, parents=True)
    create_certificates(directory)
    write_private(directory.audit_policy, yaml.safe_dump(flags.audit_policy()).encode())


def start_control_plane(
    components: Components,
    programs: Path,
    directory: ClusterDirectory,
    beside: Callable[[Ports], None],
    address: str = LOOPBACK,
) -> Ports:
    """Start etcd, the API server, the controller manager and the scheduler; return their ports.

    `beside` is called before the API server starts, to start what waits for it by itself, or what
    makes the address at which the API server is to listen.

    A port that another program takes between our choice and its use costs a new attempt.
    Raises `StartError` with the end of the log of the component that failed.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _attempt(components, programs, directory, beside, address)
        except PortTakenError:
            components.kill()
            shutil.rmtree(directory.etcd, ignore_errors=True)
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _attempt(
    components: Components,
    programs: Path,
    directory: ClusterDirectory,
    beside: Callable[[Ports], None],
    address: str,
) -> Ports:
    etcd, api_server, controller_manager, scheduler = free_ports(4)
    ports = Ports(etcd, api_server, controller_manager, scheduler, address)
    write_kubeconfig(directory, directory.kubeconfig, ports.server, *ADMINISTRATOR)
    for name in ("kube-controller-manager", "kube-scheduler"):
        path = directory.users / f"{name}.kubeconfig"
        write_kubeconfig(directory, path, ports.server, f"system:{name}", ())
    configuration = yaml.safe_dump(flags.scheduler_configuration(directory))
    write_private(flags.scheduler_configuration_path(directory), configuration.encode())

    health = HealthClient(directory)
    # The API server waits for etcd by itself; the other two give up without an API server.
    components.start("etcd", flags.etcd(programs, directory, ports))
    beside(ports)
    components.start("kube-apiserver", flags.api_server(programs, directory, ports))
    components.wait_for("kube-apiserver", lambda: health.is_well(f"{ports.server}/readyz"))
    components.start(
        "kube-controller-manager", flags.controller_manager(programs, directory, ports)
    )
    components.start("kube-scheduler", flags.scheduler(programs, directory, ports))
    return ports


def wait_for_controllers(components: Components, directory: ClusterDirectory, ports: Ports) -> None:
    """Wait until the controllers and the scheduler do their work."""
    health = HealthClient(directory)
    account = f"{ports.server}/api/v1/namespaces/default/serviceaccounts/default"
    # Without this account the API server refuses every pod of the namespace.
    components.wait_for("kube-controller-manager", lambda: health.is_well(account))
    ready = f"https://{LOOPBACK}:{ports.scheduler}/readyz"
    components.wait_for("kube-scheduler", lambda: health.is_well(ready))


def free_ports(count: int) -> list[int]:
    """Return loopback ports that were free a moment ago, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind((LOOPBACK, 0))
        return [opened.getsockname()[1] for opened in sockets]
