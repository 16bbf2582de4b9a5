"""The pages of every field of a BlockSearch, from the schema of its definition."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from blockqnn_api.definition.crd import custom_resource_definition
from blockqnn_api.definition.schema import OPERATOR_FIELDS, PRESET_SECTIONS
from blockqnn_api.finalists_spec import PARTIAL_SECTIONS
from reference import markdown
from reference.markdown import code, codes, table

Schema = Mapping[str, Any]

FINALISTS = "spec.finalists"
"""The section that has a page of its own."""

_OF_THE_SPEC = """\
`spec.dataset.name` is the only required field. `kubectl explain blocksearch.spec` prints the same
texts. In the column *default*, *preset* means that [the preset](presets.md) fills in the field if
the search leaves it out. The API server refuses a BlockSearch that breaks a rule; the rules are its
messages. The fields of [`spec.finalists`](finalists-fields.md) and of [`status`](status-fields.md)
have their own pages.
"""

_OF_FINALISTS = """\
`spec.finalists` asks for complete trainings of the best blocks:
[Train finalists](../tasks/train-finalists.md) explains them. In the column *default*, *recipe*
means that the recipe or the search fills in the field. The other fields of the spec are in
[Fields of a BlockSearch](fields.md).
"""

_OF_THE_STATUS = """\
The operator writes the status; it is derived from the history and the Jobs. Its size is constant,
whatever the number of trials. [Conditions and Events](conditions.md) lists the values of `phase`
and `conditions`.
"""


class Section(NamedTuple):
    """An object of the schema, with its position in the resource."""

    path: str
    schema: Schema


def sections() -> Iterator[Section]:
    """Yield every object that has fields of its own, parents first."""
    for name in ("spec", "status"):
        yield from _within(Section(name, _root()["properties"][name]))


def _within(section: Section) -> Iterator[Section]:
    yield section
    for name, schema in section.schema["properties"].items():
        path, fields = f"{section.path}.{name}", schema
        if schema.get("type") == "array":
            path, fields = f"{path}[]", schema["items"]
        if "properties" in fields:
            yield from _within(Section(path, fields))


def spec_page() -> str:
    """Return the page of the spec without its finalists."""
    metadata = ["## metadata", _rules(_root())]
    parts = [s for s in sections() if s.path.startswith("spec") and not _of_finalists(s)]
    return markdown.page("Fields of a BlockSearch", _OF_THE_SPEC, *metadata, *_written(parts))


def finalists_page() -> str:
    """Return the page of ``spec.finalists``."""
    parts = [section for section in sections() if _of_finalists(section)]
    return markdown.page("Fields of finalists", _OF_FINALISTS, *_written(parts))


def status_page() -> str:
    """Return the page of the status."""
    parts = [section for section in sections() if section.path.startswith("status")]
    return markdown.page("Fields of the status", _OF_THE_STATUS, *_written(parts))


def _of_finalists(section: Section) -> bool:
    return section.path.startswith(FINALISTS)


def _written(parts: Iterable[Section]) -> Iterator[str]:
    for section in parts:
        yield f"## {section.path}"
        yield section.schema.get("description", "")
        yield _fields(section)
        yield _rules(section.schema)
        yield from map(_rules, _without_section(section))


def _root() -> Schema:
    version = custom_resource_definition()["spec"]["versions"][0]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


def _without_section(section: Section) -> list[Schema]:
    """Return the schemas of fields that have rules and no section of their own."""
    return [
        schema for schema in section.schema["properties"].values() if "properties" not in schema
    ]


def _fields(section: Section) -> str:
    rows = []
    for name, schema in section.schema["properties"].items():
        path = f"{section.path}.{name}"
        description = schema.get("description", "")
        if "properties" in schema:
            description = f"See [{path}]({_link(path)})."
        elif "properties" in schema.get("items", {}):
            description += f" See [{path}[]]({_link(path)})."
        row = [code(name), type_of(schema)]
        if path.startswith("spec"):
            row.append(_default(section, name, schema))
        rows.append([*row, description])
    header = ["field", "type", *(["default"] if section.path.startswith("spec") else []), "meaning"]
    return table(header, rows)


def _link(path: str) -> str:
    if path == FINALISTS:
        return "finalists-fields.md"
    return "#" + path.replace(".", "").replace("[]", "").lower()


def type_of(schema: Schema) -> str:
    """Return the type of a field and the range of its values, such as `integer, 1 to 64`."""
    if "x-kubernetes-int-or-string" in schema:
        return "integer or string"
    if "enum" in schema:
        return codes(map(str, schema["enum"]))
    kind = str(schema.get("type", "object"))
    if kind == "array":
        kind = f"list of {type_of(schema['items'])}"
    elif kind == "object" and "additionalProperties" in schema:
        kind = "map"
    elif schema.get("format") == "date-time":
        kind = "time"
    bounds = _range(schema)
    return f"{kind}, {bounds}" if bounds else kind


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    lowest = None if low is None else f"{low:,}"
    if low is not None and high is not None:
        if not schema.get("exclusiveMinimum"):
            return f"{lowest} to {high:,}"
        return (
            f"above {lowest}, {'below' if schema.get('exclusiveMaximum') else 'at most'} {high:,}"
        )
    if low is not None:
        return f"{'above' if schema.get('exclusiveMinimum') else 'at least'} {lowest}"
    for least, most, unit in (
        ("minLength", "maxLength", "characters"),
        ("minItems", "maxItems", "items"),
        ("minProperties", "maxProperties", "keys"),
    ):
        if least in schema and schema[least] == schema.get(most):
            return f"{schema[least]} {unit.removesuffix('s') if schema[least] == 1 else unit}"
        if least in schema and most in schema:
            return f"{schema[least]} to {schema[most]} {unit}"
        if most in schema:
            return f"at most {schema[most]} {unit}"
    return ""


def _default(section: Section, name: str, schema: Schema) -> str:
    path = f"{section.path}.{name}"
    if name in section.schema.get("required", []):
        return "required"
    if path in OPERATOR_FIELDS:
        return "as the operator was installed"
    if _is_in(path, PARTIAL_SECTIONS):
        return "recipe"
    if _is_in(path, PRESET_SECTIONS) and "properties" not in schema:
        return "preset"
    if "default" not in schema or "properties" in schema:
        return ""
    return code(json.dumps(schema["default"]))


def _is_in(path: str, sections: frozenset[str]) -> bool:
    inside = path.removeprefix("spec.")
    return any(inside.startswith(f"{section}.") for section in sections)


def _rules(schema: Schema) -> str:
    """Return the messages of a schema's rules; those of fixed fields become one sentence."""
    messages = [rule["message"] for rule in schema.get("x-kubernetes-validations", [])]
    fixed = [message for message in messages if _FIXED in message]
    lines = [message for message in messages if message not in fixed]
    if fixed:
        fields = codes(message.partition(" ")[0] for message in fixed)
        lines.append(f"These {_FIXED}: {fields}")
    return "\n".join(f"* {line}." for line in lines)


_FIXED = "cannot change once the search exists"
"""Part of the message that all rules about fixed fields share."""
