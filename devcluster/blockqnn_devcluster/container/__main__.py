"""`python -m blockqnn_devcluster.container`: starts the node and ends it with all that it did."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ..access import write_kubeconfig, write_private
from ..errors import DevClusterError, StartError
from ..layout import ClusterDirectory
from . import cgroups, configuration, first_process, network, pause
from .configuration import NODE_USER, PROXY_USER, NodeFiles
from .isolation import isolate
from .requirements import find_busybox, find_plugins, system_environment

INTERFACE_FREE_WITHIN = 10.0
"""Seconds in which the kernel removes the interface of a node that was killed a moment ago."""

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

logger = logging.getLogger("blockqnn_devcluster.container")


def main() -> int:
    """Run the node until SIGTERM, or until it ends by itself; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m blockqnn_devcluster.container")
    parser.add_argument("--directory", required=True, type=Path, help="the cluster's directory")
    parser.add_argument("--server", required=True, help="URL of the API server")
    parser.add_argument("--programs", required=True, type=Path, help="where the kubelet lies")
    options = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    # Taken one by one in `_wait`: nothing may break off the end of the node.
    signal.pthread_sigmask(signal.SIG_BLOCK, {*STOPPING, signal.SIGCHLD})
    files = NodeFiles(ClusterDirectory(options.directory))
    try:
        _write(files, options.server)
        cgroups.create(files.cgroup)
        node = isolate(lambda: first_process.run(files, options.programs))
        try:
            _connect(node.pid)
            files.connected.touch()
            node.let_go()
            return 0 if _wait(node.pid) in STOPPING else 1
        finally:
            node.end()
    except DevClusterError as error:
        logger.critical("%s", error)
        return 1


def _write(files: NodeFiles, server: str) -> None:
    """Write every configuration file that the node's programs read."""
    files.file("networks").mkdir(parents=True, exist_ok=True)
    texts = {
        "containerd.toml": configuration.containerd(files, find_plugins()),
        "networks/pods.conflist": configuration.network(files),
        "kubelet.yaml": configuration.kubelet(files),
        "kube-proxy.yaml": configuration.proxy(files),
        # Pods have no name server: there is nothing beyond the machine that they could reach.
        "resolv.conf": "",
    }
    for name, text in texts.items():
        write_private(files.file(name), text.encode())
    for name, (user, groups) in {"kubelet": NODE_USER, "kube-proxy": PROXY_USER}.items():
        write_kubeconfig(files.layout, files.file(f"{name}.kubeconfig"), server, user, groups)
    pause.write_archive(find_busybox(), files.file("pause.tar"))


def _connect(node: int) -> None:
    """Lay the cable between the machine and the node."""
    deadline = time.monotonic() + INTERFACE_FREE_WITHIN
    while error := _failure(network.cable(node)):
        if "File exists" not in error:
            raise StartError(error)
        if time.monotonic() > deadline:
            raise StartError(
                f"the interface {network.HOST_INTERFACE} exists: another container node runs on "
                "this machine, which has room for one"
            )
        time.sleep(0.1)
    for command in network.host_setup():
        if error := _failure(command):
            raise StartError(error)


def _failure(command: list[str]) -> str:
    """Run a command; return what it complained about, or nothing where it succeeded."""
    done = subprocess.run(
        command, env=system_environment(), capture_output=True, text=True, check=False
    )
    return f"{' '.join(command)}: {done.stderr.strip()}" if done.returncode else ""


def _wait(node: int) -> int:
    """Wait for a signal that asks for the end, or for the end of the node's first process."""
    while True:
        number = signal.sigwait({*STOPPING, signal.SIGCHLD})
        ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        if number != signal.SIGCHLD or os.waitid(os.P_PID, node, ended) is not None:
            return number


if __name__ == "__main__":
    sys.exit(main())
