"""Checks a value against a structural schema, as the API server checks an object."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from blockqnn_api.errors import write_value
from blockqnn_api.spelling import nearest
from blockqnn_cli.validation.documents import Path

Schema = Mapping[str, Any]


_NOWHERE: Mapping[str, str] = {}


class Finding(NamedTuple):
    """Something that is wrong with a field."""

    path: Path
    message: str
    """A clause that completes a sentence which begins with the field's name."""


_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}

_ARTICLES = {
    "object": "a map",
    "array": "a list",
    "string": "a string",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}


def without_nulls(value: Any, schema: Schema | None) -> Any:
    """Return a value without its empty fields, as the API server drops them.

    It drops those that the schema knows. Empty items of a list stay, and so does everything in a
    part that may have any fields.
    """
    if schema is None:
        return value
    if isinstance(value, list):
        return [without_nulls(item, schema.get("items")) for item in value]
    if not isinstance(value, dict):
        return value
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    kept = {}
    for name, item in value.items():
        inner = properties.get(name, others)
        if item is not None or inner is None:
            kept[name] = without_nulls(item, inner)
    return kept


def field_paths(schema: Schema, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of all fields in maps of a schema."""
    for name, inner in schema.get("properties", {}).items():
        yield (*path, name)
        yield from field_paths(inner, (*path, name))


def findings(
    value: Any, schema: Schema, path: Path = (), elsewhere: Mapping[str, str] = _NOWHERE
) -> Iterator[Finding]:
    """Yield the findings about a value, field by field.

    Args:
        value: the value, without the fields that :func:`without_nulls` leaves out.
        schema: the structural schema that it must keep.
        path: its path.
        elsewhere: fields that may be suggested in other places, with their written paths.
    """
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield Finding(path, f"is {write_value(value)}; it must be a whole number or a string")
        return
    expected = schema.get("type")
    if expected and not _is_of(value, expected):
        yield Finding(path, f"is {write_value(value)}; it must be {_ARTICLES[expected]}")
        return
    for check in _CHECKS:
        message = check(value, schema)
        if message:
            yield Finding(path, message)
    if isinstance(value, dict):
        yield from _fields(value, schema, path, elsewhere)
    elif isinstance(value, list) and "items" in schema:
        for position, item in enumerate(value):
            yield from findings(item, schema["items"], (*path, position), elsewhere)


def _is_of(value: Any, expected: str) -> bool:
    if isinstance(value, bool) and expected != "boolean":
        return False
    if expected == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[expected])


def _fields(
    value: Mapping[Any, Any], schema: Schema, path: Path, elsewhere: Mapping[str, str]
) -> Iterator[Finding]:
    properties = schema.get("properties")
    for name in schema.get("required", ()):
        if name not in value:
            yield Finding((*path, name), "is missing")
    for name, item in value.items():
        inner = (*path, str(name))
        if properties is not None and name in properties:
            yield from findings(item, properties[name], inner, elsewhere)
        elif isinstance(schema.get("additionalProperties"), Mapping):
            yield from findings(item, schema["additionalProperties"], inner, elsewhere)
        elif properties is not None and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield Finding(inner, f"is not a field; {_suggestion(str(name), properties, elsewhere)}")


def _suggestion(name: str, fields: Mapping[str, Any], elsewhere: Mapping[str, str]) -> str:
    """Suggest the field that was probably meant, here or elsewhere; else list the fields here."""
    meant = nearest(name, fields) or elsewhere.get(nearest(name, elsewhere) or "")
    if meant is not None:
        return f"did you mean {meant}?"
    return f"the fields here are {', '.join(sorted(fields))}"


def _enum(value: Any, schema: Schema) -> str:
    allowed = schema.get("enum")
    if allowed is None or value in allowed:
        return ""
    return f"is {write_value(value)}; it must be {' or '.join(map(str, allowed))}"


def _bounds(value: Any, schema: Schema) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return ""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value < low or (value == low and schema.get("exclusiveMinimum"))):
        word = "more than" if schema.get("exclusiveMinimum") else "at least"
        return f"is {write_value(value)}; it must be {word} {low}"
    if high is not None and (value > high or (value == high and schema.get("exclusiveMaximum"))):
        word = "less than" if schema.get("exclusiveMaximum") else "at most"
        return f"is {write_value(value)}; it must be {word} {high}"
    return ""


_SIZES: dict[type, tuple[str, str]] = {
    str: ("Length", "characters"),
    list: ("Items", "items"),
    dict: ("Properties", "fields"),
}


def _sizes(value: Any, schema: Schema) -> str:
    suffix, unit = _SIZES.get(type(value), ("Nothing", ""))
    low, high = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
    if low is not None and len(value) < low:
        return f"has {len(value)} {unit}; it must have at least {low}"
    if high is not None and len(value) > high:
        return f"has {len(value)} {unit}; it must have at most {high}"
    return ""


def _pattern(value: Any, schema: Schema) -> str:
    pattern = schema.get("pattern")
    if pattern is None or not isinstance(value, str) or re.search(pattern, value):
        return ""
    return f"is {write_value(value)}; it must match {pattern}"


_CHECKS: tuple[Callable[[Any, Schema], str], ...] = (_enum, _bounds, _sizes, _pattern)
