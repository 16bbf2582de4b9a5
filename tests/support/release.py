"""A release of the chart whose operator runs as a process: under its account, with its options."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from helm_command import Helm, operator_container

from blockqnn_devcluster import DevCluster
from blockqnn_devcluster.flags import AUDITED

STARTED_AGAIN = "Restart the operator; a Deployment does so automatically.\n"
"""The last words of an operator whose watch has ended for good."""


class Ports(NamedTuple):
    """Port of an operator on loopback."""

    probes: int
    metrics: int


class Installed:
    """A release of the chart, and its operator as a process under the release's account."""

    def __init__(self, cluster: DevCluster, helm: Helm, namespace: str, *options: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        helm.install(namespace, *options)
        self.account = f"system:serviceaccount:{namespace}:blockqnn"
        self.arguments = operator_container(helm.rendered(*options, namespace=namespace))["args"]

    @contextmanager
    def operator(self, log: Path, *, outlives_the_definition: bool = False) -> Iterator[Ports]:
        """Run the operator as the Deployment would; yields where it answers.

        With `outlives_the_definition` it may have ended for the Deployment to start it again.
        """
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", AUDITED)
        kubeconfig = self.cluster.kubeconfig_for(self.account, groups)
        ports = Ports(free_port(), free_port())
        own = {"--probe-port": ports.probes, "--metrics-port": ports.metrics}
        named = dict(argument.split("=", 1) for argument in self.arguments)
        options = [f"{name}={own.get(name, value)}" for name, value in named.items()]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "blockqnn_operator.shell.main", *options],
                env=os.environ | {"KUBECONFIG": str(kubeconfig)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                yield ports
            finally:
                process.terminate()
                status, said = process.wait(30), log.read_text()
                if not (outlives_the_definition and said.endswith(STARTED_AGAIN)):
                    assert status == 0, said

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """Run kubectl as the administrator, in the release's namespace."""
        return self.cluster.kubectl("-n", self.namespace, *arguments, input=text).stdout

    def phase(self, name: str = "search") -> str:
        """The phase of a search."""
        return self.kubectl("get", "bs", name, "-o", "jsonpath={.status.phase}")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answer(port: int, path: str) -> int:
    """The status with which the operator answers a probe; 0 for none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answered:
            return int(answered.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
