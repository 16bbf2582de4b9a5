"""Installing, upgrading and uninstalling in any order: nothing is left, nothing is stuck."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_command import CHART, CI_VALUES, Helm, HelmError
from release import Installed
from searching import search_manifest, trainer_of

from blockqnn_devcluster import DevCluster

Eventually = Callable[..., Any]
CRD = "crd/blocksearches.blockqnn.dev"
DEFINITION = "customresourcedefinition.apiextensions.k8s.io/blocksearches.blockqnn.dev"
SEARCH = json.dumps(search_manifest())
SLEEPING = json.dumps(search_manifest(trial=trainer_of("sleep", "600")))

pytestmark = pytest.mark.usefixtures("untouched")


def remaining_objects(cluster: DevCluster, *namespaces: str) -> set[str]:
    """Objects with the labels of a release, as kind/name; Helm's own records too."""
    object_names: set[str] = set()
    for namespace in namespaces:
        for selector in ("app.kubernetes.io/part-of=blockqnn", "owner=helm"):
            options = ("-n", namespace, "-l", selector, "-o", "name")
            done = cluster.kubectl("get", listable(cluster), *options, check=False)
            if done.returncode and "blocksearches" in done.stderr:
                return {"the definition, which goes just now"}
            assert done.returncode == 0, done.stderr
            object_names |= set(done.stdout.split())
    return object_names


def listable(cluster: DevCluster) -> str:
    """Every kind that can be listed and deleted, of the whole cluster too."""
    kinds = json.loads(cluster.kubectl("api-resources", "-o", "json").stdout)["resources"]
    return ",".join(
        f"{kind['name']}.{kind['group']}" if kind.get("group") else kind["name"]
        for kind in kinds
        if {"list", "delete"} <= set(kind["verbs"]) and kind["name"] != "events"
    )


def exists(cluster: DevCluster, what: str, *options: str) -> bool:
    return cluster.kubectl("get", what, *options, check=False).returncode == 0


def apply_search(cluster: DevCluster, namespace: str, search: str = SEARCH) -> None:
    cluster.wait_for_definitions()
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=search)


def test_the_operators_pod_is_let_into_a_namespace_that_enforces_restricted(
    cluster: DevCluster, helm: Helm, namespace: str, eventually: Eventually
) -> None:
    helm.install(namespace)
    pods = ("get", "pods", "-n", namespace, "-o", "json")
    (pod,) = eventually(lambda: json.loads(cluster.kubectl(*pods).stdout)["items"])
    assert pod["spec"]["serviceAccountName"] == "blockqnn"
    (container,) = pod["spec"]["containers"]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted == {"/tmp", "/var/run/secrets/kubernetes.io/serviceaccount"}


REFUSED = {
    "registy=x": "additional properties 'registy' not allowed",
    "podDisruptionBudget.enabled=true,podDisruptionBudget.minAvailable=1,"
    "podDisruptionBudget.maxUnavailable=1": "podDisruptionBudget has both",
    "image.repository=": "image.repository is empty: name the image",
    "namespaces={one,two}": "set clusterWide=false to serve these namespaces only",
}


@pytest.mark.parametrize(("values", "sentence"), REFUSED.items())
def test_bad_values_install_nothing(
    cluster: DevCluster, helm: Helm, namespace: str, values: str, sentence: str
) -> None:
    """Helm stops before it writes anything, its own record included; test_rendering.py has more."""
    with pytest.raises(HelmError) as refused:
        helm("install", "blockqnn", str(CHART), "-n", namespace, "--set", values)
    assert sentence in str(refused.value)
    assert remaining_objects(cluster, namespace) == set()


def test_uninstalling_leaves_the_searches_and_their_definition_and_nothing_else(
    cluster: DevCluster, helm: Helm, make_namespace: Callable[[], str], eventually: Eventually
) -> None:
    """With everything on that this cluster knows the kinds of, in two served namespaces."""
    namespace, served = make_namespace(), make_namespace()
    helm.install(
        namespace,
        "--set", f"clusterWide=false,namespaces={{{namespace},{served}}},dashboards.enabled=true",
        "--set", "networkPolicy.enabled=true,networkPolicy.trials.enabled=true",
        "--set", "podDisruptionBudget.enabled=true",
    )  # fmt: skip
    role = f"role.rbac.authorization.k8s.io/blockqnn-{namespace}"
    assert role in remaining_objects(cluster, served)
    apply_search(cluster, served)
    helm.uninstall(namespace)
    eventually(lambda: remaining_objects(cluster, namespace, served) == {DEFINITION})
    assert exists(cluster, "blocksearch/search", "-n", served)


def test_a_release_comes_back_to_the_searches_that_it_left(
    cluster: DevCluster, helm: Helm, namespace: str
) -> None:
    helm.install(namespace)
    apply_search(cluster, namespace)
    helm.uninstall(namespace)
    helm.install(namespace)
    assert exists(cluster, "blocksearch/search", "-n", namespace)


def test_without_keeping_the_definition_nothing_at_all_is_left(
    cluster: DevCluster, helm: Helm, namespace: str, eventually: Eventually
) -> None:
    helm.install(namespace, "--set", "crds.keep=false")
    apply_search(cluster, namespace)
    helm.uninstall(namespace)
    eventually(lambda: remaining_objects(cluster, namespace) == set())


def test_the_namespace_first_and_a_new_release_takes_up_what_is_left(
    cluster: DevCluster, helm: Helm, namespace: str, eventually: Eventually
) -> None:
    """Helm's record goes with the namespace; what belongs to the whole cluster stays, and the next
    release of that name in a namespace of that name adopts it."""
    helm.install(namespace, "--set", "crds.keep=false")
    apply_search(cluster, namespace)
    cluster.kubectl("delete", "namespace", namespace, "--timeout=60s")
    assert exists(cluster, "clusterrole/blockqnn")
    helm.install(namespace, "--create-namespace", "--set", "crds.keep=false")
    helm.uninstall(namespace)
    eventually(lambda: remaining_objects(cluster, namespace) == set())


REMOVALS = ("release", "definition", "searches' namespace")


@pytest.mark.parametrize("order", list(permutations(REMOVALS)), ids=", ".join)
def test_whatever_goes_first_nothing_is_left_and_nothing_is_stuck(
    cluster: DevCluster,
    helm: Helm,
    make_namespace: Callable[[], str],
    eventually: Eventually,
    tmp_path: Path,
    order: tuple[str, ...],
) -> None:
    """A search runs, its trials sleep, and its operator goes with the release."""
    installed = Installed(cluster, helm, make_namespace())
    searched = make_namespace()
    with ExitStack() as running:
        log = tmp_path / "log"
        running.enter_context(installed.operator(log, outlives_the_definition=True))
        apply_search(cluster, searched, SLEEPING)
        trials = ("get", "pods", "-n", searched, "-l", "blockqnn.dev/search", "-o", "name")
        eventually(lambda: cluster.kubectl(*trials).stdout)
        for what in order:
            match what:
                case "release":
                    running.close()
                    helm.uninstall(installed.namespace)
                case "definition":
                    cluster.kubectl("delete", CRD, "--timeout=30s")
                case _:
                    cluster.kubectl("delete", "namespace", searched, "--timeout=90s")
    assert not exists(cluster, f"namespace/{searched}")
    eventually(lambda: remaining_objects(cluster, installed.namespace) == set())


def older_chart(folder: Path) -> Path:
    """The chart as it might have been before a field was added to the definition."""
    shutil.copytree(CHART, folder)
    definition = folder / "files" / "blockqnn.dev_blocksearches.yaml"
    body = yaml.safe_load(definition.read_text())
    schema = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["suspendPolicy"]
    schema["properties"]["spec"].pop("x-kubernetes-validations", None)
    definition.write_text("# Older.\n" + yaml.safe_dump(body, sort_keys=False))
    about = folder / "Chart.yaml"
    about.write_text(about.read_text().replace("version: 0.1.0", "version: 0.0.9", 1))
    return folder


def test_an_upgrade_brings_a_newer_definition_and_keeps_the_searches(
    cluster: DevCluster, helm: Helm, namespace: str, tmp_path: Path
) -> None:
    helm.install(namespace, chart=older_chart(tmp_path / "older"))
    apply_search(cluster, namespace)
    field = "jsonpath={.spec.versions[0].schema..properties.spec.properties.suspendPolicy.type}"
    assert cluster.kubectl("get", CRD, "-o", field).stdout == ""
    helm.install(namespace)
    assert cluster.kubectl("get", CRD, "-o", field).stdout == "string"
    assert exists(cluster, "blocksearch/search", "-n", namespace)
    helm("rollback", "blockqnn", "1", "-n", namespace)
    assert exists(cluster, "blocksearch/search", "-n", namespace)


@pytest.mark.usefixtures("monitored")
def test_each_switch_can_be_turned_in_a_release_that_is_there(
    cluster: DevCluster, helm: Helm, namespace: str, eventually: Eventually
) -> None:
    """From each values file to the next: nothing that is fixed stands in the way."""
    for values in CI_VALUES:
        helm.install(namespace, "-f", str(values))
    helm.install(namespace)
    helm.uninstall(namespace)
    everywhere = (namespace, "default", "kube-public")
    eventually(lambda: remaining_objects(cluster, *everywhere) == {DEFINITION})


def test_an_upgrade_to_one_namespace_takes_back_the_rights_in_all(
    cluster: DevCluster, helm: Helm, namespace: str
) -> None:
    helm.install(namespace)
    assert exists(cluster, "clusterrolebinding/blockqnn")
    helm.install(namespace, "--set", "clusterWide=false")
    assert not exists(cluster, "clusterrolebinding/blockqnn")
    assert not exists(cluster, "clusterrole/blockqnn")
    assert exists(cluster, f"role/blockqnn-{namespace}", "-n", namespace)


def test_two_teams_have_a_release_each(
    cluster: DevCluster, helm: Helm, make_namespace: Callable[[], str]
) -> None:
    first, second = make_namespace(), make_namespace()
    helm.install(first, "--set", "clusterWide=false")
    helm.install(second, "--set", "clusterWide=false,crds.install=false")
    helm.uninstall(first)
    assert exists(cluster, "deployment/blockqnn", "-n", second)
    assert exists(cluster, f"clusterrole/blockqnn-{second}-edit")
    assert exists(cluster, CRD)


def test_a_definition_that_was_applied_by_hand_is_taken_over_when_told_to(
    cluster: DevCluster, helm: Helm, namespace: str
) -> None:
    definition = CHART / "files" / "blockqnn.dev_blocksearches.yaml"
    cluster.kubectl("apply", "--server-side", "-f", str(definition))
    with pytest.raises(HelmError, match="invalid ownership metadata"):
        helm.install(namespace)
    helm.install(namespace, "--take-ownership")
    assert exists(cluster, "deployment/blockqnn", "-n", namespace)


def test_a_package_installs_without_a_repository(
    cluster: DevCluster, helm: Helm, namespace: str, tmp_path: Path
) -> None:
    helm("package", str(CHART), "-d", str(tmp_path))
    (package,) = tmp_path.glob("*.tgz")
    helm.install(namespace, "--set", "registry=", chart=package)
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    result = cluster.kubectl("get", "deployment", "blockqnn", "-n", namespace, "-o", image)
    assert result.stdout == "blockqnn-operator:0.1.0"
