"""First process of the node's namespaces: mounts, network, programs, waiting."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from pathlib import Path

from ..errors import StartError
from . import configuration, network
from .configuration import NodeFiles
from .requirements import SYSTEM_PATH

READY_WITHIN = 60.0
"""Seconds for containerd to answer; less than one is usual."""

KERNEL_SETTINGS = (
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
)  # fmt: skip
"""Settings of the machine that a kubelet changes and does not restore."""

MOUNT_POINTS = (Path("/var/lib/kubelet"), Path("/var/lib/cni"))
"""Directories that the programs use whatever they are told; the node has its own there."""

logger = logging.getLogger(__name__)


def run(files: NodeFiles, programs: Path) -> int:
    """Run the node; return its exit status when one of its programs has ended."""
    # The handlers of the process that we were forked from are not ours.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.environ["PATH"] = SYSTEM_PATH
    _mount(files)
    _connect()
    logs = files.layout.logs
    running = {
        _start(["containerd", "--config", str(files.file("containerd.toml"))], logs): "containerd"
    }
    _await(files.socket)
    _do(import_command(files, str(files.file("pause.tar"))))
    kubelet = configuration.kubelet_command(programs, files)
    running[_start(kubelet, logs)] = "kubelet"
    proxy = [str(programs / "kube-proxy"), f"--config={files.file('kube-proxy.yaml')}"]
    running[_start(proxy, logs)] = "kube-proxy"
    while True:
        # Every process whose parent has ended becomes a child of the first one.
        pid, status = os.wait()
        if pid in running:
            code = os.waitstatus_to_exitcode(status)
            logger.critical("%s ended with status %d; see its log", running[pid], code)
            return 1


def import_command(files: NodeFiles, archive: str) -> list[str]:
    """Return the command that gives an archive of images, or `-` for its input, to containerd."""
    return [
        "ctr", "--address", str(files.socket), "--namespace", "k8s.io",
        "images", "import", archive,
    ]  # fmt: skip


def _mount(files: NodeFiles) -> None:
    # Nothing that is mounted here may show outside.
    _do(["mount", "--make-rprivate", "/"])
    _do(["mount", "-t", "proc", "proc", "/proc"])
    _do(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"])
    for directory in ("netns", "lock", "containerd"):
        (Path("/run") / directory).mkdir()
    _do(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/var/log"])
    for point in MOUNT_POINTS:
        own = files.file(point.name)
        own.mkdir(exist_ok=True)
        _do(["mount", "--bind", str(own), str(point)])
    for setting in KERNEL_SETTINGS:
        real = Path("/proc/sys") / setting
        if real.exists():
            copy = Path("/run/settings") / setting
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(real.read_text())
            _do(["mount", "--bind", str(copy), str(real)])


def _connect() -> None:
    for command in network.node_setup():
        _do(command)
    for name, value in network.SYSTEM_CONTROLS.items():
        path = Path("/proc/sys") / name
        # Without the bridge's module no packet of a bridge passes the filter anyway.
        if path.exists():
            path.write_text(value)


def _start(command: list[str], logs: Path) -> int:
    name = Path(command[0]).name
    with (logs / f"{name}.log").open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return process.pid


def _await(socket: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    version = ["ctr", "--address", str(socket), "version"]
    while subprocess.run(version, capture_output=True, check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise StartError(f"containerd does not answer after {READY_WITHIN:.0f} s")
        time.sleep(0.1)


def _do(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StartError(f"{' '.join(command)}: {done.stderr.strip()}")
