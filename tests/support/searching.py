"""Fixtures of the tests of searches: an operator process, small searches, and looking at them."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from repository_paths import ROOT

from blockqnn_api.history import shards as history
from blockqnn_api.history.trial_record import TrialRecord, read_lines
from blockqnn_devcluster import DevCluster

OPERATOR_USER = "blockqnn-operator"
WHILE_TRAINING = 120.0
"""Seconds that a test waits for real trainings: many times what they take on idle cores."""

REAL_TRAINING: dict[str, Any] = {
    "network": {"filters": [4], "repeats": 1},
    "training": {"epochs": 2, "batchSize": 32, "optimizer": {"learningRate": 0.01}},
    "trial": {"resources": {"requests": {"cpu": "500m"}}},
}
"""The shortest training that learns: seconds, nearly all of them the start of the process."""

TRAINER_PROGRAM = Path(__file__).with_name("custom_trainer.py")
"""A trainer of somebody else's: quick, and a function of the block."""

CUSTOM_TRAINER: dict[str, Any] = {
    "trial": {
        "resources": {"requests": {"cpu": "500m"}},
        "podTemplate": {
            "spec": {
                "containers": [
                    {
                        "name": "trainer",
                        "command": ["python", str(TRAINER_PROGRAM)],
                    }
                ]
            }
        },
    }
}
"""A container that runs it."""


def search_manifest(name: str = "search", **spec: Any) -> dict[str, Any]:
    """A BlockSearch on digits with small blocks; anything in the spec can be given."""
    base: dict[str, Any] = {
        "preset": "CVPR2018",
        "dataset": {"name": "digits"},
        "parallelism": 2,
        "budget": {"trials": 8},
        "space": {"maxLayers": 5, "startWithIdentity": False},
        "agent": {
            "batchSize": 4,
            "epsilonSchedule": [
                {"epsilon": 1.0, "iterations": 1},
                {"epsilon": 0.5, "iterations": 1},
            ],
        },
    }
    return {
        "apiVersion": "blockqnn.dev/v1alpha1",
        "kind": "BlockSearch",
        "metadata": {"name": name},
        "spec": base | spec,
    }


def trainer_of(*command: str, **pod_spec: Any) -> dict[str, Any]:
    """Fields of a search whose trainer is a command."""
    container = {"name": "trainer", "command": list(command)}
    return {
        "resources": {"requests": {"cpu": "100m"}},
        "podTemplate": {"spec": {**pod_spec, "containers": [container]}},
    }


class Operator:
    """An operator process that serves one namespace under its own restricted account."""

    def __init__(self, kubeconfig: Path, namespace: str, log: Path) -> None:
        self._kubeconfig, self._namespace, self.log = kubeconfig, namespace, log
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._metrics_port = int(free.getsockname()[1])
        self.metrics_address = f"127.0.0.1:{self._metrics_port}"

    def metrics(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Scrape it: the values of each sample by its labels' values, in order of their names."""
        address = f"http://{self.metrics_address}/metrics"
        with urllib.request.urlopen(address, timeout=5) as answer:
            text = answer.read().decode()
        samples: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = tuple(value for _, value in sorted(sample.labels.items()))
                samples.setdefault(sample.name, {})[labels] = sample.value
        return samples

    def start(self, *more: str) -> None:
        options = ["-n", self._namespace, "--metrics-port", str(self._metrics_port), *more]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "blockqnn_operator.shell.main", *options],
                # A process that is killed leaves the key there that the official client unpacks.
                env=os.environ
                | {"KUBECONFIG": str(self._kubeconfig), "TMPDIR": str(self.log.parent)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def is_running(self) -> bool:
        """Return whether its process has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        """End it as a power failure would."""
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        """End it as Kubernetes does; returns its exit status."""
        return self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(number)
        return process.wait(20)


class Searching:
    """A namespace, its operator, and what a user does there."""

    def __init__(self, cluster: DevCluster, namespace: str, operator: Operator) -> None:
        self.cluster, self.namespace, self.operator = cluster, namespace, operator

    def kubectl(self, *arguments: str, check: bool = True, text: str | None = None) -> str:
        done = self.cluster.kubectl("-n", self.namespace, *arguments, input=text, check=check)
        return str(done.stdout)

    def apply(self, manifest: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", text=json.dumps(manifest))

    def patch(self, spec: dict[str, Any], name: str = "search") -> None:
        self.kubectl("patch", "bs", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def items(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        selected = ("-l", selector) if selector else ()
        objects: list[dict[str, Any]] = json.loads(
            self.kubectl("get", kind, "-o", "json", *selected)
        )["items"]
        return objects

    def jobs(self) -> list[dict[str, Any]]:
        return self.items("jobs")

    def status(self, name: str = "search") -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.kubectl("get", "bs", name, "-o", "json")).get(
            "status", {}
        )
        return status

    def condition(self, kind: str, name: str = "search") -> dict[str, Any]:
        conditions = self.status(name).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    def is_over(self, name: str = "search") -> bool:
        return self.status(name).get("phase") in ("Complete", "Failed")

    def wait(self, condition: str, within: float, name: str = "search") -> None:
        """Wait until a search is so, as `kubectl wait --for` says it; it takes no processor."""
        self.kubectl("wait", f"--for={condition}", "bs", name, f"--timeout={within:.0f}s")

    def events(self, reason: str) -> list[str]:
        return [e["message"] for e in self.items("events") if e["reason"] == reason]

    def records(self, name: str = "search") -> list[TrialRecord]:
        selector = f"blockqnn.dev/search={name},app.kubernetes.io/component=history"
        shards = [history.read_shard(item) for item in self.items("configmaps", selector)]
        if not shards:
            return []
        return list(read_lines(history.lines(sorted(shards, key=lambda s: s.number)))[1])


@pytest.fixture(scope="session")
def installed(cluster: DevCluster) -> DevCluster:
    """A cluster that knows the BlockSearch resource and the operator's rights."""
    return install(cluster)


def install(cluster: DevCluster) -> DevCluster:
    """Define the BlockSearch resource in a cluster, and give the operator's user its rights."""
    # Parallel workers of one run do this at the same time; a server-side apply does not mind.
    apply = ("apply", "--server-side", "--force-conflicts")
    cluster.kubectl(*apply, "-f", str(ROOT / "crds"), "-f", str(ROOT / "operator" / "role.yaml"))
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": OPERATOR_USER},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": OPERATOR_USER,
        },
        "subjects": [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": OPERATOR_USER}
        ],
    }
    cluster.kubectl(*apply, "-f", "-", input=json.dumps(binding))
    cluster.wait_for_definitions()
    return cluster


@pytest.fixture
def make_searching(
    installed: DevCluster,
    make_namespace: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[], Searching]]:
    """Return a function that makes a namespace with an operator of its own, not started yet."""
    operators: list[Operator] = []
    # Not where a test keeps its images: the operator has temporary folders there.
    folder = tmp_path_factory.mktemp("operators")

    def make() -> Searching:
        namespace = make_namespace()
        kubeconfig = installed.kubeconfig_for(OPERATOR_USER)
        operator = Operator(kubeconfig, namespace, folder / f"operator-{namespace}.log")
        operators.append(operator)
        return Searching(installed, namespace, operator)

    yield make
    for operator in operators:
        operator.kill()


@pytest.fixture
def searching(make_searching: Callable[[], Searching]) -> Searching:
    """A namespace of the test's own with an operator that serves it."""
    made = make_searching()
    made.operator.start()
    return made
