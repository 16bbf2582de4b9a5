"""A real API server takes everything that the chart renders, and refuses what it should."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helm_command import CI_VALUES, Helm, of_kind

from blockqnn_devcluster import DevCluster


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_a_strict_dry_run_takes_all_of_it_without_a_warning(
    monitored: DevCluster, helm: Helm, namespace: str, values: Path
) -> None:
    """The namespace has `restricted`: a Pod template that does not fit would be warned of."""
    manifests = helm.render("-f", str(values), namespace=namespace)
    options = ("--dry-run=server", "--validate=strict", "-f", "-")
    done = monitored.kubectl("apply", *options, input=manifests)
    assert done.stderr == ""
    kinds = len(re.findall(r"^kind: ", manifests, re.MULTILINE))
    assert len(done.stdout.splitlines()) == kinds


def test_a_dry_run_would_have_noticed_a_pod_that_does_not_fit_restricted(
    monitored: DevCluster, helm: Helm, namespace: str
) -> None:
    """The test above can fail."""
    loose = ("--set", "securityContext.allowPrivilegeEscalation=true")
    manifests = helm.render(*loose, namespace=namespace)
    done = monitored.kubectl("apply", "--dry-run=server", "-f", "-", input=manifests)
    assert "would violate PodSecurity" in done.stderr


def test_a_dry_run_would_have_noticed_a_field_that_nobody_knows(
    monitored: DevCluster, helm: Helm, namespace: str
) -> None:
    """The test above can fail."""
    manifests = helm.render(namespace=namespace).replace("replicas:", "replicaz:")
    options = ("--dry-run=server", "--validate=strict", "-f", "-")
    done = monitored.kubectl("apply", *options, input=manifests, check=False)
    assert 'unknown field "spec.replicaz"' in done.stderr


@pytest.mark.usefixtures("untouched")
def test_the_notes_end_with_a_search_that_the_api_server_takes(
    cluster: DevCluster, helm: Helm, namespace: str
) -> None:
    helm.install(namespace)
    notes = helm("get", "notes", "blockqnn", "-n", namespace)
    manifest = re.search(r"<<END\n(.*)\n  END", notes, re.DOTALL)
    assert manifest is not None
    search = "\n".join(line.removeprefix("  ") for line in manifest[1].splitlines())
    arguments = ("apply", "-n", namespace, "--dry-run=server", "--validate=strict", "-f", "-")
    assert "first created" in cluster.kubectl(*arguments, input=search).stdout


@pytest.mark.usefixtures("untouched")
def test_viewers_may_look_at_searches_and_editors_may_change_them(
    cluster: DevCluster, helm: Helm, namespace: str, eventually: Callable[..., object]
) -> None:
    helm.install(namespace)
    for role in ("view", "edit", "admin"):
        binding = ("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}")
        cluster.kubectl(*binding, "-n", namespace)

    def may(user: str, verb: str, *options: str) -> bool:
        question = ("auth", "can-i", verb, "blocksearches.blockqnn.dev", "-n", namespace, *options)
        return cluster.kubectl(*question, "--as", user, check=False).stdout.strip() == "yes"

    eventually(lambda: all(may(user, "list") for user in ("view", "edit", "admin")))
    eventually(lambda: may("edit", "create") and may("admin", "create"))
    assert may("view", "watch")
    assert may("view", "get", "--subresource=status")
    for verb in ("create", "update", "patch", "delete", "deletecollection"):
        assert not may("view", verb)
        assert not may("somebody", verb)
    for user in ("edit", "admin"):
        for verb in ("get", "patch", "delete"):
            assert may(user, verb)
        # What a search has found out is the operator's to say.
        assert not may(user, "patch", "--subresource=status")


@pytest.mark.usefixtures("untouched")
def test_the_operators_account_may_do_what_the_rules_say_where_they_say_it(
    cluster: DevCluster, helm: Helm, make_namespace: Callable[[], str]
) -> None:
    served, other = make_namespace(), make_namespace()
    helm.install(served, "--set", f"clusterWide=false,namespaces={{{served}}}")
    account = f"system:serviceaccount:{served}:blockqnn"

    def may(verb: str, resource: str, namespace: str) -> bool:
        question = ("auth", "can-i", verb, resource, "-n", namespace, "--as", account)
        return cluster.kubectl(*question, check=False).stdout.strip() == "yes"

    assert may("create", "jobs.batch", served)
    assert not may("create", "jobs.batch", other)
    assert not may("get", "secrets", served)
    assert not may("list", "namespaces", served)


def test_the_service_accounts_token_goes_to_the_operator_alone(offline: Helm) -> None:
    manifests = offline.rendered()
    (account,) = of_kind(manifests, "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    (deployment,) = of_kind(manifests, "Deployment")
    assert deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] is True
    (test,) = of_kind(manifests, "Job")
    assert test["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
