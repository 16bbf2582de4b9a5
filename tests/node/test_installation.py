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
from repository_paths import ROOT
from searching import Searching, search_manifest

from blockqnn.contract.message import Outcome
from blockqnn_devcluster import DevCluster
from blockqnn_devcluster.build import ensure_programs
from blockqnn_devcluster.nodes import NodeKind
from blockqnn_devcluster.programs import HELM

pytestmark = pytest.mark.timeout(900)

TAG = os.environ.get("TAG", "dev")
IMAGES = (f"localhost/blockqnn-operator:{TAG}", f"localhost/blockqnn-trainer:{TAG}")
SYSTEM = "blockqnn-system"
RESEARCH = "research"
GPUS = 2
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
BATCH = 4
ENDLESS = 500
"""Trials of a search that no machine ends before the story has been told: then it gets fewer."""
TRAINED_WITHIN = 300.0
"""Seconds for the next trial to end: one takes about ten, nearly all of them torch's import."""

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

    def tell(self) -> None:
        """Print what explains a failure: the cluster goes with the test run."""
        for what in (("pods", "-o", "wide"), ("events", "--sort-by=.lastTimestamp")):
            print(self.cluster.kubectl("get", *what, "-A", check=False).stdout)
        for log in sorted((self.cluster.logs / "pods").glob("*/*/*.log")):
            lines = log.read_text(errors="replace").splitlines()
            print(f"--- {log.relative_to(self.cluster.logs)}", *lines[-40:], sep="\n")

    def finished(self) -> int:
        return int(self.searching.status().get("progress", "0/").partition("/")[0])


def load(cluster: DevCluster, image: str) -> None:
    """Give the node an image, straight from the store of what built it."""
    save = [str(ROOT / "devcluster/images/save.sh"), image]
    with subprocess.Popen(save, stdout=subprocess.PIPE) as saving:
        assert saving.stdout is not None
        cluster.load_images(saving.stdout)
    assert saving.returncode == 0, f"{image} could not be saved: does `make images` build it?"


@pytest.fixture(scope="module")
def installation(request: pytest.FixtureRequest) -> Iterator[Installation]:
    """A cluster whose node has both images and says that it has GPUs."""
    helm = ensure_programs(lambda line: print(line, file=sys.stderr), HELM) / "helm"
    with DevCluster.start(f"story-{os.getpid()}", node=NodeKind.CONTAINER) as cluster:
        for image in IMAGES:
            load(cluster, image)
        capacity = {"status": {"capacity": {"nvidia.com/gpu": str(GPUS)}}}
        cluster.kubectl("patch", "node", str(cluster.node), "--subresource=status",
                        "-p", json.dumps(capacity))  # fmt: skip
        for namespace in (SYSTEM, RESEARCH):
            cluster.kubectl("create", "namespace", namespace)
            cluster.kubectl("label", "namespace", namespace, RESTRICTED)
        installation = Installation(cluster, helm)
        yield installation
        if request.session.testsfailed:
            installation.tell()


def test_helm_install_brings_up_the_operator_under_its_own_account(installation):
    chart = str(ROOT / "helm" / "blockqnn")
    installation.helm("install", "blockqnn", chart, "-n", SYSTEM, *VALUES,
                      "--wait", "--timeout=180s")  # fmt: skip
    pod = installation.operator_pod()
    assert pod["spec"]["serviceAccountName"] == "blockqnn"
    assert pod["spec"]["containers"][0]["image"] == IMAGES[0]
    address = f"/api/v1/namespaces/{SYSTEM}/services/blockqnn:metrics/proxy/metrics"
    assert "blockqnn_" in installation.cluster.kubectl("get", "--raw", address).stdout


def test_helm_test_finds_the_installation_well(installation):
    output = installation.helm("test", "blockqnn", "-n", SYSTEM, "--timeout=120s")
    assert "Phase:          Succeeded" in output


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
            budget={"trials": ENDLESS},
            agent={"batchSize": BATCH},
            parallelism=GPUS,
        )
    )
    pods = eventually(
        lambda: installation.get(RESEARCH, "pods", "-l", "blockqnn.dev/search=search")
    )
    (container,) = pods[0]["spec"]["containers"]
    assert container["image"] == IMAGES[1]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert not any(v["mountPath"].startswith("/var/run/secrets") for v in container["volumeMounts"])
    eventually(lambda: installation.finished() >= 2, within=TRAINED_WITHIN)


def test_helm_upgrade_in_the_middle_of_a_search_lets_it_go_on(installation, eventually):
    chart = str(ROOT / "helm" / "blockqnn")
    before = installation.operator_pod()["metadata"]["uid"]
    installation.helm("upgrade", "blockqnn", chart, "-n", SYSTEM, *VALUES,
                      "--set", "operator.resyncSeconds=60", "--wait", "--timeout=180s")  # fmt: skip
    assert installation.operator_pod()["metadata"]["uid"] != before
    done = installation.finished()
    eventually(lambda: installation.finished() > done, within=TRAINED_WITHIN)


def test_a_killed_operator_comes_back_and_goes_on(installation, eventually):
    done, name = installation.finished(), installation.operator_pod()["metadata"]["name"]
    installation.cluster.kubectl("delete", "pod", name, "-n", SYSTEM, "--grace-period=0", "--force")
    eventually(installation.operator_is_ready, within=120)
    eventually(lambda: installation.finished() > done, within=TRAINED_WITHIN)


def test_a_drained_node_interrupts_trials_and_fails_none(installation, eventually):
    node = str(installation.cluster.node)
    installation.cluster.kubectl(
        "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"
    )
    running = ("--field-selector=status.phase=Running",)
    assert not installation.get(RESEARCH, "pods", *running)
    assert not installation.get(SYSTEM, "pods", *running)
    done = installation.finished()
    installation.cluster.kubectl("uncordon", node)
    eventually(installation.operator_is_ready, within=120)
    eventually(lambda: installation.finished() > done, within=TRAINED_WITHIN)


def test_a_lowered_budget_ends_the_search_with_every_trial_once(installation, eventually):
    trials = installation.finished() + 3 * BATCH
    installation.searching.patch({"budget": {"trials": trials}})
    eventually(installation.searching.is_over, within=TRAINED_WITHIN)
    status, records = installation.searching.status(), installation.searching.records()
    assert status["phase"] == "Complete", status
    assert [record.trial for record in records] == list(range(trials))
    outcomes = {record.outcome for record in records}
    assert outcomes <= {Outcome.SUCCEEDED, Outcome.CACHED, Outcome.INFEASIBLE}, records
    trained = [record for record in records if record.outcome is Outcome.SUCCEEDED]
    assert len(trained) >= trials // 2
    # Ten classes: a network that learned nothing is right once in ten times.
    assert status["best"]["accuracy"] > 0.5
    assert all(record.gpus == 1 for record in trained)


GREEDY = """
import json, os
trial = json.loads(os.environ["BLOCKQNN_TRIAL"])
from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
result = {"version": 1, "trial": trial["trial"], "attempt": trial["attempt"],
          "blockHash": canonical_hash(Block.parse(trial["block"])),
          "outcome": "Failed", "reason": "Killed", "message": "It was killed."}
open("/dev/termination-log", "w").write(json.dumps(result))
bytes([1]) * 10**9
"""
"""A trainer that says, as the contract asks, that it has begun, and then takes too much memory."""


def few_with_little_memory(name: str, memory: str, **spec: Any) -> dict[str, Any]:
    """A search of two trials that have too little memory for their blocks."""
    limits = {"nvidia.com/gpu": 1, "memory": memory}
    trial = {"resources": {"requests": {"cpu": "500m"}, "limits": limits}}
    return search_manifest(
        name,
        trial=trial | spec.pop("trial", {}),
        agent={"batchSize": GPUS},
        budget={"trials": GPUS},
        **spec,
    )


def no_results(installation: Installation, name: str) -> bool:
    conditions = installation.searching.status(name)["conditions"]
    (failed,) = (c for c in conditions if c["type"] == "Failed")
    return bool((failed["status"], failed["reason"]) == ("True", "NoResults"))


def test_a_trial_that_needs_more_memory_than_it_has_is_infeasible(installation, eventually):
    installation.searching.apply(
        few_with_little_memory(
            "large",
            "768Mi",
            network={"filters": [1024, 1024], "repeats": 4},
            training={"epochs": 1, "batchSize": 256},
        )
    )
    eventually(lambda: installation.searching.is_over("large"), within=TRAINED_WITHIN)
    assert no_results(installation, "large"), "a search without an accuracy has failed"
    outcomes = [
        (record.outcome, record.reason) for record in installation.searching.records("large")
    ]
    assert outcomes == [(Outcome.INFEASIBLE, "OutOfMemory")] * GPUS


def test_a_trial_that_the_kernel_kills_for_its_memory_is_infeasible(installation, eventually):
    """Our trainer limits itself, and so reports the end of its memory; this one does not."""
    greedy = {"name": "trainer", "command": ["python", "-c", GREEDY]}
    installation.searching.apply(
        few_with_little_memory(
            "greedy", "256Mi", trial={"podTemplate": {"spec": {"containers": [greedy]}}}
        )
    )
    eventually(lambda: installation.searching.is_over("greedy"), within=TRAINED_WITHIN)
    assert no_results(installation, "greedy"), "a search without an accuracy has failed"
    outcomes = [
        (record.outcome, record.reason) for record in installation.searching.records("greedy")
    ]
    assert outcomes == [(Outcome.INFEASIBLE, "OutOfMemory")] * GPUS


def test_the_trainers_image_leaves_a_model_and_measures_it_in_every_form(installation, eventually):
    spec = (ROOT / "examples/finalists/digits.json").read_text()
    confined = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    container = {
        "name": "finalist",
        "image": IMAGES[1],
        "imagePullPolicy": "Never",
        "command": [
            "sh", "-c", "cd /tmp && mkdir models && blockqnn-train finalist "
            "&& blockqnn-train load models/digits/shortcut",
        ],
        "env": [
            {"name": "BLOCKQNN_FINALIST", "value": spec},
            {"name": "OMP_NUM_THREADS", "value": "1"},
        ],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "securityContext": confined,
    }  # fmt: skip
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "finalist"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            # A user that nobody gave a name, as OpenShift chooses them.
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000660000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "containers": [container],
        },
    }
    installation.searching.kubectl("create", "-f", "-", text=json.dumps(pod))

    def phase() -> str:
        get = ("get", "pod", "finalist", "-o", "jsonpath={.status.phase}")
        return installation.searching.kubectl(*get)

    eventually(lambda: phase() in ("Succeeded", "Failed"), within=TRAINED_WITHIN)
    logs = installation.searching.kubectl("logs", "finalist")
    assert phase() == "Succeeded", logs
    assert "onnx" in logs.lower()


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
