"""The Python interface: start a cluster, or attach to a running one, and use it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from .access import user_file_name, write_kubeconfig
from .container.configuration import NodeFiles
from .container.first_process import import_command
from .container.requirements import system_environment
from .errors import DevClusterError, NotRunningError, StartError
from .layout import DIRECTORY_VARIABLE, ClusterDirectory
from .locks import holder
from .nodes import NodeKind
from .supervisor import Description

RESTING = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""The components that can be stopped and started again while the cluster goes on."""

STOP_WITHIN = 180.0
"""Seconds for a cluster to end after it was asked to. About one is usual; the images of a container
node are gigabytes in 100,000 files, whose deletion took 40 s on a busy disk."""


def to_stderr(line: str) -> None:
    """Print one line of progress."""
    print(line, file=sys.stderr, flush=True)


class DevCluster:
    """A running Kubernetes: its files, its users and its kubectl.

    One that was started here is a context manager and ends with it; it also ends when this program
    ends, however that happens. One that was attached to goes on.
    """

    def __init__(
        self,
        directory: ClusterDirectory,
        description: Description,
        process: subprocess.Popen[bytes] | None = None,
        lifeline: socket.socket | None = None,
    ) -> None:
        self._layout = directory
        self._description = description
        self._process = process
        self._lifeline = lifeline

    @classmethod
    def start(
        cls,
        name: str = "default",
        *,
        cpus: int | None = None,
        node: NodeKind | Literal[False] = NodeKind.PROCESS,
        keep: bool = False,
        progress: Callable[[str], None] = to_stderr,
    ) -> DevCluster:
        """Start a cluster (building its programs where needed) and return when it is ready.

        `cpus` overrides the capacity that a process node announces; with `node=False` there
        is only a control plane. With `keep` the state directory stays after the end. Raises
        `DevClusterError` with what failed and where.
        """
        layout = ClusterDirectory.named(name)
        command = [sys.executable, "-m", "blockqnn_devcluster", "up", "--name", name]
        command += [] if cpus is None else ["--cpus", str(cpus)]
        command += ["--node", node.value] if node else ["--no-node"]
        command += ["--keep"] if keep else []
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = subprocess.Popen(
                    [*command, "--lifeline", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    # A Ctrl-C is ours to handle: the cluster ends when we have finished with it.
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        try:
            _await_ready(ours, progress)
            return cls(layout, _read_description(layout), process, ours)
        except BaseException:
            _end(process, ours)
            raise

    @classmethod
    def attach(cls, directory: Path | str) -> DevCluster:
        """Return the running cluster of a state directory; raise `NotRunningError` without one."""
        layout = ClusterDirectory(Path(directory))
        return cls(layout, _read_description(layout))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop()

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self._description.name

    @property
    def directory(self) -> Path:
        """The state directory, deleted at the end of the cluster."""
        return self._layout.path

    @property
    def logs(self) -> Path:
        """The directory of the components' logs, and of the containers' under `pods/`."""
        return self._layout.logs

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return self._description.server

    @property
    def node(self) -> str | None:
        """The name of the node, or None where the cluster has none."""
        return self._description.node

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self._layout.kubeconfig

    @property
    def environment(self) -> dict[str, str]:
        """Environment that a program needs to use this cluster."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            DIRECTORY_VARIABLE: str(self.directory),
            "KUBECACHEDIR": str(self._layout.kubectl_cache),
        }

    @property
    def kubectl_program(self) -> Path:
        """The kubectl of the cluster's own version."""
        return Path(self._description.programs) / "kubectl"

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Issue a client certificate for a user and return a kubeconfig that uses it.

        A new user may do nothing until a role is bound to it. For a service account, use its full
        name and groups: `system:serviceaccount:NAMESPACE:NAME`, `system:serviceaccounts`.
        """
        if not user:
            raise DevClusterError("a user needs a name")
        path = self._layout.users / user_file_name(user, groups)
        write_kubeconfig(self._layout, path, self.server, user, groups)
        return path

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator; with `check`, a failure raises `DevClusterError`."""
        done = subprocess.run(
            [str(self.kubectl_program), *arguments],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise DevClusterError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done

    def wait_for_definitions(self, within: float = 30.0) -> None:
        """Wait until the API server serves every CustomResourceDefinition.

        kubectl fails at once for one that is so new that it has no conditions, so it is repeated.
        Raises `DevClusterError` with its last words when the seconds are over.
        """
        deadline = time.monotonic() + within
        wait = ("wait", "--for=condition=Established", "crd", "--all", f"--timeout={within:.0f}s")
        while self.kubectl(*wait, check=time.monotonic() > deadline).returncode != 0:
            time.sleep(0.1)

    def load_images(self, archive: Path | IO[bytes]) -> None:
        """Give the images of an archive, as `docker save` writes it, to the container node.

        A file that is open, such as a pipe, is read from where it stands. Raises `DevClusterError`
        where the cluster has no such node, or cannot read the archive.
        """
        files = NodeFiles(self._layout)
        if not files.socket.exists():
            raise DevClusterError(
                f"cluster {self.name!r} has no container node: start one with --node container"
            )
        name, source = (
            (str(archive), subprocess.DEVNULL) if isinstance(archive, Path) else ("-", archive)
        )
        done = subprocess.run(
            import_command(files, name),
            stdin=source,
            env=system_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DevClusterError(f"{archive}: {done.stderr.strip()}")

    def rest(self, component: str) -> None:
        """Kill a part of the control plane and keep it down until `resume`; its data stays.

        Raises `DevClusterError` where the cluster has no such component, or does not obey.
        """
        if component not in RESTING:
            raise DevClusterError(
                f"{component!r} cannot be stopped alone; what can: {', '.join(RESTING)}"
            )
        asked = self._layout.resting / component
        asked.touch()
        deadline = time.monotonic() + STOP_WITHIN
        while not asked.read_bytes():
            if time.monotonic() > deadline:
                raise DevClusterError(f"{component} did not stop within {STOP_WITHIN:.0f} s")
            time.sleep(0.05)

    def resume(self, component: str) -> None:
        """Start a part of the control plane again; it takes a moment until it is ready."""
        (self._layout.resting / component).unlink(missing_ok=True)

    def stop(self) -> None:
        """End the cluster and return when nothing is left of it."""
        if self._process is not None and self._lifeline is not None:
            _end(self._process, self._lifeline)
            return
        stop_named(self._layout)


def stop_named(layout: ClusterDirectory) -> None:
    """Ask the process of a running cluster to end it, and wait until everything is gone.

    Raises `NotRunningError` where no such cluster runs. What a killed cluster left is deleted.
    """
    pid = holder(layout.lock)
    if pid is None:
        leftovers = layout.path.exists()
        shutil.rmtree(layout.path, ignore_errors=True)
        layout.lock.unlink(missing_ok=True)
        if leftovers:
            return
        raise NotRunningError(f"no cluster {layout.path.name!r} is running")
    try:
        if pid:
            os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        # It was killed; its guardian still holds the lock and is cleaning up.
        pass
    deadline = time.monotonic() + STOP_WITHIN
    while holder(layout.lock) is not None:
        if time.monotonic() > deadline:
            raise DevClusterError(
                f"cluster {layout.path.name!r} (process {pid}) did not end within "
                f"{STOP_WITHIN:.0f} s; see {layout.logs}"
            )
        time.sleep(0.05)


def _await_ready(channel: socket.socket, progress: Callable[[str], None]) -> None:
    """Pass progress on until the cluster is ready; raise what it reports, or that it died."""
    with channel.makefile("rb") as lines:
        for line in lines:
            message = json.loads(line)
            if message["kind"] == "ready":
                return
            if message["kind"] == "error":
                raise StartError(message["text"])
            progress(message["text"])
    raise StartError("the process of the cluster ended before the cluster was ready")


def _end(process: subprocess.Popen[bytes], lifeline: socket.socket) -> None:
    lifeline.close()
    try:
        process.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        # Its guardian ends what it left.
        process.kill()
        process.wait()


def _read_description(layout: ClusterDirectory) -> Description:
    try:
        return Description(**json.loads(layout.description.read_bytes()))
    except FileNotFoundError:
        raise NotRunningError(
            f"{layout.path}: no cluster is ready there; start one with 'up'"
        ) from None
