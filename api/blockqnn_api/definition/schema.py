"""Translation of the models to the structural OpenAPI schema that the API server enforces.

Pydantic writes JSON Schema; a CustomResourceDefinition takes OpenAPI 3.0 with Kubernetes'
extensions. This module translates the differences: references are inlined, nullable unions become
plain types, exclusive bounds become flags, open maps are marked, and the validation rules of
:mod:`blockqnn_api.definition.cel_rules` are attached.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from blockqnn.model import Model
from blockqnn_api.definition.cel_rules import RULES
from blockqnn_api.definition.effect_rules import notes
from blockqnn_api.definition.rule import Rule
from blockqnn_api.finalists_spec import PARTIAL_SECTIONS

Schema = dict[str, Any]

PRESET_SECTIONS = frozenset(
    {"budget", "space", "agent", "reward", "network", "training", "dataset.validation"}
)
"""Fields that a preset fills in. They have no default: the API server would write it into the
object, and the preset could never win."""

OPERATOR_FIELDS = frozenset({"spec.trial.image", "spec.trial.resources"})
"""Fields that the operator fills in: they have no default either. The image is the one that it was
installed with. In a map whose keys a user chooses a stored default could not be removed again:
``kubectl apply`` removes only what an earlier one has set."""

_NOTES = notes()
"""Sentences that stand after the descriptions of fields, by path."""

_COPIED = (
    "description", "type", "format", "enum", "default", "minimum", "maximum", "pattern",
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
)  # fmt: skip


def openapi(model: type[Model], path: str) -> Schema:
    """Return the structural schema of a model.

    Args:
        model: the model of the object at ``path``.
        path: the position of the object in the resource, such as ``spec``; it selects the rules.
    """
    root = model.model_json_schema(by_alias=True)
    return _Translation(root.get("$defs", {})).translate(root, path)


class _Translation:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def translate(self, node: Mapping[str, Any], path: str) -> Schema:
        node = self._resolved(node)
        if _is_int_or_string(node):
            longest = {key: node[key] for key in ("maxLength",) if key in node}
            return {"x-kubernetes-int-or-string": True, **longest}
        schema: Schema = {key: node[key] for key in _COPIED if key in node}
        _describe(schema, path)
        if schema.get("default", "") is None or not _has_defaults(path):
            schema.pop("default", None)
        if isinstance(schema.get("default"), dict):
            schema["default"] = _without_operator_fields(schema["default"], path)
        if "const" in node:
            schema["enum"] = [node["const"]]
        for bound, flag in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if flag in node:
                schema |= {bound: node[flag], flag: True}
        # Of a pair OpenAPI has one schema for all items, and both are of the same.
        items = node.get("items") or next(iter(node.get("prefixItems", ())), None)
        if items is not None:
            schema["items"] = self.translate(items, f"{path}[]")
        if node.get("type") == "object":
            schema |= self._object(node, path)
        rules = RULES.get(path)
        if rules:
            schema["x-kubernetes-validations"] = [_rule(rule) for rule in rules]
        return schema

    def _resolved(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Follow references and drop ``null``: in Kubernetes a field is absent, not null."""
        merged = dict(node)
        while True:
            if "$ref" in merged:
                name = merged.pop("$ref").rsplit("/", 1)[-1]
                merged = {**self._definitions[name], **merged}
            elif "anyOf" in merged and any(part == {"type": "null"} for part in merged["anyOf"]):
                rest = [part for part in merged.pop("anyOf") if part != {"type": "null"}]
                merged = {**(rest[0] if len(rest) == 1 else {"anyOf": rest}), **merged}
            else:
                return merged

    def _object(self, node: Mapping[str, Any], path: str) -> Schema:
        if "properties" not in node:
            values = node.get("additionalProperties", True)
            if values is True:
                return {"x-kubernetes-preserve-unknown-fields": True}
            return {"additionalProperties": self.translate(values, f"{path}.*")}
        properties = {
            name: self.translate(child, f"{path}.{name}")
            for name, child in node["properties"].items()
        }
        required = _required(node, path)
        return {"properties": properties, **({"required": required} if required else {})}


def _required(node: Mapping[str, Any], path: str) -> list[str]:
    if path == "spec":
        return ["dataset"]
    if path == "spec.dataset":
        return ["name"]
    if path == "status" or (_is_filled_in(path) and not path.endswith("[]")):
        return []
    return list(node.get("required", []))


def _is_filled_in(path: str) -> bool:
    inside = path.removeprefix("spec.")
    sections = PRESET_SECTIONS | PARTIAL_SECTIONS
    return any(inside == section or inside.startswith(f"{section}.") for section in sections)


def _has_defaults(path: str) -> bool:
    if path in OPERATOR_FIELDS:
        return False
    return path.startswith("spec") and not _is_filled_in(path)


def _without_operator_fields(default: Mapping[str, Any], path: str) -> Schema:
    return {
        key: value
        for key, value in default.items()
        if value is not None and f"{path}.{key}" not in OPERATOR_FIELDS
    }


def _is_int_or_string(node: Mapping[str, Any]) -> bool:
    types = {part.get("type") for part in node.get("anyOf", ())}
    return types == {"integer", "string"}


def _describe(schema: Schema, path: str) -> None:
    """Lay a docstring out as running text: one line for each paragraph, the note last."""
    if "description" not in schema:
        return
    paragraphs = inspect.cleandoc(schema["description"]).split("\n\n")
    paragraphs += [_NOTES[path]] if path in _NOTES else []
    schema["description"] = "\n\n".join(" ".join(part.split()) for part in paragraphs)


def _rule(rule: Rule) -> Schema:
    return {"rule": rule.rule, "message": rule.message}
