"""Searches in which one field is empty, for every field of the definition."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from blockqnn_api.definition.crd import custom_resource_definition

Path = tuple[str | int, ...]

SCHEMA: Mapping[str, Any] = custom_resource_definition()["spec"]["versions"][0]["schema"][
    "openAPIV3Schema"
]["properties"]["spec"]


def fields(schema: Mapping[str, Any] = SCHEMA, path: Path = ()) -> Iterator[Path]:
    """The paths of all fields of a spec; a list is entered by its first item."""
    for name, inner in schema.get("properties", {}).items():
        yield (*path, name)
        yield from fields(inner, (*path, name))
    if "items" in schema:
        yield from fields(schema["items"], (*path, 0))


def with_field(path: Path, value: Any) -> dict[str, Any]:
    """A spec with a field, and with the fields that those around it require."""
    spec: dict[str, Any] = {"dataset": {"name": "digits"}}
    node: Any = spec
    schema = SCHEMA
    for step, following in zip(path, (*path[1:], None), strict=True):
        schema = schema["items"] if step == 0 else schema["properties"][step]
        if following is None:
            node[step] = value
            return spec
        if step == 0:
            node.append(_required(schema))
        else:
            node.setdefault(step, [] if following == 0 else _required(schema))
        node = node[step]
    return spec


def without_field(path: Path) -> dict[str, Any]:
    """The spec of :func:`with_field` without the field."""
    spec = with_field(path, None)
    node: Any = spec
    for step in path[:-1]:
        node = node[step]
    del node[path[-1]]
    return spec


def _required(schema: Mapping[str, Any]) -> Any:
    """A value with the fields that must be there."""
    if "default" in schema:
        return copy.deepcopy(schema["default"])
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            required = {
                name: _required(schema["properties"][name]) for name in schema.get("required", ())
            }
            return required or ({"emptyDir": {}} if schema.get("minProperties") else {})
        case "array":
            return [_required(schema["items"])] * schema.get("minItems", 0)
        case "integer":
            return max(schema.get("minimum", 1), 1)
        case "number":
            return schema.get("maximum", 1) / 2
        case "boolean":
            return False
    return "x1"
