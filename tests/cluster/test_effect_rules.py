"""Fields without an effect: what the API server refuses, and objects that are older than the rules.

The rules are generated, and so are their examples here.
"""

import copy
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from schema_validation import Server, accepted, manifest, nested, refusal

from blockqnn.strategies.registry import BUILT_IN
from blockqnn_api.definition.crd import custom_resource_definition
from blockqnn_api.definition.effect_rules import EFFECT_RULES
from blockqnn_api.unused_settings import AGENT_FIELDS, DEPENDENCIES, Dependency
from blockqnn_devcluster import DevCluster

Spec = dict[str, Any]

VALUES: Spec = {
    "pipelining": 1,
    "randomStep": "Flat",
    "learningRate": 0.5,
    "discount": 1,
    "duplicates": "Redraw",
    "state": "LastLayer",
    "shaping": "Uniform",
    "rewardScale": "Rank",
    "initialization": "Constant",
    "initialValue": 1,
    "epsilonSchedule": [{"epsilon": 1, "iterations": 1}],
    "replay": {},
    "evolution": {},
    "earlyTermination": {},
    "predictor": {},
    "settings": {},
}
"""A value of each field of the agent."""


@pytest.fixture(scope="module")
def server(installed: DevCluster) -> Iterator[Server]:
    namespace = f"effects-{uuid.uuid4().hex[:8]}"
    installed.kubectl("create", "namespace", namespace)
    yield Server(installed, namespace)
    installed.kubectl("delete", "namespace", namespace, "--wait=false")


def uses(algorithm: str, field: str) -> bool:
    strategy = BUILT_IN[algorithm]
    if field == "settings":
        return bool(strategy.Settings.model_fields)
    return AGENT_FIELDS[field] in strategy.uses


@pytest.mark.parametrize("field", sorted(VALUES))
def test_a_field_is_accepted_with_the_algorithms_that_use_it(server: Server, field: str) -> None:
    for algorithm in (None, *BUILT_IN, "Installed"):
        chosen = {} if algorithm is None else {"algorithm": algorithm}
        agent = {**chosen, field: VALUES[field]}
        answer = server.create(manifest({"agent": agent}))
        # Of another package's algorithm the operator judges; each preset's is Q-learning.
        if algorithm == "Installed" or uses(algorithm or "QLearning", field):
            assert accepted(answer)
        else:
            assert f"{field} has no effect with algorithm " in refusal(answer)
            assert "; leave it out" in refusal(answer)


@pytest.mark.parametrize("field", ["predictor", "earlyTermination"])
def test_a_field_that_is_switched_off_is_accepted(server: Server, field: str) -> None:
    for algorithm in BUILT_IN:
        agent = {"algorithm": algorithm, field: {"enabled": False, "warmup": 20}}
        assert accepted(server.create(manifest({"agent": agent})))


TOLD = [d for d in DEPENDENCIES if d.field[0] == d.other[0]]
WRITTEN: Spec = {
    **VALUES,
    "sampleSize": 1,
    "weighting": "Rank",
    "optimism": 1,
    "keepRandom": 0.5,
    "factor": 0.5,
    "fraction": 0.5,
    "path": "/images",
    "volume": {"persistentVolumeClaim": {"claimName": "images"}},
}


def merged(one: Spec, other: Spec) -> Spec:
    both = {**one, **other}
    for key in one.keys() & other.keys():
        both[key] = merged(one[key], other[key]) if isinstance(one[key], dict) else other[key]
    return both


@pytest.mark.parametrize("dependency", TOLD, ids=lambda d: f"{d.field[-1]}-{d.other[-1]}")
def test_a_field_is_refused_with_a_value_that_leaves_it_no_effect(
    server: Server, dependency: Dependency
) -> None:
    images = {"dataset": {"name": "npz"}}
    alone = merged(images, nested(".".join(dependency.field), WRITTEN[dependency.field[-1]]))
    assert accepted(server.create(manifest(alone)))
    both = merged(alone, nested(".".join(dependency.other), dependency.value))
    assert f"{dependency.reason}; {dependency.remedy}" in refusal(server.create(manifest(both)))


@pytest.mark.parametrize(
    ("finalists", "field"),
    [
        ({"validation": {"source": "test", "fraction": 0.5}}, "fraction"),
        ({"targets": [{"name": "a", "dataset": {"name": "digits", "path": "/x"}}]}, "path"),
        (
            {
                "targets": [
                    {
                        "name": "a",
                        "dataset": {
                            "name": "npz",
                            "validation": {"source": "test", "fraction": 0.5},
                        },
                    }
                ]
            },
            "fraction",
        ),
    ],
)
def test_the_images_of_finalists_are_judged_as_those_of_the_search(
    server: Server, finalists: Spec, field: str
) -> None:
    answer = server.create(manifest({"finalists": {"volume": WRITTEN["volume"], **finalists}}))
    assert f"{field} has no effect with finalists." in refusal(answer)


def test_the_path_that_the_api_server_fills_in_is_accepted(server: Server) -> None:
    assert accepted(server.create(manifest({"dataset": {"name": "digits", "path": "/data"}})))


def test_a_predictor_that_is_switched_off_may_have_any_fields(server: Server) -> None:
    off = {"enabled": False, "candidates": 1, "optimism": 2}
    assert accepted(server.create(manifest({"agent": {"predictor": off}})))


def without_effect_rules() -> dict[str, Any]:
    """The definition as it was before there were such rules, of a kind of its own."""
    definition = copy.deepcopy(custom_resource_definition())
    definition["metadata"]["name"] = "oldsearches.old.blockqnn.dev"
    definition["spec"]["group"] = "old.blockqnn.dev"
    definition["spec"]["names"] = {"kind": "OldSearch", "plural": "oldsearches"}
    (version,) = definition["spec"]["versions"]
    for path, rules in EFFECT_RULES.items():
        node = version["schema"]["openAPIV3Schema"]
        for name in path.split("."):
            node = node["properties"][name.removesuffix("[]")]
            node = node["items"] if name.endswith("[]") else node
        stated = {(rule.rule, rule.message) for rule in rules}
        node["x-kubernetes-validations"] = [
            rule
            for rule in node["x-kubernetes-validations"]
            if (rule["rule"], rule["message"]) not in stated
        ]
    return definition


def with_effect_rules() -> dict[str, Any]:
    definition = without_effect_rules()
    definition["spec"]["versions"] = custom_resource_definition()["spec"]["versions"]
    return definition


OLD: Spec = {
    "agent": {
        "algorithm": "Evolution",
        "learningRate": 0.5,
        "replay": {"updates": 0, "sampleSize": 8},
        "predictor": {"candidates": 1, "optimism": 1},
    },
    "training": {"restarts": {"maximum": 0, "factor": 0.5}},
    "dataset": {"name": "digits", "validation": {"source": "test", "fraction": 0.5}},
    "budget": {"trials": 8},
}
"""A spec that breaks a rule at each place that has some."""


def test_an_object_that_is_older_than_the_rules_stays_as_it_is(
    installed: DevCluster, eventually: Any
) -> None:
    namespace = f"old-{uuid.uuid4().hex[:8]}"
    installed.kubectl("create", "namespace", namespace)

    def apply(definition: dict[str, Any]) -> None:
        installed.kubectl("apply", "--server-side", "-f", "-", input=yaml.safe_dump(definition))
        installed.wait_for_definitions()

    def ask(*arguments: str, text: str | None = None) -> Any:
        return installed.kubectl(*arguments, "-n", namespace, input=text, check=False)

    def body(name: str) -> str:
        search = json.loads(manifest(OLD, name))
        return json.dumps(
            {**search, "apiVersion": "old.blockqnn.dev/v1alpha1", "kind": "OldSearch"}
        )

    def patch(change: Spec, *more: str) -> Any:
        return ask("patch", "oldsearch", "begun", "--type=merge", *more, "-p", json.dumps(change))

    apply(without_effect_rules())
    try:
        eventually(lambda: ask("create", "-f", "-", text=body("begun")).returncode == 0)
        apply(with_effect_rules())
        # The API server takes a moment to judge by a new definition.
        eventually(
            lambda: ask("create", "--dry-run=server", "-f", "-", text=body("new")).returncode
        )
        said = refusal(ask("create", "--dry-run=server", "-f", "-", text=body("new")))
        for path, reason in (
            ("spec.agent", "learningRate has no effect with algorithm Evolution"),
            ("spec.agent.replay", "sampleSize has no effect with agent.replay.updates 0"),
            ("spec.agent.predictor", "optimism has no effect with agent.predictor.candidates 1"),
            ("spec.training.restarts", "factor has no effect with training.restarts.maximum 0"),
            ("spec.dataset.validation", "fraction has no effect with dataset.validation.source"),
        ):
            assert f"{path}: Invalid value" in said
            assert reason in said
        assert accepted(patch({"status": {"phase": "Running"}}, "--subresource=status"))
        assert accepted(patch({"spec": {"suspend": True, "budget": {"trials": 16}}}))
        assert accepted(patch({"spec": {"failurePolicy": {"retries": 5}}}))
        assert accepted(patch({"metadata": {"labels": {"team": "a"}, "finalizers": ["a.b/c"]}}))
        assert accepted(patch({"metadata": {"finalizers": None}}))
        # Another value at the same place is judged anew, and cannot change in any case.
        assert "cannot change" in refusal(patch({"spec": {"agent": {"learningRate": 0.1}}}))
    finally:
        ask("delete", "crd", "oldsearches.old.blockqnn.dev", "--wait=false")
        ask("delete", "namespace", namespace, "--wait=false")
