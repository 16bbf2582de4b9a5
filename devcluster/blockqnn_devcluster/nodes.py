"""The kinds of node that a cluster can have: what each needs, and how it is started."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .access import CONTAINER_NODE_HOST, LOOPBACK, NODE_NAME
from .build import ensure_programs
from .container import cgroups
from .container.configuration import NODE_NAME as CONTAINER_NODE_NAME
from .container.configuration import NodeFiles
from .container.first_process import MOUNT_POINTS
from .container.requirements import check_machine
from .control_plane import Components
from .flags import Ports
from .layout import ClusterDirectory
from .processes import ProcessFamily
from .programs import CONTAINER_NODE_PROGRAMS


class NodeKind(enum.Enum):
    """By the name that `--node` takes."""

    PROCESS = "process"
    CONTAINER = "container"


class Node(Protocol):
    """Node that runs the pods of a cluster."""

    @property
    def name(self) -> str:
        """The name of the Node object."""

    @property
    def server_address(self) -> str:
        """Address on which the API server has to listen for this node."""

    def prepare(self, family: ProcessFamily, directory: ClusterDirectory) -> None:
        """Say what is to be removed at the end of the cluster, before anything is started."""

    def start(
        self, components: Components, directory: ClusterDirectory, ports: Ports, held: int
    ) -> None:
        """Start the node's process, the component `node`, which keeps the descriptor open."""


def node_of(kind: NodeKind, cpus: int | None, announce: Callable[[str], None]) -> Node:
    """Return a node of a kind, having built what it needs.

    Raises `UnsupportedMachineError` where this machine cannot run one.
    """
    if kind is NodeKind.PROCESS:
        return ProcessNode(cpus)
    check_machine()
    return ContainerNode(ensure_programs(announce, CONTAINER_NODE_PROGRAMS))


@dataclass(frozen=True)
class ProcessNode:
    """Runs each container's command as a local process."""

    cpus: int | None
    name: str = NODE_NAME
    server_address: str = LOOPBACK

    def prepare(self, family: ProcessFamily, directory: ClusterDirectory) -> None:
        """Do nothing: the node's own guardian removes its scratch directory."""

    def start(
        self, components: Components, directory: ClusterDirectory, ports: Ports, held: int
    ) -> None:
        """Start the process, which registers as soon as the API server answers."""
        command = [
            sys.executable, "-m", "blockqnn_devcluster.node",
            f"--name={self.name}", f"--server={ports.server}",
            f"--directory={directory.path}", f"--held={held}",
        ]  # fmt: skip
        if self.cpus is not None:
            command.append(f"--cpus={self.cpus}")
        components.start("node", command, handed=(held,))


@dataclass(frozen=True)
class ContainerNode:
    """Runs real containers, in namespaces of its own."""

    programs: Path
    name: str = CONTAINER_NODE_NAME
    server_address: str = CONTAINER_NODE_HOST

    def prepare(self, family: ProcessFamily, directory: ClusterDirectory) -> None:
        """Have the guardian remove the cgroups and the mount points once every process is gone.

        A cgroup without processes goes as a directory does, whatever files it seems to hold.
        """
        for cgroup in cgroups.directories(NodeFiles(directory).cgroup):
            family.remove_at_end(cgroup)
        for point in MOUNT_POINTS:
            if not point.exists():
                point.mkdir()
                family.remove_at_end(point)

    def start(
        self, components: Components, directory: ClusterDirectory, ports: Ports, held: int
    ) -> None:
        """Start the process and wait until it has made the address of the API server."""
        connected = NodeFiles(directory).connected
        connected.unlink(missing_ok=True)
        command = [
            sys.executable, "-m", "blockqnn_devcluster.container",
            f"--directory={directory.path}", f"--server={ports.server}",
            f"--programs={self.programs}",
        ]  # fmt: skip
        components.start("node", command)
        components.wait_for("the node's network", connected.exists)
