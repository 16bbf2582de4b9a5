"""Validation of `spec.finalists` by the API server, as for all else of a search.

Nothing is stored but the search that changes are tried on.
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from schema_validation import Server, accepted, manifest, message_of, nested, refusal

from blockqnn_api.definition.cel_rules import RULES
from blockqnn_devcluster import DevCluster

CLAIM = {"persistentVolumeClaim": {"claimName": "models"}}
PHOTOS = {"name": "imagefolder", "imageSize": 64, "validation": {"fraction": 0.2}}
WIDE = {"name": "wide", "network": {"filters": [80, 160, 320], "repeats": 2}}
OTHER = {"name": "other", "dataset": PHOTOS, "recipe": "imagenet", "training": {"epochs": 9}}
ASKED: dict[str, Any] = {
    "volume": CLAIM,
    "count": 5,
    "network": {"repeats": 2},
    "training": {"epochs": 9},
    "validation": {"source": "train"},
    "targets": [WIDE, OTHER],
}


@pytest.fixture(scope="module")
def server(installed: DevCluster) -> Iterator[Server]:
    """An API server with a search that says what it can of finalists."""
    namespace = f"rules-{uuid.uuid4().hex[:8]}"
    installed.kubectl("create", "namespace", namespace)
    text = manifest({"finalists": ASKED}, "asked")
    installed.kubectl("create", "-n", namespace, "-f", "-", input=text)
    yield Server(installed, namespace)
    installed.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.mark.parametrize(
    ("field", "good", "bad", "said"),
    [
        ("count", 1000, 1001, "less than or equal to 1000"),
        ("recipe", "imagenet", "best", 'supported values: "cifar", "imagenet"'),
        ("volume", CLAIM, {}, "at least 1 properties"),
        ("volume", CLAIM, {"emptyDir": {}, **CLAIM}, "must have at most 1 item"),
        ("timeout", "72h", "3d", RULES["spec.finalists.timeout"][0].message),
        ("training.epochs", 300, 0, "greater than or equal to 1"),
        ("training.augmentation.scale.crop", 224, 4, "greater than or equal to 8"),
        ("network.stem", "ImageNet", "None", 'supported values: "Plain", "ImageNet"'),
        ("validation.source", "test", "all", 'supported values: "train", "test"'),
        ("targets", [{"name": "a"}], [{"name": "A"}], "should match"),
        ("targets", [{"name": "a"}], [{"name": "a"}] * 2, "Duplicate value"),
        ("targets", [{"name": "a"}], [{"name": str(n)} for n in range(17)], "at most 16 items"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(
    server: Server, field: str, good: Any, bad: Any, said: str
) -> None:
    for value, what in ((good, accepted), (bad, refusal)):
        spec = {"finalists": {"volume": CLAIM} | nested(field, value)}
        text = what(server.create(manifest(spec)))
    assert f"spec.finalists.{field.split('.')[0]}" in str(text)
    assert said in str(text)


def test_a_volume_is_all_that_must_be_given(server: Server) -> None:
    answer = server.create(manifest({"finalists": {"volume": CLAIM}}))
    assert accepted(answer)
    given = json.loads(answer.stdout)["spec"]["finalists"]
    assert (given["count"], given["recipe"], given["path"]) == (10, "cifar", "/finalists")
    assert not {"network", "training", "validation"} & set(given), "the recipe fills them in"
    assert "volume: Required value" in refusal(server.create(manifest({"finalists": {}})))


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("recipe", "imagenet"),
        ("network", {"repeats": 3}),
        ("training", {"epochs": 10}),
        ("validation", {"source": "test"}),
    ],
)
def test_what_decides_about_results_cannot_change(server: Server, field: str, other: Any) -> None:
    assert accepted(server.change("asked", {"finalists": {field: ASKED.get(field, "cifar")}}))
    said = refusal(server.change("asked", {"finalists": {field: other}}))
    assert message_of("spec.finalists", field) in said


@pytest.mark.parametrize(
    ("path", "field", "other"),
    [
        ("", "recipe", "cifar"),
        ("", "network", {"repeats": 7}),
        ("", "training", {"epochs": 10}),
        ("dataset", "name", "npz"),
        ("dataset", "imageSize", 32),
        ("dataset", "validation", {"fraction": 0.4}),
    ],
)
def test_a_target_stays_what_it_is(server: Server, path: str, field: str, other: Any) -> None:
    below = {**OTHER[path], field: other} if path else other  # type: ignore[dict-item]
    changed = {**OTHER, (path or field): below}
    said = refusal(server.change("asked", {"finalists": {"targets": [WIDE, changed]}}))
    where = "spec.finalists.targets[]" + (f".{path}" if path else "")
    assert message_of(where, field) in said


def test_a_target_gets_no_dataset_later(server: Server) -> None:
    changed = {**WIDE, "dataset": {"name": "digits"}}
    said = refusal(server.change("asked", {"finalists": {"targets": [changed, OTHER]}}))
    assert RULES["spec.finalists.targets[]"][-1].message in said


def test_only_folders_of_images_have_a_size(server: Server) -> None:
    wrong = {"name": "a", "dataset": {"name": "npz", "imageSize": 8}}
    said = refusal(server.create(manifest({"finalists": {**ASKED, "targets": [wrong]}})))
    assert "imageSize is for imagefolder; images of other datasets keep their size" in said


def test_finalists_cannot_be_taken_away_but_given_later(server: Server) -> None:
    (taken,) = [rule for rule in RULES["spec"] if rule.message.startswith("finalists cannot")]
    assert taken.message in refusal(server.change("asked", {"finalists": None}))


@pytest.mark.parametrize(
    "change",
    [
        {"count": 9},
        {"seeds": 3},
        {"continuous": True},
        {"volume": {"persistentVolumeClaim": None, "emptyDir": {}}},
        {"parallelism": 2, "resources": {"limits": {"cpu": 2}}, "timeout": "72h", "retries": 1},
        {"checkpoints": {"every": 5}, "processes": 2},
        {"targets": [WIDE, OTHER, {"name": "more"}]},
        {"targets": [{**WIDE, "count": 3, "seeds": 2}]},
    ],
    ids=str,
)
def test_all_else_may_change(server: Server, change: Any) -> None:
    assert accepted(server.change("asked", {"finalists": change}))


def test_kubectl_explain_knows_the_fields(installed: DevCluster) -> None:
    said = installed.kubectl("explain", "blocksearch.spec.finalists.training.epochs").stdout
    assert "The papers: 300 on CIFAR" in " ".join(said.split())
