"""The operator uses every right that the chart grants it, and asks for nothing else.

It runs as the chart's ServiceAccount with the options of the chart's Deployment, against a real API
server that records each of its requests.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helm_command import CHART, Helm, operator_container
from searching import CUSTOM_TRAINER, search_manifest

from blockqnn_devcluster import DevCluster
from blockqnn_devcluster.flags import AUDITED

Eventually = Callable[..., Any]
Right = tuple[str, str]
"""A verb, and what it is used on as ``group/resource``."""

WHILE_SEARCHING = 120.0


def granted(rules: list[dict[str, Any]]) -> set[Right]:
    """What rules allow."""
    return {
        (verb, f"{group}/{resource}")
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def requests(cluster: DevCluster, account: str) -> list[dict[str, Any]]:
    """What the API server recorded of an account."""
    lines = (cluster.logs / "audit.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [entry for entry in found if entry["user"]["username"] == account]


def used(entries: list[dict[str, Any]]) -> set[Right]:
    """The rights that requests made use of; discovery and the version need none of a role."""
    rights = set()
    for entry in entries:
        if "resource" not in entry.get("objectRef", {}):
            continue
        reference = entry["objectRef"]
        parts = (reference["resource"], reference.get("subresource"))
        resource = "/".join(part for part in parts if part)
        rights.add((entry["verb"], f"{reference.get('apiGroup', '')}/{resource}"))
    return rights


class Installed:
    """A release of the chart, and its operator as a process under the release's account."""

    def __init__(self, cluster: DevCluster, helm: Helm, namespace: str, *options: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        helm.install(namespace, *options)
        self.account = f"system:serviceaccount:{namespace}:blockqnn"
        self.arguments = operator_container(helm.rendered(*options, namespace=namespace))["args"]

    @contextmanager
    def operator(self, log: Path) -> Iterator[int]:
        """Run the operator as the Deployment would; yields the port of its probes."""
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", AUDITED)
        kubeconfig = self.cluster.kubeconfig_for(self.account, groups)
        port = free_port()
        own = {"--probe-port": port, "--metrics-port": free_port()}
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
                yield port
            finally:
                process.terminate()
                assert process.wait(30) == 0, log.read_text()

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


FULL_SEARCH = search_manifest(**CUSTOM_TRAINER)
# A Job that stays for its log goes when later ones take its place: one is kept of each kind.
FULL_SEARCH["spec"]["trial"] = FULL_SEARCH["spec"]["trial"] | {
    "retain": {"failed": 1, "succeeded": 1}
}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("cluster_wide", ["true", "false"])
def test_the_operator_uses_every_right_that_it_is_granted_and_is_refused_none(
    cluster: DevCluster,
    helm: Helm,
    namespace: str,
    eventually: Eventually,
    tmp_path: Path,
    cluster_wide: str,
) -> None:
    """A whole search, in a namespace that enforces `restricted`, with somebody else's Job in its
    way."""
    installed = Installed(cluster, helm, namespace, "--set", f"clusterWide={cluster_wide}")
    in_the_way = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "search-t00000-a0"},
        "spec": {"suspend": True, "template": harmless_pod()},
    }
    installed.kubectl("create", "-f", "-", text=json.dumps(in_the_way))
    with installed.operator(tmp_path / "log") as port:
        eventually(lambda: answer(port, "/readyz") == 200)
        assert answer(port, "/healthz") == 200
        installed.kubectl("create", "-f", "-", text=json.dumps(FULL_SEARCH))
        eventually(
            lambda: "belongs to something else" in installed.kubectl("get", "bs", "-o", "yaml")
        )
        installed.kubectl("delete", "job", "search-t00000-a0")
        eventually(lambda: installed.phase() == "Complete", within=WHILE_SEARCHING)

    entries = requests(cluster, installed.account)
    refused = [
        (entry["verb"], entry["requestURI"])
        for entry in entries
        if entry["responseStatus"].get("code") in (401, 403)
    ]
    assert refused == []
    kind = "ClusterRole" if cluster_wide == "true" else "Role"
    name = "blockqnn" if cluster_wide == "true" else f"blockqnn-{namespace}"
    role = json.loads(installed.kubectl("get", kind, name, "-o", "json"))
    assert used(entries) == granted(role["rules"])


def harmless_pod() -> dict[str, Any]:
    """The template of a Pod that fits `restricted`."""
    container = {
        "name": "main",
        "image": "none",
        "command": ["true"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        }
    }


@pytest.mark.usefixtures("untouched")
def test_the_operator_waits_for_the_definition_and_is_not_ready_before(
    cluster: DevCluster, helm: Helm, namespace: str, eventually: Eventually, tmp_path: Path
) -> None:
    """Whatever is installed first: the operator needs no restart."""
    installed = Installed(cluster, helm, namespace, "--set", "crds.install=false")
    log = tmp_path / "log"
    with installed.operator(log) as port:
        eventually(lambda: "does not know the resource blocksearches" in log.read_text())
        assert answer(port, "/healthz") == 200
        assert answer(port, "/readyz") == 503
        definition = CHART / "files" / "blockqnn.dev_blocksearches.yaml"
        cluster.kubectl("create", "-f", str(definition))
        eventually(lambda: answer(port, "/readyz") == 200)
    assert "Traceback" not in log.read_text()


@pytest.mark.usefixtures("untouched")
def test_the_trainer_of_the_chart_trains_where_a_search_names_none(
    cluster: DevCluster, helm: Helm, namespace: str, eventually: Eventually, tmp_path: Path
) -> None:
    options = "registry=registry.example.com/team,trainer.image.tag=v7"
    installed = Installed(cluster, helm, namespace, "--set", options)
    search = search_manifest(
        **{**CUSTOM_TRAINER, "budget": {"trials": 1}, "agent": {"batchSize": 1}}
    )
    with installed.operator(tmp_path / "log"):
        installed.kubectl("create", "-f", "-", text=json.dumps(search))
        image = "jsonpath={.items[*].spec.template.spec.containers[0].image}"
        found = eventually(lambda: installed.kubectl("get", "jobs", "-o", image))
    assert found == "registry.example.com/team/blockqnn-trainer:v7"
