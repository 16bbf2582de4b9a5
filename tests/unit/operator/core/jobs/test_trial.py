"""The Job of a trial, as the API server gets it."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import A, B, C, make_proposal, make_search, make_settings, make_spec
from repository_paths import FIXTURES

from blockqnn.contract.trial import TRIAL_VARIABLE, TrialSpec
from blockqnn.network.cost import network_parameters
from blockqnn_operator.core.jobs.base import merge
from blockqnn_operator.core.jobs.trial import job_name, trial_job
from blockqnn_operator.core.observed.trial_job import TrialJob

GOLDEN = FIXTURES / "trial-job.json"

EVERYTHING = {
    "failurePolicy": {"retries": 3, "trialTimeout": "1h30m"},
    "dataset": {
        "name": "npz",
        "path": "/images",
        "volume": {"persistentVolumeClaim": {"claimName": "datasets"}},
    },
    "trial": {
        "image": "registry.example/trainer:1",
        "podTemplate": {
            "metadata": {"labels": {"team": "vision"}, "annotations": {"note": "night"}},
            "spec": {
                "nodeSelector": {"accelerator": "h100"},
                "containers": [{"name": "trainer", "env": [{"name": "TZ", "value": "UTC"}]}],
            },
        },
    },
}


OWN_LIMITS = {"name": "trainer", "resources": {"limits": {"nvidia.com/gpu": 8}}}


def job_of(number: int = 0, /, **changes: Any) -> dict[str, Any]:
    search = make_search(make_spec(**changes))
    return trial_job(search, make_settings(**changes), make_proposal(number))


def pod_of(**changes: Any) -> dict[str, Any]:
    template: dict[str, Any] = job_of(**changes)["spec"]["template"]
    return template


def with_pod(**spec: Any) -> dict[str, Any]:
    return pod_of(trial={"podTemplate": {"spec": spec}})["spec"]  # type: ignore[no-any-return]


def trainer(pod_spec: dict[str, Any]) -> dict[str, Any]:
    return next(c for c in pod_spec["containers"] if c["name"] == "trainer")  # type: ignore[no-any-return]


def spec_in(job: dict[str, Any]) -> TrialSpec:
    (variable,) = [
        variable
        for variable in trainer(job["spec"]["template"]["spec"])["env"]
        if variable["name"] == TRIAL_VARIABLE
    ]
    return TrialSpec.read(variable["value"])


def test_the_job_of_a_trial_is_this_one() -> None:
    """When it is meant to change: delete the fixture, run this test once, and read the diff."""
    job = job_of(6, **EVERYTHING)
    if not GOLDEN.exists():
        GOLDEN.write_text(json.dumps(job, indent=2) + "\n")
        pytest.fail(f"{GOLDEN.name} was missing and is written anew")
    assert job == json.loads(GOLDEN.read_text())


def test_the_same_trial_has_the_same_job_whoever_creates_it() -> None:
    assert job_of(3) == job_of(3)
    assert job_name("digits", 3, 0) == "digits-t00003-a0"


def test_a_job_tells_its_trial_what_to_train_and_is_read_back() -> None:
    body = trial_job(make_search(), make_settings(), make_proposal(6, B))
    job, spec = TrialJob.read(body), spec_in(body)
    assert job is not None
    (part,) = job.parts
    assert (job.name, part.trial, job.attempt) == ("digits-t00006-a0", 6, 0)
    assert (part.block, part.block_hash) == (str(B), make_proposal(6, B).hash)
    assert (part.result, job.condition, job.archived, job.deleting) == (None, None, False, False)
    assert (spec.search, spec.trial, spec.block) == ("lab/digits", 6, str(B))
    assert body["metadata"]["labels"]["blockqnn.dev/iteration"] == "1"


def test_trials_differ_in_their_seed_and_share_the_split_of_the_images() -> None:
    first, second = spec_in(job_of(0)), spec_in(job_of(1))
    other = spec_in(job_of(0, seed=1))
    assert len({first.seed, second.seed, other.seed}) == 3
    assert first.split_seed == second.split_seed != other.split_seed


def test_the_longest_name_leaves_room_for_the_names_of_pods() -> None:
    assert len(job_name("x" * 40, 99_999, 0)) + len("-x2x2x") <= 63


def test_the_trainer_has_no_rights_in_the_cluster_and_few_on_its_node() -> None:
    spec = pod_of()["spec"]
    container = trainer(spec)
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert "serviceAccountName" not in spec
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_trainer_can_write_to_its_scratch_alone() -> None:
    spec = pod_of()["spec"]
    assert spec["volumes"] == [{"name": "scratch", "emptyDir": {}}]
    assert trainer(spec)["volumeMounts"] == [{"name": "scratch", "mountPath": "/tmp"}]


def test_a_further_attempt_is_another_job_that_says_so_and_has_one_retry_less() -> None:
    body = trial_job(make_search(), make_settings(), make_proposal(6, B), 1)
    job = TrialJob.read(body)
    assert job is not None
    assert (job.name, job.attempt, spec_in(body).attempt) == ("digits-t00006-a1", 1, 1)
    assert (
        spec_in(body).seed
        == spec_in(trial_job(make_search(), make_settings(), make_proposal(6, B))).seed
    )
    assert body["spec"]["backoffLimit"] == 1
    last = trial_job(make_search(), make_settings(), make_proposal(6, B), 5)
    assert last["spec"]["backoffLimit"] == 0


def test_the_queue_of_the_search_is_that_of_its_jobs_unless_the_template_has_another() -> None:
    label = "kueue.x-k8s.io/queue-name"
    search = replace(make_search(), labels={label: "research", "team": "vision"})
    labels = trial_job(search, make_settings(), make_proposal())["metadata"]["labels"]
    assert labels[label] == "research"
    assert "team" not in labels
    own = {"podTemplate": {"metadata": {"labels": {label: "nightly"}}}}
    labels = trial_job(search, make_settings(trial=own), make_proposal())["metadata"]["labels"]
    assert labels[label] == "nightly"


def test_the_labels_by_which_kueue_finds_its_jobs_are_on_the_job_and_no_others() -> None:
    asked = {"kueue.x-k8s.io/queue-name": "research", "team": "vision"}
    labels = job_of(trial={"podTemplate": {"metadata": {"labels": asked}}})["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "research"
    assert "team" not in labels


def test_the_dataset_is_mounted_read_only_at_its_path() -> None:
    spec = pod_of(**EVERYTHING)["spec"]
    claim = {"persistentVolumeClaim": {"claimName": "datasets"}}
    assert {"name": "dataset", **claim} in spec["volumes"]
    mount = {"name": "dataset", "mountPath": "/images", "readOnly": True}
    assert mount in trainer(spec)["volumeMounts"]
    assert spec_in(job_of(**EVERYTHING)).dataset.path == "/images"


def test_failures_are_retried_but_bad_input_is_not_and_disruptions_are_free() -> None:
    spec = job_of(failurePolicy={"retries": 3, "trialTimeout": "1h30m"})["spec"]
    assert spec["backoffLimit"] == 3
    assert spec["template"]["spec"]["activeDeadlineSeconds"] == 5400
    assert "activeDeadlineSeconds" not in spec, "a Pod may wait for a node for days"
    ignore, deleted, fail = spec["podFailurePolicy"]["rules"]
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    assert ignore == {"action": "Ignore", "onPodConditions": [disrupted]}
    assert deleted["action"] == "Ignore"
    assert deleted["onExitCodes"]["values"] == [143], "SIGTERM: the Pod was deleted"
    assert fail["action"] == "FailJob"
    assert fail["onExitCodes"] == {"containerName": "trainer", "operator": "In", "values": [2]}
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_a_pod_template_adds_to_the_operators() -> None:
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists"}
    spec = with_pod(nodeSelector={"pool": "gpu"}, tolerations=[toleration])
    assert spec["nodeSelector"] == {"pool": "gpu"}
    assert spec["tolerations"] == [toleration]
    assert spec["automountServiceAccountToken"] is False


def test_containers_are_merged_by_name_and_others_come_behind() -> None:
    mine = {"name": "trainer", "imagePullPolicy": "Always"}
    spec = with_pod(containers=[{"name": "logs", "image": "logs:1"}, mine])
    assert [container["name"] for container in spec["containers"]] == ["trainer", "logs"]
    assert spec["containers"][0]["imagePullPolicy"] == "Always"
    assert spec["containers"][0]["image"] == make_settings().trial.image


def test_variables_and_mounts_are_merged_and_the_trial_stays() -> None:
    container = {
        "name": "trainer",
        "env": [{"name": "TZ", "value": "UTC"}],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
    }
    merged = trainer(with_pod(containers=[container], volumes=[{"name": "cache", "emptyDir": {}}]))
    assert [variable["name"] for variable in merged["env"]] == [TRIAL_VARIABLE, "TZ"]
    assert [mount["mountPath"] for mount in merged["volumeMounts"]] == ["/tmp", "/cache"]


def test_a_list_without_a_merge_key_replaces_the_operators() -> None:
    merged = trainer(with_pod(containers=[{"name": "trainer", "command": ["mine"]}]))
    assert merged["command"] == ["mine"]


def test_the_operators_labels_win_over_those_of_the_template() -> None:
    labels = {"blockqnn.dev/trial-index": "99999", "team": "vision"}
    template = pod_of(trial={"podTemplate": {"metadata": {"labels": labels}}})
    assert template["metadata"]["labels"]["blockqnn.dev/trial-index"] == "00000"
    assert template["metadata"]["labels"]["team"] == "vision"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "env", "limits", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
pod_specs = st.dictionaries(
    st.sampled_from(["containers", "volumes", "tolerations", "securityContext", "x"]), json_values
) | st.fixed_dictionaries(
    {
        "containers": st.tuples(
            st.fixed_dictionaries(
                {"name": st.just("trainer"), "resources": json_values, "env": json_values}
            )
        ).map(list)
    }
)


@given(pod_specs)
def test_any_pod_template_makes_a_job_for_the_api_server_to_judge(spec: dict[str, Any]) -> None:
    changes = {"trial": {"podTemplate": {"spec": spec}}}
    assert job_of(**changes)["kind"] == "Job"


trees = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


@given(trees)
def test_merging_nothing_changes_nothing(tree: dict[str, Any]) -> None:
    assert merge(tree, {}) == tree
    assert merge({}, tree) == tree


@given(trees, trees)
def test_merging_twice_is_merging_once(base: dict[str, Any], over: dict[str, Any]) -> None:
    once = merge(base, over)
    assert merge(once, over) == once


def resources(limits: dict[str, Any]) -> dict[str, Any]:
    return {"trial": {"resources": {"limits": limits}}}


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 1),
        (resources({"nvidia.com/gpu": 4, "cpu": 8}), 4),
        (resources({"nvidia.com/gpu": "2"}), 2),
        (resources({"amd.com/gpu": 1}), 1),
        (resources({"gpu.intel.com/i915": 1}), 1),
        (resources({"nvidia.com/mig-1g.10gb": 1}), 1),
        (resources({"cpu": "500m", "memory": "4Gi"}), 0),
        ({"trial": {"resources": {}}}, 0),
        (
            {
                "trial": {
                    "podTemplate": {
                        "spec": {
                            "containers": [
                                {
                                    "name": "trainer",
                                    "resources": {"limits": {"nvidia.com/gpu": 8}},
                                },
                                {"name": "other", "resources": {"limits": {"nvidia.com/gpu": 1}}},
                            ]
                        }
                    }
                }
            },
            8,
        ),
    ],
)
def test_the_gpus_of_the_trainer_are_counted(changes: dict[str, Any], count: int) -> None:
    body = job_of(**changes)
    body["metadata"]["creationTimestamp"] = "2020-01-31T12:00:00Z"
    job = TrialJob.read(body)
    assert job is not None
    assert job.gpus == count


@pytest.mark.parametrize(
    ("trial", "count"),
    [
        ({}, 1),
        ({"resources": {"limits": {"nvidia.com/gpu": 2, "nvidia.com/gpumem": 3001}}}, 2),
        ({"resources": {"limits": {"example.com/npu": 4}}}, 0),
        ({"resources": {"limits": {"example.com/npu": 4}}, "accelerators": 4}, 4),
        ({"resources": {}, "podTemplate": {"spec": {"containers": [OWN_LIMITS]}}}, 8),
    ],
)
def test_a_job_says_how_many_accelerators_a_pod_of_it_holds(
    trial: dict[str, Any], count: int
) -> None:
    body = job_of(trial=trial)
    assert body["metadata"]["annotations"]["blockqnn.dev/accelerators"] == str(count)
    job = TrialJob.read(body)
    assert job is not None
    assert job.gpus == count


@given(st.text(max_size=8))
def test_an_annotation_that_is_no_number_is_counted_instead(text: str) -> None:
    body = job_of()
    body["metadata"]["annotations"]["blockqnn.dev/accelerators"] = text
    job = TrialJob.read(body)
    assert job is not None
    assert job.gpus == (int(text) if re.fullmatch("[0-9]{1,7}", text) else 1)


def test_one_gpu_is_asked_for_unless_something_is_given() -> None:
    assert trainer(pod_of()["spec"])["resources"] == {"limits": {"nvidia.com/gpu": 1}}
    cpu = {"limits": {"cpu": 1}}
    assert trainer(pod_of(trial={"resources": cpu})["spec"])["resources"] == cpu


def test_a_job_of_somebody_else_is_no_trial() -> None:
    body = job_of()
    for field in ("labels", "ownerReferences"):
        stranger = {**body, "metadata": {k: v for k, v in body["metadata"].items() if k != field}}
        assert TrialJob.read(stranger) is None


def test_the_block_of_a_job_is_that_of_its_annotation() -> None:
    assert job_of()["metadata"]["annotations"]["blockqnn.dev/block"] == str(A)


def test_repeats_adapt_to_the_block_of_each_trial() -> None:
    changes: dict[str, Any] = {
        "space": {"constraints": {"maxParameters": 20_000}, "adaptiveRepeats": True},
        "network": {"filters": [8, 16], "repeats": 9},
    }
    repeats = []
    for block in (A, B, C):
        spec = spec_in(trial_job(make_search(), make_settings(**changes), make_proposal(0, block)))
        assert spec.constraints is not None
        assert spec.constraints.max_parameters == 20_000
        parameters = [
            network_parameters(
                block, spec.network.model_copy(update={"repeats": times}), (1, 8, 8), 10
            )
            for times in (spec.network.repeats, spec.network.repeats + 1)
        ]
        assert parameters[0] <= 20_000
        assert spec.network.repeats == 9 or parameters[1] > 20_000
        repeats.append(spec.network.repeats)
    assert repeats == sorted(repeats, reverse=True)
    assert len(set(repeats)) == 3


def test_a_search_without_constraints_tells_its_trials_of_none() -> None:
    assert spec_in(job_of()).constraints is None
    assert spec_in(job_of()).network.repeats == make_settings().network.repeats
