"""Fixtures for tests of the chart: the real Helm, and a cluster that knows nothing of BlockQNN."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helm_command import Helm
from waiting import waiting

from blockqnn_devcluster import DevCluster
from blockqnn_devcluster.build import ensure_programs
from blockqnn_devcluster.programs import HELM
from blockqnn_devcluster.sources import module_sources

Eventually = Callable[..., Any]
DEFINITIONS = "example/prometheus-operator-crd/monitoring.coreos.com_{}.yaml"


@pytest.fixture(scope="session")
def helm_program() -> Path:
    """The real Helm, built where the cache has none."""
    return ensure_programs(lambda line: print(line, file=sys.stderr), HELM) / "helm"


@pytest.fixture
def offline(helm_program: Path, tmp_path: Path) -> Helm:
    """Helm without a cluster."""
    return Helm(helm_program, tmp_path / "helm", tmp_path / "no-kubeconfig")


@pytest.fixture(scope="session")
def cluster() -> Iterator[DevCluster]:
    """A cluster of these tests alone: nobody else may define BlockSearches in it."""
    with DevCluster.start(f"chart-{uuid.uuid4().hex[:8]}") as started:
        yield started


@pytest.fixture
def helm(helm_program: Path, tmp_path: Path, cluster: DevCluster) -> Helm:
    """Helm as the cluster's administrator."""
    return Helm(helm_program, tmp_path / "helm", cluster.kubeconfig)


@pytest.fixture(scope="session")
def monitored(cluster: DevCluster) -> DevCluster:
    """A cluster that knows the kinds of the Prometheus operator, by its own definitions."""
    sources = module_sources(lambda line: print(line, file=sys.stderr), "prometheus-operator")
    for kind in ("servicemonitors", "prometheusrules"):
        definition = str(sources / DEFINITIONS.format(kind))
        cluster.kubectl("apply", "--server-side", "-f", definition)
    cluster.wait_for_definitions()
    return cluster


@pytest.fixture
def make_namespace(cluster: DevCluster, eventually: Eventually) -> Iterator[Callable[[], str]]:
    """Return a function that makes a namespace with the Pod Security Standard `restricted`."""
    made: list[str] = []

    def make() -> str:
        name = f"chart-{uuid.uuid4().hex[:8]}"
        # A Pod that does not fit is refused; a template of such Pods is warned of.
        labels = {
            f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")
        }
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        }
        cluster.kubectl("create", "-f", "-", input=json.dumps(manifest))
        made.append(name)
        account = ("get", "serviceaccount", "default", "-n", name)
        eventually(lambda: cluster.kubectl(*account, check=False).returncode == 0)
        return name

    yield make
    for name in made:
        cluster.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def namespace(make_namespace: Callable[[], str]) -> str:
    """A namespace that enforces the Pod Security Standard `restricted`."""
    return make_namespace()


@pytest.fixture
def untouched(cluster: DevCluster, helm: Helm, eventually: Eventually) -> Iterator[None]:
    """A cluster without any release and without the definition, which the test leaves as it was."""

    yield
    releases = json.loads(helm("list", "-A", "-a", "-o", "json"))
    for release in releases:
        helm("uninstall", release["name"], "-n", release["namespace"], "--ignore-not-found")
    kinds = "crd,clusterrole,clusterrolebinding"
    cluster.kubectl("delete", kinds, "-l", "app.kubernetes.io/part-of=blockqnn")
    crd = "crd/blocksearches.blockqnn.dev"
    cluster.kubectl("delete", crd, "--ignore-not-found")
    cluster.kubectl("wait", "--for=delete", crd, "--timeout=60s")


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Wait until a condition is true, and return its value; fail with its last value."""
    return waiting(90.0, 0.1)
