"""What the manifests of all kinds of Jobs have in common, and where they differ on purpose."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import A, B, make_proposal, make_search, make_settings
from operator_finalists import manifest as finalist_manifest

from blockqnn_api import names
from blockqnn_operator.core.jobs.base import Manifest, merge
from blockqnn_operator.core.jobs.preparation import preparation_job
from blockqnn_operator.core.jobs.trial import trial_job
from blockqnn_operator.core.jobs.trial_group import job_of
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.observed.job import Job
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.open_trials import OpenTrial

IMAGES = {
    "name": "cifar10",
    "path": "/data",
    "volume": {"persistentVolumeClaim": {"claimName": "c"}},
}
TEMPLATE = {
    "metadata": {"labels": {"kueue.x-k8s.io/queue-name": "research", "team": "vision"}},
    "spec": {"nodeSelector": {"zone": "a"}},
}
CHANGES: dict[str, Any] = {"dataset": IMAGES, "trial": {"podTemplate": TEMPLATE}}
SEARCH, SETTINGS = make_search(), make_settings(**CHANGES)
TRIALS = [
    OpenTrial(proposal=make_proposal(number, block), stage=Stage.UNSTARTED)
    for number, block in enumerate((A, B))
]

JOBS: dict[str, Manifest] = {
    "trial": trial_job(SEARCH, SETTINGS, make_proposal(0, A)),
    "trials": job_of(SEARCH, SETTINGS, TRIALS),
    "preparation": preparation_job(SEARCH, SETTINGS),
    "finalist": finalist_manifest(**CHANGES),
}
READERS: dict[str, type[Job[Any]]] = {
    "trial": TrialJob,
    "trials": TrialJob,
    "preparation": PreparationJob,
    "finalist": FinalistJob,
}
every_kind = pytest.mark.parametrize("kind", JOBS)


def pod_of(kind: str) -> dict[str, Any]:
    spec: dict[str, Any] = JOBS[kind]["spec"]["template"]["spec"]
    return spec


@every_kind
def test_no_pod_has_rights_in_the_cluster_or_on_its_node(kind: str) -> None:
    pod = pod_of(kind)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@every_kind
def test_a_volume_is_made_writable_only_for_what_writes_to_it(kind: str) -> None:
    pod = pod_of(kind)
    mounts = pod["containers"][0]["volumeMounts"]
    writes = any(m["name"] != "scratch" and not m.get("readOnly") for m in mounts)
    assert ("fsGroup" in pod["securityContext"]) == writes == (kind in ("preparation", "finalist"))


@every_kind
def test_the_users_template_is_merged_over_every_pod_and_its_queue_is_named_on_the_job(
    kind: str,
) -> None:
    assert pod_of(kind)["nodeSelector"] == {"zone": "a"}
    template = JOBS[kind]["spec"]["template"]["metadata"]["labels"]
    assert template["team"] == "vision"
    labels = JOBS[kind]["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "research"
    assert "team" not in labels


OF_THE_CLUSTER = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_a_map_that_replaces_the_operators_leaves_the_user_to_the_cluster() -> None:
    context = {"$patch": "replace", **OF_THE_CLUSTER}
    changes = {**CHANGES, "trial": {"podTemplate": {"spec": {"securityContext": context}}}}
    for job in (
        trial_job(SEARCH, make_settings(**changes), make_proposal(0, A)),
        preparation_job(SEARCH, make_settings(**changes)),
        finalist_manifest(**changes),
    ):
        pod = job["spec"]["template"]["spec"]
        assert pod["securityContext"] == OF_THE_CLUSTER
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


MAPS = st.recursive(
    st.integers() | st.text(max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abc"), MAPS), st.dictionaries(st.sampled_from("abc"), MAPS))
def test_a_replacing_map_is_itself_at_any_depth(base: Manifest, over: Manifest) -> None:
    replacing = {**over, "$patch": "replace"}
    assert merge(base, replacing) == over
    assert merge({"x": base}, {"x": replacing}) == {"x": over}
    assert merge({}, {"x": {"y": replacing}}) == {"x": {"y": over}}
    item = {"name": "a", "z": base}
    for name in ("containers", "volumes"):
        merged = merge({name: [item]}, {name: [{"name": "a", "z": replacing}]})
        assert merged == {name: [{"name": "a", "z": over}]}
        merged = merge({name: [item]}, {name: [{"name": "b", "z": replacing}]})
        assert merged == {name: [item, {"name": "b", "z": over}]}


@every_kind
def test_a_job_and_its_pods_bear_the_labels_that_select_them(kind: str) -> None:
    for metadata in (JOBS[kind]["metadata"], JOBS[kind]["spec"]["template"]["metadata"]):
        assert metadata["labels"][names.SEARCH_LABEL] == SEARCH.name
        component = metadata["labels"][names.COMPONENT_LABEL]
        assert metadata["labels"]["app.kubernetes.io/name"] == f"blockqnn-{component}"


@every_kind
def test_a_job_is_read_back_by_its_own_kind_and_by_no_other(kind: str) -> None:
    body = {**JOBS[kind], "status": {}}
    for reader in set(READERS.values()):
        job = reader.read(body)
        assert (job is not None) == (reader is READERS[kind])
        if job is not None:
            assert (job.name, job.owner_uid) == (body["metadata"]["name"], SEARCH.uid)
            assert len(job.parts) == (2 if kind == "trials" else 1)
