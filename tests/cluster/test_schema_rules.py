"""Validation of a BlockSearch by the API server, and what the user then reads.

Each rule and each important bound has an accepted and a refused example. Nothing is stored: every
request is a server-side dry run, which is judged as a real one is.
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from schema_validation import Server, Spec, accepted, manifest, message_of, nested, refusal

from blockqnn.block.layer_types import PAPERS
from blockqnn_api.definition.cel_rules import RULES
from blockqnn_api.definition.effect_rules import EFFECT_RULES
from blockqnn_api.definition.rule import Rule
from blockqnn_devcluster import DevCluster


class Case(NamedTuple):
    """A field with a value that is accepted and one that is refused."""

    field: str
    accepted: Any
    refused: Any
    said: str
    """Words of the refusal besides the field: the allowed values, or what to do."""


def rule(path: str, number: int = 0) -> Rule:
    return RULES[path][number]


MORE = ("SeparableConvolution", "Bottleneck", "PreviousInput")
STAGE = {"epsilon": 0.5, "iterations": 1}

BOUNDS = [
    Case("preset", "CVPR2018", "Best", 'supported values: "AAAI2017", "CVPR2018"'),
    Case("seed", 2**53 - 1, 2**53, "less than or equal to 9007199254740991"),
    Case("seed", 0, -1, "greater than or equal to 0"),
    Case("suspend", True, "yes", "must be of type boolean"),
    Case("parallelism", 1, 0, "greater than or equal to 1"),
    Case("parallelism", 10_000, 10_001, "less than or equal to 10000"),
    Case("budget.trials", 99_999, 100_000, "less than or equal to 99999"),
    Case("budget.trials", 1, "all", "must be of type integer"),
    Case("budget.duration", "72h", "3d", rule("spec.budget.duration").message),
    Case("budget.gpuHours", 0.5, 0, "greater than 0"),
    Case("budget.targetAccuracy", 1, 1.01, "less than or equal to 1"),
    Case("budget.targetAccuracy", 0.7, 0, "greater than 0"),
    Case("suspendPolicy", "Stop", "Kill", 'supported values: "Drain", "Stop"'),
    Case("failurePolicy.retries", 20, 21, "less than or equal to 20"),
    Case("failurePolicy.maxFailedTrials", 0, -1, "greater than or equal to 0"),
    Case(
        "failurePolicy.trialTimeout",
        "1h30m",
        "soon",
        rule("spec.failurePolicy.trialTimeout").message,
    ),
    Case(
        "failurePolicy.trialTimeout", "90s", "90", rule("spec.failurePolicy.trialTimeout").message
    ),
    Case("failurePolicy.trialTimeout", "1s", "0s", "such as 90s, 45m or 1h30m"),
    Case(
        "failurePolicy.pendingTimeout",
        "5m",
        "5",
        rule("spec.failurePolicy.pendingTimeout").message,
    ),
    Case("space.maxLayers", 2, 1, "greater than or equal to 2"),
    Case("space.convolution", "Separate", "Both", 'supported values: "PCC", "Separate"'),
    Case("space.layers", ["Convolution"], [], "at least 1 items"),
    Case("space.layers", ["Convolution", "Add"], ["Convolution", "Sum"], '"MaxPooling", "Average'),
    Case("space.layers", [*PAPERS, *MORE], ["Convolution"] * 2, "Duplicate value"),
    Case("space.constraints.maxParameters", 10_000_000, 0, "greater than or equal to 1"),
    Case("space.constraints.maxMacs", 1, 0, "greater than or equal to 1"),
    Case("agent.algorithm", "RandomSearch", "random", "should match '^[A-Z][A-Za-z0-9]*$'"),
    Case("agent.shaping", "MetaQNN", "None", '"CVPR2018", "CVPR2018MaxIndex", "MetaQNN"'),
    Case("agent.batchSize", 4096, 4097, "less than or equal to 4096"),
    Case("agent.pipelining", 16, 17, "less than or equal to 16"),
    Case("agent.learningRate", 1, 0, "greater than 0"),
    Case("agent.epsilonSchedule", [STAGE], [], "at least 1 items"),
    Case("agent.epsilonSchedule", [STAGE], [{"epsilon": 0.5}], "iterations: Required value"),
    Case("agent.replay.sampleSize", 1, 0, "greater than or equal to 1"),
    Case("reward.macsWeight", -1.5, 1001, "less than or equal to 1000"),
    Case("network.filters", [8], [], "at least 1 items"),
    Case("network.filters", [8], [0], "greater than or equal to 1"),
    Case("network.repeats", 1, 0, "greater than or equal to 1"),
    Case("dataset.name", "npz", "mnist", '"digits", "npz", "cifar10", "cifar100"'),
    Case(
        "dataset",
        {"name": "npz", "path": "/images"},
        {"name": "npz", "path": ""},
        "at least 1 chars long",
    ),
    Case("dataset.validation.fraction", 0.5, 0, "greater than 0"),
    Case("dataset.validation.fraction", 0.5, 1, "less than 1"),
    Case(
        "dataset",
        {"name": "imagefolder", "imageSize": 32},
        {"name": "npz", "imageSize": 32},
        "imageSize is for imagefolder; images of other datasets keep their size",
    ),
    Case(
        "dataset",
        {"name": "npz", "volume": {"persistentVolumeClaim": {"claimName": "images"}}},
        {"name": "npz", "volume": {"emptyDir": {}, "hostPath": {"path": "/"}}},
        "must have at most 1 item",
    ),
    Case("training.epochs", 1, 0, "greater than or equal to 1"),
    Case("training.optimizer.name", "Adam", "SGD", 'supported values: "Adam"'),
    Case("training.restarts.factor", 0.4, 1, "less than 1"),
    Case("trial.image", "trainer:1", "", "at least 1 chars long"),
    Case("trial.resources", {"limits": {"cpu": 1, "memory": "1Gi"}}, {"limits": []}, "type object"),
    Case("trial.resources", {}, {"limits": {"cpu": []}}, "must be of type"),
    Case("trial.blocksPerJob", 8, 9, "less than or equal to 8"),
    Case("trial.blocksPerJob", 1, 0, "greater than or equal to 1"),
    Case("trial.podTemplate.spec", {"anything": ["goes"]}, "none", "must be of type object"),
    Case("trial.podTemplate.metadata.labels", {"team": "a"}, {"team": 1}, "must be of type string"),
    Case("trial.retain.failed", 1000, 1001, "less than or equal to 1000"),
]


@pytest.fixture(scope="module")
def server(installed: DevCluster) -> Iterator[Server]:
    """An API server with two searches: one says all it can, one leaves it to the preset."""
    namespace = f"schema-{uuid.uuid4().hex[:8]}"
    installed.kubectl("create", "namespace", namespace)
    for name, spec in (("explicit", EXPLICIT), ("brief", {})):
        installed.kubectl("create", "-n", namespace, "-f", "-", input=manifest(spec, name))
    yield Server(installed, namespace)
    installed.kubectl("delete", "namespace", namespace, "--wait=false")


def test_a_dataset_is_enough_and_the_preset_keeps_its_say(server: Server) -> None:
    answer = server.create(manifest({}))
    assert accepted(answer)
    spec = json.loads(answer.stdout)["spec"]
    assert (spec["preset"], spec["seed"], spec["parallelism"]) == ("Efficient", 0, 32)
    assert not {"budget", "space", "agent", "reward", "network", "training"} & set(spec)


@pytest.mark.parametrize("case", BOUNDS, ids=lambda case: f"{case.field}={case.refused!r}"[:60])
def test_a_wrong_value_is_refused_with_its_field_and_what_is_allowed(
    server: Server, case: Case
) -> None:
    assert accepted(server.create(manifest(nested(case.field, case.accepted))))
    said = refusal(server.create(manifest(nested(case.field, case.refused))))
    assert f"spec.{case.field}" in said
    assert case.said in said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"spec": {}}, "spec.dataset: Required value"),
        ({"spec": {"dataset": {}}}, "spec.dataset.name: Required value"),
        ({}, "spec: Required value"),
    ],
)
def test_a_search_without_a_dataset_is_refused(server: Server, body: Spec, said: str) -> None:
    head = {**json.loads(manifest({})), **body}
    if "spec" not in body:
        del head["spec"]
    assert said in refusal(server.create(json.dumps(head)))


@pytest.mark.parametrize(
    "field",
    [
        "typo",
        "budget.trails",
        "agent.epsilon",
        "dataset.url",
        "trial.gpus",
        "training.optimizer.lr",
    ],
)
def test_an_unknown_field_is_refused_by_name(server: Server, field: str) -> None:
    assert f'unknown field "spec.{field}"' in refusal(server.create(manifest(nested(field, 1))))


NAMES = [
    ("x" * 40, "x" * 41, rule("", 0)),
    ("a-search", "a.search", rule("", 1)),
]


@pytest.mark.parametrize(("good", "bad", "broken"), NAMES, ids=["length", "dot"])
def test_a_name_leaves_room_for_those_of_jobs_and_pods(
    server: Server, good: str, bad: str, broken: Rule
) -> None:
    assert accepted(server.create(manifest({}, good)))
    assert broken.message in refusal(server.create(manifest({}, bad)))


LIMITED: Spec = {"constraints": {"maxMacs": 10**9}}
SHAPE: Spec = {"channels": 3, "height": 32, "width": 32, "classes": 10}
TOGETHER: list[tuple[Spec, Spec, Rule]] = [
    (
        {"space": {**LIMITED, "adaptiveRepeats": True}},
        {"space": {"adaptiveRepeats": True}},
        next(rule for rule in RULES["spec.space"] if rule.message.startswith("adaptiveRepeats")),
    ),
    (
        {"space": {"layers": ["SeparableConvolution"]}},
        {"space": {"layers": ["Identity", "Bottleneck"]}},
        next(
            rule for rule in RULES["spec.space"] if rule.message.startswith("layers must have Conv")
        ),
    ),
    (
        {"space": {"layers": ["Convolution", "PreviousInput"], "convolution": "Separate"}},
        {"space": {"layers": ["Convolution", "Bottleneck"], "convolution": "Separate"}},
        next(rule for rule in RULES["spec.space"] if rule.message.startswith("layers can have")),
    ),
    (
        {"space": {"layers": ["Convolution", "Identity"], "startWithIdentity": True}},
        {"space": {"layers": ["Convolution"], "startWithIdentity": True}},
        next(
            rule for rule in RULES["spec.space"] if rule.message.startswith("layers must have Id")
        ),
    ),
    (
        {"space": LIMITED, "dataset": {"name": "npz", "shape": SHAPE}},
        {"space": LIMITED, "dataset": {"name": "npz"}},
        next(rule for rule in RULES["spec"] if rule.message.startswith("dataset.shape must")),
    ),
    (
        {"dataset": {"name": "imagefolder", "shape": SHAPE}},
        {"dataset": {"name": "cifar10", "shape": SHAPE}},
        next(rule for rule in RULES["spec.dataset"] if rule.message.startswith("shape is for")),
    ),
    (
        {"agent": {"batchSize": 4}, "trial": {"blocksPerJob": 4}},
        {"agent": {"batchSize": 4}, "trial": {"blocksPerJob": 5}},
        next(rule for rule in RULES["spec"] if rule.message.startswith("trial.blocksPerJob must")),
    ),
]
TOGETHER_NAMES = ["repeats", "convolution", "cells", "identity", "limits", "shape", "blocks"]


@pytest.mark.parametrize(("good", "bad", "broken"), TOGETHER, ids=TOGETHER_NAMES)
def test_fields_that_need_each_other_are_judged_together(
    server: Server, good: Spec, bad: Spec, broken: Rule
) -> None:
    assert accepted(server.create(manifest(good)))
    assert broken.message in refusal(server.create(manifest(bad)))


EXPLICIT: Spec = {
    "seed": 1,
    "space": {"maxLayers": 5},
    "agent": {"batchSize": 4},
    "reward": {"macsWeight": 1},
    "network": {"repeats": 2},
    "training": {"epochs": 2},
    "dataset": {
        "name": "imagefolder",
        "path": "/images",
        "imageSize": 32,
        "validation": {"fraction": 0.2},
    },
    "budget": {"trials": 8},
}

FIXED = [
    ("spec", "seed", 1, 2),
    ("spec", "space", {"maxLayers": 5}, {"maxLayers": 6}),
    ("spec", "agent", {"batchSize": 4}, {"discount": 0.5}),
    ("spec", "reward", {"macsWeight": 1}, {"macsWeight": 2}),
    ("spec", "network", {"repeats": 2}, {"filters": [8]}),
    ("spec", "training", {"epochs": 2}, {"epochs": 3}),
    ("spec.dataset", "name", "imagefolder", "cifar10"),
    ("spec.dataset", "imageSize", 32, 64),
    ("spec.dataset", "path", "/images", "/others"),
    ("spec.dataset", "validation", {"fraction": 0.2}, {"fraction": 0.3}),
]


@pytest.mark.parametrize(("path", "field", "same", "other"), FIXED, ids=[case[1] for case in FIXED])
def test_what_decides_about_results_cannot_change(
    server: Server, path: str, field: str, same: Any, other: Any
) -> None:
    inside = f"{path}.{field}".removeprefix("spec.")
    assert accepted(server.change("explicit", nested(inside, same)))
    said = refusal(server.change("explicit", nested(inside, other)))
    assert message_of(path, field) in said
    assert path in said


OPTIONAL = [case for case in FIXED if isinstance(case[2], dict)]


@pytest.mark.parametrize(("path", "field", "value", "_"), OPTIONAL, ids=[c[1] for c in OPTIONAL])
def test_what_was_left_to_the_preset_stays_with_it(
    server: Server, path: str, field: str, value: Any, _: Any
) -> None:
    inside = f"{path}.{field}".removeprefix("spec.")
    assert message_of(path, field) in refusal(server.change("brief", nested(inside, value)))
    assert message_of(path, field) in refusal(server.change("explicit", nested(inside, None)))


def test_every_rule_has_its_examples() -> None:
    """The preset alone cannot be changed to anything else that there is, yet."""
    shown = {message_of(path, field) for path, field, *_ in FIXED}
    shown |= {case.said for case in BOUNDS} | {broken.message for _, _, broken in NAMES}
    shown |= {broken.message for _, _, broken in TOGETHER}
    shown.add(message_of("spec.dataset", "shape"))
    shown.add(message_of("spec", "preset"))
    # Those about finalists have theirs in test_finalist_rules.py, and those about fields without
    # an effect in test_effect_rules.py.
    stated = {rule.message for path in RULES if "finalists" not in path for rule in RULES[path]}
    stated -= {rule.message for rules in EFFECT_RULES.values() for rule in rules}
    assert shown >= {message for message in stated if not message.startswith("finalists")}


@pytest.mark.parametrize(
    "change",
    [
        {"parallelism": 5},
        {"suspend": True},
        {"budget": {"trials": 80}},
        {"budget": {"trials": 1}},
        {"budget": {"trials": 8, "duration": "1h", "gpuHours": 2, "targetAccuracy": 0.7}},
        {"suspendPolicy": "Stop"},
        {"failurePolicy": {"maxFailedTrials": 1, "trialTimeout": "5m"}},
        {"trial": {"image": "trainer:2", "retain": {"succeeded": 3}}},
        {"trial": {"podTemplate": {"spec": {"nodeSelector": {"pool": "gpu"}}}}},
        {"trial": {"blocksPerJob": 4}},
    ],
    ids=str,
)
@pytest.mark.parametrize("search", ["explicit", "brief"])
def test_what_decides_about_the_running_may_change(
    server: Server, search: str, change: Spec
) -> None:
    assert accepted(server.change(search, change))


def test_the_volume_of_the_images_may_change(server: Server) -> None:
    assert accepted(server.change("explicit", {"dataset": {"volume": {"emptyDir": {}}}}))


def test_kubectl_explain_knows_the_fields(installed: DevCluster) -> None:
    explained = installed.kubectl("explain", "blocksearch.spec.agent.batchSize").stdout
    assert "Number of blocks that are proposed at a time" in explained
