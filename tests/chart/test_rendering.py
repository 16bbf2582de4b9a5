"""Rendering of the chart's values, without a cluster."""

from pathlib import Path

import pytest
import yaml
from helm_command import CHART, CI_VALUES, Helm, HelmError, of_kind, only, operator_container

from blockqnn_api import names

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]

BAD_VALUES = {
    "registy=x": "additional properties 'registy' not allowed",
    "operator.maxJobsInFlight=-1": "/operator/maxJobsInFlight",
    "operator.labels.team=null,operator.labels.site=1": "/operator/labels/site",
    "operator.logLevel=LOUD": "/operator/logLevel",
    "image.digest=sha256:short": "/image/digest",
    "namespaces={Upper}": "/namespaces/0",
    "podDisruptionBudget.enabled=true,podDisruptionBudget.minAvailable=1,"
    "podDisruptionBudget.maxUnavailable=1": "both minAvailable and maxUnavailable",
    "podDisruptionBudget.enabled=true,podDisruptionBudget.minAvailable=0,"
    "podDisruptionBudget.maxUnavailable=50%": "both minAvailable and maxUnavailable",
    "image.repository=": "image.repository is empty: name the image",
    "trainer.image.repository=": "trainer.image.repository is empty: name the image",
    "namespaces={one,two}": "set clusterWide=false to serve these namespaces only",
    "serviceAccount.create=false": "name the account",
    "serviceMonitor.enabled=true,metrics.enabled=false": "there would be nothing to scrape",
    "networkPolicy.trials.enabled=true": "needs networkPolicy.trials.namespaces",
    "enabled=false": "name it in the `condition` of the chart that includes it",
    "metrics.port=8080": "where the operator serves its probes",
    "prometheusRule.enabled=true,prometheusRule.disabled={Nothing}": "there is no such alert",
}


@pytest.mark.parametrize(("values", "sentence"), BAD_VALUES.items())
def test_bad_values_are_refused_with_a_sentence(offline: Helm, values: str, sentence: str) -> None:
    with pytest.raises(HelmError) as refused:
        offline.render("--set", values)
    assert sentence in str(refused.value)
    assert "nil pointer" not in str(refused.value)


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_lint_has_nothing_against_it(offline: Helm, values: Path) -> None:
    said = offline("lint", "--strict", str(CHART), "-f", str(values))
    assert "[WARNING]" not in said
    assert "[ERROR]" not in said


def test_every_value_is_set_by_some_values_file() -> None:
    """One file a switch: a value that none sets is one that nobody has rendered."""
    ever = [yaml.safe_load(path.read_text()) or {} for path in CI_VALUES]
    assert {key for values in ever for key in values} >= set(VALUES) - {
        # Objects of Kubernetes' own that are passed on as they are.
        "securityContext",
    }


def test_nothing_is_granted_by_a_wildcard(offline: Helm) -> None:
    for values in CI_VALUES:
        for role in of_kind(offline.rendered("-f", str(values)), "Role", "ClusterRole"):
            for rule in role["rules"]:
                words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
                assert not any("*" in word for word in words)


def test_one_namespace_needs_no_right_outside_it(offline: Helm) -> None:
    values = CHART / "ci" / "least-cluster-rights-values.yaml"
    manifests = offline.rendered("-f", str(values), namespace="team")
    assert {m["metadata"]["namespace"] for m in manifests} == {"team"}
    assert "--namespace=team" in operator_container(manifests)["args"]


def test_each_served_namespace_gets_a_role_and_the_operator_is_told(offline: Helm) -> None:
    manifests = offline.rendered("--set", "clusterWide=false,namespaces={one,two}")
    for kind in ("Role", "RoleBinding"):
        matching = of_kind(manifests, kind)
        assert [m["metadata"]["namespace"] for m in matching] == ["one", "two"]
    for binding in of_kind(manifests, "RoleBinding"):
        assert binding["subjects"][0]["namespace"] == "blockqnn"
    assert not of_kind(manifests, "ClusterRoleBinding")
    watched = [a for a in operator_container(manifests)["args"] if a.startswith("--namespace")]
    assert watched == ["--namespace=one", "--namespace=two"]


def test_the_operators_options_come_from_the_values(offline: Helm) -> None:
    values = CHART / "ci" / "operator-settings-values.yaml"
    arguments = operator_container(offline.rendered("-f", str(values)))["args"]
    assert {
        "--max-jobs-in-flight=500", "--api-concurrency=64", "--resync-seconds=60",
        "--log-level=DEBUG", "--trainer-image=ghcr.io/blockqnn/blockqnn-trainer:0.1.0",
    } <= set(arguments)  # fmt: skip
    default = operator_container(offline.rendered())["args"]
    assert not any("max-jobs-in-flight" in argument for argument in default)


def test_all_images_come_from_the_registry(offline: Helm) -> None:
    """The trainer is in the operator's options; `helm test` runs the operator's image."""
    text = offline.render("--set", "registry=registry.example.com/team,image.tag=v1")
    manifests = list(filter(None, yaml.safe_load_all(text)))
    assert (
        operator_container(manifests)["image"] == "registry.example.com/team/blockqnn-operator:v1"
    )
    (test,) = only(manifests, "Job")["spec"]["template"]["spec"]["containers"]
    assert test["image"] == operator_container(manifests)["image"]
    trainer = "--trainer-image=registry.example.com/team/blockqnn-trainer:0.1.0"
    assert trainer in operator_container(manifests)["args"]
    # Searches show an example in the definition's description; nothing else names another place.
    del manifests[[m["kind"] for m in manifests].index("CustomResourceDefinition")]
    assert "ghcr.io" not in yaml.safe_dump_all(manifests)


def test_a_digest_wins_over_a_tag(offline: Helm) -> None:
    digest = "sha256:" + "0" * 64
    manifests = offline.rendered("--set", f"image.digest={digest},image.tag=v1")
    assert operator_container(manifests)["image"].endswith(f"/blockqnn-operator@{digest}")


def test_images_on_the_nodes_have_no_registry(offline: Helm) -> None:
    manifests = offline.rendered("--set", "registry=")
    assert operator_container(manifests)["image"] == "blockqnn-operator:0.1.0"


def test_a_package_renders_what_the_folder_does(offline: Helm, tmp_path: Path) -> None:
    """The package is all that an installation without a network needs besides two images."""
    offline("package", str(CHART), "-d", str(tmp_path))
    (package,) = tmp_path.glob("*.tgz")
    assert offline.render(chart=package) == offline.render()


def test_all_that_trains_is_cut_off_the_network_and_what_downloads_is_not(offline: Helm) -> None:
    values = CHART / "ci" / "network-policy-of-trials-values.yaml"
    policy = only(offline.rendered("-f", str(values)), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(policy)
    (expression,) = policy["podSelector"]["matchExpressions"]
    assert expression["key"] == names.COMPONENT_LABEL
    assert expression["values"] == [names.TRIAL_COMPONENT, names.FINALIST_COMPONENT]


def test_whoever_may_scrape_the_metrics_the_pod_of_helm_test_may_too(offline: Helm) -> None:
    values = CHART / "ci" / "network-policy-values.yaml"
    manifests = offline.rendered("-f", str(values))
    operator, *_ = of_kind(manifests, "NetworkPolicy")
    (scraped,) = [rule for rule in operator["spec"]["ingress"] if "from" in rule]
    labels = only(manifests, "Job")["spec"]["template"]["metadata"]["labels"]
    assert {"podSelector": {"matchLabels": labels}} in scraped["from"]


def test_alerts_keep_their_braces_and_can_be_left_out(offline: Helm) -> None:
    everything = only(offline.rendered("--set", "prometheusRule.enabled=true"), "PrometheusRule")
    files = [yaml.safe_load(path.read_text()) for path in (CHART / "alerts").glob("*.yaml")]
    assert everything["spec"]["groups"] == [group for file in files for group in file["groups"]]
    first = everything["spec"]["groups"][0]["rules"][0]["alert"]
    fewer = only(
        offline.rendered(
            "--set", f"prometheusRule.enabled=true,prometheusRule.disabled={{{first}}}"
        ),
        "PrometheusRule",
    )
    names = [rule["alert"] for group in fewer["spec"]["groups"] for rule in group["rules"]]
    assert names
    assert first not in names


def test_alerts_get_labels_and_the_address_of_their_runbook(offline: Helm) -> None:
    values = CHART / "ci" / "monitoring-values.yaml"
    (group, *_) = only(offline.rendered("-f", str(values)), "PrometheusRule")["spec"]["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["team"] == "vision"
        assert rule["labels"]["severity"]
        url = rule["annotations"]["runbook_url"]
        assert url.startswith("https://git.example.com/blockqnn/blob/main/docs/runbooks/")
        assert (CHART.parents[1] / url.split("/main/")[1]).exists()


def test_dashboards_go_to_grafana_as_they_are(offline: Helm) -> None:
    manifests = offline.rendered("--set", "dashboards.enabled=true")
    (shipped,) = (m for m in of_kind(manifests, "ConfigMap"))
    assert shipped["metadata"]["labels"]["grafana_dashboard"] == "1"
    files = {path.name: path.read_text() for path in (CHART / "dashboards").glob("*.json")}
    assert {name: text.strip() for name, text in shipped["data"].items()} == {
        name: text.strip() for name, text in files.items()
    }
    assert files


def test_nothing_of_monitoring_is_there_unless_asked_for(offline: Helm) -> None:
    kinds = {manifest["kind"] for manifest in offline.rendered()}
    assert kinds == {
        "ServiceAccount", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding",
        "Service", "Deployment", "Job",
    }  # fmt: skip


def umbrella(folder: Path, condition: str, values: str, alias: str = "") -> Path:
    """Write a chart that has this one as a dependency with a condition."""
    dependency = {"name": "blockqnn", "version": VERSION, "repository": f"file://{CHART}"}
    dependency |= {"condition": condition, **({"alias": alias} if alias else {})}
    chart = {"apiVersion": "v2", "name": "umbrella", "version": "0.1.0"}
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(yaml.safe_dump({**chart, "dependencies": [dependency]}))
    (folder / "values.yaml").write_text(values)
    return folder


@pytest.mark.parametrize("alias", ["", "search"])
@pytest.mark.parametrize("enabled", [True, False])
def test_a_chart_that_includes_it_can_switch_it_off(
    offline: Helm, tmp_path: Path, alias: str, enabled: bool
) -> None:
    name = alias or "blockqnn"
    values = f"global: {{team: vision}}\n{name}: {{enabled: {str(enabled).lower()}}}\n"
    chart = umbrella(tmp_path / "umbrella", f"{name}.enabled", values, alias)
    offline("dependency", "build", str(chart))
    manifests = [m for m in yaml.safe_load_all(offline.render(chart=chart)) if m]
    assert bool(of_kind(manifests, "Deployment")) is enabled
    if enabled:
        assert operator_container(manifests)["image"].endswith("/blockqnn-operator:0.1.0")
