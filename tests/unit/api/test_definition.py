"""The CustomResourceDefinition: current, strict, explained, and open to the presets."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from repository_paths import ROOT

from blockqnn.settings.presets import PRESETS
from blockqnn_api.definition.cel_rules import RULES
from blockqnn_api.definition.crd import custom_resource_definition, render
from blockqnn_api.definition.schema import PRESET_SECTIONS
from blockqnn_api.status import BlockSearchStatus, ConditionType, Phase

CRD = ROOT / "crds" / "blockqnn.dev_blocksearches.yaml"

Schema = dict[str, Any]


def version() -> Schema:
    (only,) = custom_resource_definition()["spec"]["versions"]
    return only  # type: ignore[no-any-return]


def nodes(schema: Schema | None = None, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every part of the schema with its path; `[]` are the items of a list, `*` those of a map."""
    if schema is None:
        schema = version()["schema"]["openAPIV3Schema"]
    yield path, schema
    children = {name: child for name, child in schema.get("properties", {}).items()}
    if "additionalProperties" in schema:
        children["*"] = schema["additionalProperties"]
    for name, child in children.items():
        yield from nodes(child, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def property_at(path: str) -> Schema:
    return dict(nodes())[path]


KUBERNETES_OWN = ("apiVersion", "kind", "metadata")


def fields() -> Iterator[tuple[str, Schema]]:
    for path, schema in nodes():
        if path and path not in KUBERNETES_OWN and not path.endswith(("[]", "*")):
            yield path, schema


def test_the_definition_that_is_checked_in_is_current() -> None:
    """`make generate` writes it."""
    assert CRD.read_text() == render()
    assert yaml.safe_load(CRD.read_text()) == custom_resource_definition()


def test_it_is_a_blocksearch_with_a_status_and_a_short_name() -> None:
    definition = custom_resource_definition()
    names = definition["spec"]["names"]
    assert definition["metadata"]["name"] == "blocksearches.blockqnn.dev"
    assert (names["kind"], names["shortNames"]) == ("BlockSearch", ["bs"])
    assert version()["subresources"] == {"status": {}}


def test_kubectl_get_shows_what_a_search_is_doing() -> None:
    columns = version()["additionalPrinterColumns"]
    shown = [column["name"] for column in columns if not column["priority"]]
    wide = [column["name"] for column in columns if column["priority"]]
    assert shown == ["Phase", "Trials", "Running", "Best", "Epsilon", "Age"]
    assert wide == ["Failed", "Cached", "Finalists", "Converged", "ETA", "Message"]


@pytest.mark.parametrize("column", version()["additionalPrinterColumns"], ids=lambda c: c["name"])
def test_every_column_shows_a_field_that_there_is(column: Schema) -> None:
    path = column["jsonPath"].lstrip(".")
    if path == "metadata.creationTimestamp":
        return
    kind = "string" if column["type"] == "date" else column["type"]
    assert property_at(path)["type"] == kind


@pytest.mark.parametrize(("path", "schema"), list(fields()), ids=[path for path, _ in fields()])
def test_kubectl_explain_has_a_sentence_for_every_field(path: str, schema: Schema) -> None:
    assert len(schema.get("description", "").split()) >= 2
    assert schema["description"].rstrip().endswith((".", "`.", ")", "...", ","))


OBJECTS = [
    (path, schema)
    for path, schema in nodes()
    if schema.get("type") == "object" and path != "metadata"
]


@pytest.mark.parametrize(("path", "schema"), OBJECTS, ids=[path for path, _ in OBJECTS])
def test_every_object_names_its_fields_or_is_open_on_purpose(path: str, schema: Schema) -> None:
    if path.endswith(".volume") or path in ("spec.trial.podTemplate.spec", "spec.agent.settings"):
        assert schema["x-kubernetes-preserve-unknown-fields"] is True
        return
    assert "x-kubernetes-preserve-unknown-fields" not in schema
    assert ("properties" in schema) != ("additionalProperties" in schema)


def test_every_value_has_a_type() -> None:
    for path, schema in nodes():
        assert "type" in schema or schema.get("x-kubernetes-int-or-string"), path


def in_a_preset(path: str) -> bool:
    return any(
        path == f"spec.{section}" or path.startswith((f"spec.{section}.", f"spec.{section}["))
        for section in PRESET_SECTIONS
    )


def test_what_a_preset_fills_has_no_default_of_its_own() -> None:
    """The API server would write the default into the object, and the preset could never win."""
    assert not [path for path, schema in nodes() if in_a_preset(path) and "default" in schema]


def test_what_a_preset_fills_is_not_required() -> None:
    for path, schema in nodes():
        if in_a_preset(path) and not path.endswith("[]"):
            assert "required" not in schema, path


def test_only_the_name_of_the_dataset_must_be_given() -> None:
    assert property_at("spec")["required"] == ["dataset"]
    assert property_at("spec.dataset")["required"] == ["name"]


def test_whatever_no_preset_fills_has_a_default_or_may_be_absent() -> None:
    assert property_at("spec.parallelism")["default"] == 32
    assert property_at("spec.failurePolicy")["default"]["trialTimeout"] == "2h"
    assert property_at("spec.trial.retain")["default"] == {"failed": 10, "succeeded": 0}
    assert "default" not in property_at("spec.dataset.volume")


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_field_of_a_preset_is_a_field_of_the_resource(name: str) -> None:
    paths = dict(nodes())
    for section, content in PRESETS[name].items():
        for field in content:
            assert f"spec.{section}.{field}" in paths


def test_the_status_has_no_defaults_and_needs_no_field() -> None:
    for path, schema in nodes():
        assert not (path.startswith("status") and "default" in schema), path
    assert "required" not in property_at("status")


def test_the_lists_and_texts_of_the_status_are_bounded() -> None:
    assert property_at("status.top")["maxItems"] == 10
    assert property_at("status.message")["maxLength"] == 1024
    assert property_at("status.conditions[].message")["maxLength"] == 1024
    assert property_at("status.conditions")["x-kubernetes-list-map-keys"] == ["type"]


def test_the_words_of_phases_and_conditions_are_listed() -> None:
    assert property_at("status.phase")["enum"] == [phase.value for phase in Phase]
    assert property_at("status.conditions[].type")["enum"] == [kind.value for kind in ConditionType]


def test_every_rule_stands_where_it_was_meant_to() -> None:
    for path, rules in RULES.items():
        stated = property_at(path)["x-kubernetes-validations"]
        assert [(rule["rule"], rule["message"]) for rule in stated] == list(rules)


def test_rules_that_the_api_server_weighs_stand_on_bounded_values() -> None:
    """Its cost estimate assumes the worst of what has no bound, and refuses the definition."""
    assert property_at("spec.failurePolicy.trialTimeout")["maxLength"] == 16
    assert property_at("spec.agent.epsilonSchedule")["maxItems"] == 64


@pytest.mark.parametrize("bound", ["minimum", "maximum"])
@pytest.mark.parametrize("path", ["spec.seed", "spec.parallelism", "spec.budget.trials"])
def test_numbers_are_bounded(path: str, bound: str) -> None:
    assert bound in property_at(path)


def test_exclusive_bounds_are_flags_as_openapi_3_0_has_them() -> None:
    fraction = property_at("spec.dataset.validation.fraction")
    assert (fraction["minimum"], fraction["exclusiveMinimum"]) == (0, True)
    assert (fraction["maximum"], fraction["exclusiveMaximum"]) == (1, True)


def test_an_empty_status_is_a_legal_one_to_the_api_server_and_none_to_the_operator() -> None:
    with pytest.raises(ValueError, match="observedGeneration"):
        BlockSearchStatus.model_validate({})


def test_the_trainers_image_is_left_to_the_operator() -> None:
    """A default here would be written into the object, and the operator's could never win."""
    assert "default" not in property_at("spec.trial.image")
    assert "image" not in property_at("spec.trial")["default"]


def test_no_map_of_a_users_own_keys_has_a_default_that_apply_could_not_remove() -> None:
    """``kubectl apply`` removes only the keys that an earlier one has set."""
    open_maps = {
        path
        for path, schema in nodes()
        if schema.get("additionalProperties") or schema.get("x-kubernetes-preserve-unknown-fields")
    }
    assert "spec.trial.resources" in open_maps
    assert not [path for path in open_maps if property_at(path).get("default")]
    assert "resources" not in property_at("spec.trial")["default"]


def test_no_default_is_null() -> None:
    """In Kubernetes a field is absent, not null."""
    assert "null" not in json.dumps([s["default"] for _, s in nodes() if "default" in s])
