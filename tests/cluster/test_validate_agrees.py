"""`kubectl blockqnn validate` and the API server answer alike."""

import json

from null_fields import fields, with_field
from searching import search_manifest

from blockqnn_cli.validation.checks import check
from blockqnn_devcluster import DevCluster


def test_empty_fields_are_refused_by_both_or_by_none(installed: DevCluster, namespace: str) -> None:
    """Every field of the definition once, in one request for each."""
    searches = [
        {
            "apiVersion": "blockqnn.dev/v1alpha1",
            "kind": "BlockSearch",
            "metadata": {"name": f"search-{number}"},
            "spec": with_field(path, None),
        }
        for number, path in enumerate(fields())
    ]
    done = installed.kubectl(
        "create", "--dry-run=server", "--validate=false", "-o", "name", "-n", namespace, "-f", "-",
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": searches}),
        check=False,
    )  # fmt: skip
    taken = {line.rpartition("/")[2] for line in done.stdout.split()}
    assert len(taken) > len(searches) / 2, done.stderr
    valid = {
        checked.name
        for search in searches
        for checked in check(json.dumps(search))
        if not checked.problems
    }
    # What the operator refuses beyond the definition is more; nothing that it takes may be less.
    assert valid <= taken
    refused_here = {
        search["metadata"]["name"]: check(json.dumps(search))[0].problems
        for search in searches
        if search["metadata"]["name"] in taken - valid
    }
    unexplained = {
        name: problems
        for name, problems in refused_here.items()
        if any(" is empty" in p.message or "should be" in p.message for p in problems)
    }
    assert not unexplained


def test_the_security_context_of_openshift_survives_kubectl_apply(searching, eventually) -> None:
    """The cluster chooses the user of a Pod whose manifest names none."""
    context = {
        "$patch": "replace",
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    trial = {
        "resources": {"requests": {"cpu": "100m"}},
        "podTemplate": {"spec": {"securityContext": context}},
    }
    searching.apply(search_manifest(trial=trial))
    # The second is a patch of the object by what was applied last.
    searching.apply(search_manifest(trial=trial, parallelism=1))
    eventually(searching.jobs)
    for job in searching.jobs():
        pod = job["spec"]["template"]["spec"]
        assert "runAsUser" not in pod["securityContext"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert "$patch" not in pod["securityContext"]
