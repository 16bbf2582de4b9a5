"""The operator uses every right that the chart grants it, and asks for nothing else.

It runs as the chart's ServiceAccount with the options of the chart's Deployment, against a real API
server that records each of its requests.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helm_command import CHART, Helm
from release import Installed, answer
from searching import CUSTOM_TRAINER, REAL_TRAINING, search_manifest, trainer_of

from blockqnn_devcluster import DevCluster

Eventually = Callable[..., Any]
Right = tuple[str, str]
"""A verb, and what it is used on as ``group/resource``."""

WHILE_SEARCHING = 120.0


def granted(rules: list[dict[str, Any]]) -> set[Right]:
    """Permissions that rules give."""
    return {
        (verb, f"{group}/{resource}")
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def requests(cluster: DevCluster, account: str) -> list[dict[str, Any]]:
    """Requests of an account that the API server recorded."""
    lines = (cluster.logs / "audit.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [entry for entry in entries if entry["user"]["username"] == account]


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


FULL_SEARCH = search_manifest(**CUSTOM_TRAINER)
# A Job that stays for its log goes when later ones take its place: one is kept of each kind.
FULL_SEARCH["spec"]["trial"] = FULL_SEARCH["spec"]["trial"] | {
    "retain": {"failed": 1, "succeeded": 1}
}
GROUPED = search_manifest(
    "grouped",
    **REAL_TRAINING | {"trial": REAL_TRAINING["trial"] | {"blocksPerJob": 2}},
    budget={"trials": 2},
    agent={"batchSize": 2},
)
PREPARED = search_manifest(
    "prepared",
    dataset={"name": "cifar10", "volume": {"persistentVolumeClaim": {"claimName": "datasets"}}},
)
STOPPED = search_manifest("stopped", suspendPolicy="Stop", trial=trainer_of("sleep", "600"))


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
    """Whole searches of each kind, in a namespace that enforces `restricted`."""
    installed = Installed(cluster, helm, namespace, "--set", f"clusterWide={cluster_wide}")
    with installed.operator(tmp_path / "log") as ports:
        eventually(lambda: answer(ports.probes, "/readyz") == 200)
        search_with_somebody_elses_job_in_the_way(installed, eventually)
        search_with_several_blocks_in_a_job(installed, eventually)
        search_that_is_stopped(installed, eventually)
        search_that_prepares_its_dataset(installed, eventually)

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


def search_with_somebody_elses_job_in_the_way(installed: Installed, eventually: Eventually) -> None:
    in_the_way = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "search-t00000-a0"},
        "spec": {"suspend": True, "template": harmless_pod()},
    }
    installed.kubectl("create", "-f", "-", text=json.dumps(in_the_way))
    installed.kubectl("create", "-f", "-", text=json.dumps(FULL_SEARCH))
    eventually(lambda: "belongs to something else" in installed.kubectl("get", "bs", "-o", "yaml"))
    installed.kubectl("delete", "job", "search-t00000-a0")
    eventually(lambda: installed.phase() == "Complete", within=WHILE_SEARCHING)


def search_with_several_blocks_in_a_job(installed: Installed, eventually: Eventually) -> None:
    installed.kubectl("create", "-f", "-", text=json.dumps(GROUPED))
    eventually(lambda: installed.phase("grouped") == "Complete", within=WHILE_SEARCHING)


def search_that_is_stopped(installed: Installed, eventually: Eventually) -> None:
    of_it = ("get", "jobs", "-l", "blockqnn.dev/search=stopped", "-o", "json")

    def jobs() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(installed.kubectl(*of_it))["items"]
        return items

    installed.kubectl("create", "-f", "-", text=json.dumps(STOPPED))
    running = eventually(jobs)
    for job in running:
        pod = job["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert "serviceAccountName" not in pod
    suspend = json.dumps({"spec": {"suspend": True}})
    installed.kubectl("patch", "bs", "stopped", "--type=merge", "-p", suspend)
    eventually(lambda: not jobs())


def search_that_prepares_its_dataset(installed: Installed, eventually: Eventually) -> None:
    """There is no volume: the Job waits for it, and goes with its search."""
    preparation = ("get", "jobs", "-l", "app.kubernetes.io/name=blockqnn-preparation", "-o", "name")
    installed.kubectl("create", "-f", "-", text=json.dumps(PREPARED))
    eventually(lambda: installed.kubectl(*preparation))
    installed.kubectl("delete", "bs", "prepared")
    eventually(lambda: not installed.kubectl(*preparation))


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
    with installed.operator(log) as ports:
        eventually(lambda: "does not know the resource blocksearches" in log.read_text())
        assert answer(ports.probes, "/healthz") == 200
        assert answer(ports.probes, "/readyz") == 503
        definition = CHART / "files" / "blockqnn.dev_blocksearches.yaml"
        cluster.kubectl("create", "-f", str(definition))
        eventually(lambda: answer(ports.probes, "/readyz") == 200)
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
        image_names = eventually(lambda: installed.kubectl("get", "jobs", "-o", image))
    assert image_names == "registry.example.com/team/blockqnn-trainer:v7"
