"""The Job of a finalist: its name, its container, its volumes, and what the trainer is told."""

import json
from typing import Any

import pytest
from operator_finalists import CLAIM, FIRST, asking, manifest

from blockqnn.contract.finalist import FinalistSpec
from blockqnn_api import names
from blockqnn_api.history.finalist_record import Finalist
from blockqnn_operator.core.jobs.finalist import finalist_job_name, finalist_seed
from blockqnn_operator.core.observed.finalist_job import FinalistJob

TARGET = {"name": "wide", "network": {"filters": [80, 160, 320], "repeats": 2}}
IMAGENET = {
    "name": "imagenet",
    "recipe": "imagenet",
    "dataset": {"name": "imagefolder", "path": "/imagenet", "volume": CLAIM},
}


def pod(body: Any) -> Any:
    return body["spec"]["template"]["spec"]


def spec_in(body: Any) -> FinalistSpec:
    (variable,) = [v for v in pod(body)["containers"][0]["env"] if v["name"] == "BLOCKQNN_FINALIST"]
    return FinalistSpec.read(variable["value"])


def test_its_own_labels_say_which_finalist_it_is_and_it_is_read_again() -> None:
    finalist = Finalist(0, "wide", 2)
    body = manifest(finalist, attempt=1, **asking(targets=[TARGET], seeds=3))
    assert body["metadata"]["name"] == "digits-f00000-wide-s2-a1"
    assert body["metadata"]["labels"][names.COMPONENT_LABEL] == "finalist"
    job = FinalistJob.read({**body, "status": {}})
    assert job is not None
    assert (job.finalist, job.attempt, job.is_over) == (finalist, 1, False)
    assert job.part.block == spec_in(body).block


def test_names_fit_however_long_the_search_and_the_target_are_called() -> None:
    long = Finalist(99_999, "t" * 32, 9)
    job_names = {
        finalist_job_name("s" * 40, finalist, 20)
        for finalist in (long, long._replace(seed=8), FIRST)
    }
    assert len(job_names) == 3
    assert all(len(name) <= 57 for name in job_names)


def test_the_trainer_is_told_block_network_recipe_and_where_to_keep_it() -> None:
    spec = spec_in(manifest(**asking(training={"epochs": 10})))
    assert (spec.search, spec.trial, spec.recipe) == ("lab/digits", 0, "cifar")
    assert spec.training.epochs == 10
    assert spec.training.optimizer.learning_rate == 0.1
    assert spec.network.filters == (32, 64, 128), "those of the search"
    assert spec.volume == "/finalists"
    assert spec.folder == "lab/digits-5ea2c400/trial-00000/seed-0"
    assert spec.dataset.validation.source == "train", "digits has no test images"


def test_a_target_has_its_own_dataset_recipe_network_and_folder() -> None:
    spec = spec_in(manifest(Finalist(0, "imagenet", 0), **asking(targets=[IMAGENET])))
    assert (spec.recipe, spec.training.epochs) == ("imagenet", 90)
    assert (spec.network.stem, spec.network.repeats) == ("ImageNet", 3)
    assert spec.network.filters == (64, 128, 256, 512)
    assert (spec.dataset.name, spec.dataset.path) == ("imagefolder", "/imagenet")
    assert "/targets/imagenet/" in spec.folder
    wide = spec_in(manifest(Finalist(0, "wide", 0), **asking(targets=[TARGET])))
    assert (wide.network.filters, wide.network.repeats) == ((80, 160, 320), 2)
    assert wide.training.epochs == 300


def test_datasets_with_test_images_are_measured_on_them() -> None:
    spec = spec_in(manifest(dataset={"name": "cifar100"}))
    assert spec.dataset.validation.source == "test"


def test_each_seed_and_target_trains_from_its_own_seed() -> None:
    finalists = [FIRST, FIRST._replace(seed=1), FIRST._replace(target="wide"), Finalist(1, "", 0)]
    assert len({finalist_seed(0, finalist) for finalist in finalists}) == 4
    assert finalist_seed(0, FIRST) != finalist_seed(1, FIRST)


def test_the_volume_is_writable_and_the_dataset_is_not() -> None:
    body = manifest(dataset={"name": "cifar10", "volume": CLAIM}, **asking(path="/models"))
    mounts = {mount["mountPath"]: mount for mount in pod(body)["containers"][0]["volumeMounts"]}
    assert mounts["/models"] == {"name": "finalists", "mountPath": "/models"}
    assert mounts["/data"]["readOnly"] is True
    assert {"name": "finalists", **CLAIM} in pod(body)["volumes"]
    assert pod(body)["securityContext"]["fsGroup"] == 65532


def test_it_is_as_safe_as_a_trial() -> None:
    spec = pod(manifest())
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["terminationGracePeriodSeconds"] == 30


def test_resources_and_time_are_its_own_and_else_those_of_trials() -> None:
    two = {"limits": {"nvidia.com/gpu": 2}}
    body = manifest(**asking(resources=two, timeout="72h", retries=3), attempt=1)
    assert pod(body)["containers"][0]["resources"] == two
    assert pod(body)["activeDeadlineSeconds"] == 72 * 3600
    assert body["spec"]["backoffLimit"] == 2
    assert pod(manifest())["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": 1}}
    assert "activeDeadlineSeconds" not in pod(manifest())


@pytest.mark.parametrize("attempt", [0, 5])
def test_the_same_finalist_has_the_same_job_whoever_creates_it(attempt: int) -> None:
    first, other = manifest(attempt=attempt), manifest(attempt=attempt)
    assert json.dumps(first, sort_keys=True) == json.dumps(other, sort_keys=True)


def test_the_pod_template_of_trials_is_merged_over_it() -> None:
    body = manifest(trial={"podTemplate": {"spec": {"nodeSelector": {"pool": "gpu"}}}})
    assert pod(body)["nodeSelector"] == {"pool": "gpu"}
