"""The operator as a process, under its own restricted account, and what it uses."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

TICKS = os.sysconf("SC_CLK_TCK")

WRITES = ("POST", "PUT", "PATCH", "DELETE")

LABEL = re.compile(r'(\w+)="([^"]*)"')


OWN = ("blocksearches", "configmaps", "jobs")
"""Objects that only the operator writes while a search runs, but for the status of Jobs."""


def counted_by_server(text: str) -> Counter[str]:
    """Return the writes of the operator by verb, Events left out, as the API server counts them.

    Args:
        text: the API server's metrics. Its counts are of all clients, and of its whole life.
    """
    counts: Counter[str] = Counter()
    for line in text.splitlines():
        if not line.startswith("apiserver_request_total{"):
            continue
        labels = dict(LABEL.findall(line))
        verb = {"DELETECOLLECTION": "DELETE", "APPLY": "PATCH"}.get(labels["verb"], labels["verb"])
        of_status = labels["subresource"] == "status" and labels["resource"] == "jobs"
        if labels["resource"] in OWN and verb in WRITES and not of_status:
            counts[verb] += int(float(line.rpartition(" ")[2]))
    return counts


def used_by(pid: int) -> float:
    """Return the processor seconds of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def used_by_cluster(directory: Path) -> dict[str, float]:
    """Return the processor seconds of a cluster's parts, by program, and of this process."""
    used = {"benchmark": time.process_time()}
    for entry in Path("/proc").iterdir():
        # A process may end between two looks at it; nothing of the cluster does.
        with suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdigit():
                command = (entry / "cmdline").read_bytes()
                if os.fsencode(directory) in command:
                    program = Path(os.fsdecode(command.split(b"\0")[0])).name
                    used[program] = used_by(int(entry.name))
    return used


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class OperatorProcess:
    """An operator of some namespaces; what it uses is added up over restarts.

    Args:
        kubeconfig: of its account.
        namespaces: those that it serves.
        log: where its output goes.
    """

    def __init__(self, kubeconfig: Path, namespaces: Sequence[str], log: Path) -> None:
        self._kubeconfig, self._namespaces, self._log = kubeconfig, namespaces, log
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._seconds, self._peak = 0.0, 0
        self._requests: Counter[str] = Counter()

    def start(self) -> None:
        """Start it, as a user would."""
        self._ports = {name: _free_port() for name in ("--metrics-port", "--probe-port")}
        options = [f"--namespace={namespace}" for namespace in self._namespaces]
        options += [f"{name}={port}" for name, port in self._ports.items()]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "blockqnn_operator.shell.main", *options],
                # A process that is killed leaves the key there that the official client unpacks.
                env=os.environ
                | {"KUBECONFIG": str(self._kubeconfig), "TMPDIR": str(self._log.parent)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def port(self, option: str) -> int:
        """Return the port that it was started with, by the option's name."""
        return self._ports[option]

    def kill(self) -> None:
        """End it as a power failure would; what it has used until then is kept."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._seconds, self._peak = self.processor_seconds, self.peak_bytes
            self._requests = self.requests()
        self._process.kill()
        self._process.wait()
        self._process = None

    @property
    def processor_seconds(self) -> float:
        """Processor time, user and system, over all starts."""
        return self._seconds + (used_by(self._process.pid) if self._process else 0.0)

    @property
    def peak_bytes(self) -> int:
        """The most resident memory of any start."""
        if self._process is None:
            return self._peak
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return max(self._peak, int(line.split()[1]) * 1024)

    def requests(self) -> Counter[str]:
        """Its requests to the API server by verb, Kopf's lists and watches left out."""
        if self._process is None:
            return self._requests
        address = f"http://127.0.0.1:{self.port('--metrics-port')}/metrics"
        with urllib.request.urlopen(address, timeout=30) as answer:
            text = answer.read().decode()
        counts = self._requests.copy()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "blockqnn_api_requests_total":
                    counts[sample.labels["verb"]] += int(sample.value)
        return counts
