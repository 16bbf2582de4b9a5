"""From `helm install` to the last namespace gone: the images, the chart and a search, all real.

The tests are the chapters of one story, told in this order on one cluster: each needs what the ones
before it did. `make test-node` builds the images first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from searching import Searching, search_manifest

from blockqnn.contract import Outcome
from blockqnn_devcluster import DevCluster
from blockqnn_devcluster.build import ensure_programs
from blockqnn_devcluster.nodes import NodeKind
from blockqnn_devcluster.programs import HELM

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).resolve().parents[2]
TAG = os.environ.get("TAG", "dev")
IMAGES = (f"localhost/blockqnn-operator:{TAG}", f"localhost/blockqnn-trainer:{TAG}")
SYSTEM = "blockqnn-system"
RESEARCH = "research"
GPUS = 2
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
TRIALS = 12
TRAINED_WITHIN = 600.0
"""Seconds for the whole search: a trial takes about ten, nearly all of them torch's import."""

VALUES = (
    "--set", f"registry=localhost,image.tag={TAG},trainer.image.tag={TAG}",
    "--set", "image.pullPolicy=Never,operator.logLevel=DEBUG",
)  # fmt: skip


class Installation:
    """The cluster, Helm, and what a user of both does."""

    def __init__(self, cluster: DevCluster, helm: Path) -> None:
        self.cluster, self._helm = cluster, helm
        self.searching = Searching(cluster, RESEARCH, operator=None)  # type: ignore[arg-type]

    def helm(self, *arguments: str) -> str:
        home = self.cluster.directory / "helm"
        homes = {f"HELM_{name}_HOME": str(home / name) for name in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(
            [str(self._helm), *arguments],
            env=os.environ | self.cluster.environment | homes,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, namespace: str, kind: str, *options: str) -> list[dict[str, Any]]:
        done = self.cluster.kubectl("get", kind, "-n", namespace, "-o", "json", *options)
        items: list[dict[str, Any]] = json.loads(done.stdout)["items"]
        return items

    def operator_pod(self) -> dict[str, Any]:
        (pod,) = self.get(SYSTEM, "pods", "-l", "app.kubernetes.io/name=blockqnn-operator")
        return pod

    def operator_is_ready(self) -> bool:
        pods = self.get(SYSTEM, "pods", "-l", "app.kubernetes.io/name=blockqnn-operator")
        return len(pods) == 1 and any(
            c["type"] == "Ready" and c["status"] == "True"
            for c in pods[0]["status"].get("conditions", [])
        )

    def finished(self) -> int:
        return int(self.searching.status().get("progress", "0/").partition("/")[0])


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A cluster whose node has both images and says that it has GPUs."""
    helm = ensure_programs(lambda line: print(line, file=sys.stderr), HELM) / "helm"
    with DevCluster.start(f"story-{os.getpid()}", node=NodeKind.CONTAINER) as cluster:
        archive = tmp_path_factory.mktemp("images") / "image.tar"
        for image in IMAGES:
            subprocess.run([ROOT / "devcluster/images/save.sh", image, archive], check=True)
            cluster.load_images(archive)
            archive.unlink()
        capacity = {"status": {"capacity": {"nvidia.com/gpu": str(GPUS)}}}
        cluster.kubectl("patch", "node", str(cluster.node), "--subresource=status",
                        "-p", json.dumps(capacity))  # fmt: skip
        for namespace in (SYSTEM, RESEARCH):
            cluster.kubectl("create", "namespace", namespace)
            cluster.kubectl("label", "namespace", namespace, RESTRICTED)
        yield Installation(cluster, helm)


def test_helm_install_brings_up_the_operator_under_its_own_account(installation):
    chart = str(ROOT / "helm" / "blockqnn")
    installation.helm("install", "blockqnn", chart, "-n", SYSTEM, *VALUES,
                      "--wait", "--timeout=180s")  # fmt: skip
    pod = installation.operator_pod()
    assert pod["spec"]["serviceAccountName"] == "blockqnn"
    assert pod["spec"]["containers"][0]["image"] == IMAGES[0]
    address = f"/api/v1/namespaces/{SYSTEM}/services/blockqnn:metrics/proxy/metrics"
    assert "blockqnn_" in installation.cluster.kubectl("get", "--raw", address).stdout


def test_trials_train_on_the_nodes_gpus_in_a_restricted_namespace(installation, eventually):
    installation.searching.apply(
        search_manifest(
            network={"filters": [8], "repeats": 1},
            training={"epochs": 6, "batchSize": 32, "optimizer": {"learningRate": 0.01}},
            trial={
                "resources": {
                    "requests": {"cpu": "500m"},
                    "limits": {"nvidia.com/gpu": 1, "memory": "2Gi"},
                }
            },
            budget={"trials": TRIALS},
            parallelism=GPUS,
        )
    )
    pods = eventually(lambda: installation.get(RESEARCH, "pods", "-l", "blockqnn.dev/trial"))
    (container,) = pods[0]["spec"]["containers"]
    assert container["image"] == IMAGES[1]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert not any(v["mountPath"].startswith("/var/run/secrets") for v in container["volumeMounts"])
    eventually(lambda: installation.finished() >= 2, within=TRAINED_WITHIN)


def test_helm_upgrade_in_the_middle_of_a_search_lets_it_go_on(installation, eventually):
    chart = str(ROOT / "helm" / "blockqnn")
    before, done = installation.operator_pod()["metadata"]["uid"], installation.finished()
    installation.helm("upgrade", "blockqnn", chart, "-n", SYSTEM, *VALUES,
                      "--set", "operator.resyncSeconds=60", "--wait", "--timeout=180s")  # fmt: skip
    assert installation.operator_pod()["metadata"]["uid"] != before
    assert done < TRIALS, "the search was over before the upgrade"
    eventually(lambda: installation.finished() > done, within=TRAINED_WITHIN)


def test_a_killed_operator_comes_back_and_goes_on(installation, eventually):
    done, name = installation.finished(), installation.operator_pod()["metadata"]["name"]
    assert done < TRIALS, "the search was over before the operator was killed"
    installation.cluster.kubectl("delete", "pod", name, "-n", SYSTEM, "--grace-period=0", "--force")
    eventually(installation.operator_is_ready, within=120)
    eventually(lambda: installation.finished() > done, within=TRAINED_WITHIN)


def test_a_drained_node_interrupts_trials_and_fails_none(installation, eventually):
    node = str(installation.cluster.node)
    assert installation.finished() < TRIALS, "the search was over before the node was drained"
    installation.cluster.kubectl(
        "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"
    )
    running = ("--field-selector=status.phase=Running",)
    assert not installation.get(RESEARCH, "pods", *running)
    assert not installation.get(SYSTEM, "pods", *running)
    done = installation.finished()
    assert done < TRIALS
    installation.cluster.kubectl("uncordon", node)
    eventually(installation.operator_is_ready, within=120)
    eventually(lambda: installation.finished() > done, within=TRAINED_WITHIN)


def test_the_search_ends_with_every_trial_once_and_real_accuracies(installation, eventually):
    eventually(installation.searching.is_over, within=TRAINED_WITHIN)
    status, records = installation.searching.status(), installation.searching.records()
    assert status["phase"] == "Complete", status
    assert [record.trial for record in records] == list(range(TRIALS))
    outcomes = {record.outcome for record in records}
    assert outcomes <= {Outcome.SUCCEEDED, Outcome.CACHED, Outcome.INFEASIBLE}, records
    trained = [record for record in records if record.outcome is Outcome.SUCCEEDED]
    assert len(trained) >= TRIALS // 2
    # Ten classes: a network that learned nothing is right once in ten times.
    assert status["best"]["accuracy"] > 0.5
    assert all(record.gpus == 1 for record in trained)


def test_a_trial_that_needs_more_memory_than_it_has_is_infeasible(installation, eventually):
    installation.searching.apply(
        search_manifest(
            "large",
            network={"filters": [1024, 1024], "repeats": 4},
            training={"epochs": 1, "batchSize": 256},
            trial={
                "resources": {
                    "requests": {"cpu": "500m"},
                    "limits": {"nvidia.com/gpu": 1, "memory": "768Mi"},
                }
            },
            agent={"batchSize": 2},
            budget={"trials": 2},
        )
    )
    eventually(lambda: installation.searching.is_over("large"), within=TRAINED_WITHIN)
    assert installation.searching.status("large")["phase"] == "Complete"
    found = [(record.outcome, record.reason) for record in installation.searching.records("large")]
    assert (Outcome.INFEASIBLE, "OutOfMemory") in found


def test_uninstalling_and_deleting_the_namespaces_leaves_nothing(installation, eventually):
    cluster = installation.cluster
    installation.helm("uninstall", "blockqnn", "-n", SYSTEM, "--wait", "--timeout=120s")
    definition = "customresourcedefinition.apiextensions.k8s.io/blocksearches.blockqnn.dev"
    assert installation.get(RESEARCH, "blocksearches"), "searches outlive the release"
    # With nobody there to serve them, nothing may wait for somebody who does.
    cluster.kubectl("delete", "namespace", RESEARCH, SYSTEM, "--timeout=120s")
    everywhere = ("-l", "app.kubernetes.io/part-of=blockqnn", "-A", "-o", "name")
    kinds = "clusterroles,clusterrolebindings,customresourcedefinitions"
    assert cluster.kubectl("get", kinds, *everywhere).stdout.split() == [definition]
    cluster.kubectl("delete", definition, "--timeout=60s")
    assert not cluster.kubectl("get", "pods,jobs,configmaps", *everywhere).stdout
