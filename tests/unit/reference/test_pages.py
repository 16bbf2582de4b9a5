"""The pages of docs/reference/ that are written from the code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from reference import PAGES
from reference.docstrings import attribute_docstrings, member_docstrings
from reference.fields import sections, type_of
from reference.markdown import table
from repository_paths import ROOT

from blockqnn_api.events import EventReason
from blockqnn_api.status import CONDITION_REASONS, ConditionType, Phase, Reason

OPERATOR = ROOT / "operator" / "blockqnn_operator"


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_current(name: str) -> None:
    """`make generate` writes it."""
    assert (ROOT / "docs" / "reference" / name).read_text() == PAGES[name]()


def test_every_field_has_a_description() -> None:
    for section in sections():
        for name, schema in section.schema["properties"].items():
            if "properties" not in schema:
                assert schema.get("description"), f"{section.path}.{name}"


def test_every_field_is_on_one_page() -> None:
    pages = "".join(text() for name, text in PAGES.items() if name.endswith("fields.md"))
    for section in sections():
        assert pages.count(f"\n## {section.path}\n") == 1, section.path
        for name in section.schema["properties"]:
            assert f"| `{name}` |" in pages


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 4096}, "integer, 1 to 4,096"),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, "number, above 0"),
        (
            {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1},
            "number, above 0, at most 1",
        ),
        ({"type": "string", "enum": ["Drain", "Stop"]}, "`Drain`, `Stop`"),
        (
            {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
            "list of integer, at most 3 items",
        ),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "map"),
        ({"type": "string", "format": "date-time"}, "time"),
        ({"x-kubernetes-int-or-string": True}, "integer or string"),
    ],
)
def test_types_are_given_with_their_ranges(schema: dict[str, object], text: str) -> None:
    assert type_of(schema) == text


def test_every_phase_condition_reason_and_event_is_explained() -> None:
    for kind in (Phase, ConditionType, Reason, EventReason):
        assert len(member_docstrings(kind)) == len(kind)


def test_every_reason_belongs_to_a_condition() -> None:
    listed = {
        reason for reasons in CONDITION_REASONS.values() for part in reasons for reason in part
    }
    assert listed == set(Reason)
    assert set(CONDITION_REASONS) == set(ConditionType)


def test_every_event_of_the_operator_is_documented_and_no_other() -> None:
    named = {reason for path in OPERATOR.rglob("*.py") for reason in event_reasons(path)}
    assert named == {str(reason) for reason in EventReason}


def event_reasons(path: Path) -> Iterator[str]:
    """Yield the literal reasons of the Events that a module creates."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "Event"
        ):
            arguments = [*node.args[2:3], *(k.value for k in node.keywords if k.arg == "reason")]
            for part in (part for argument in arguments for part in ast.walk(argument)):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value
        is_reason = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason"
        if is_reason and isinstance(node.value, ast.Constant):
            yield str(node.value.value)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "EventReason":
            yield EventReason[node.attr]


class Documented:
    """A class with attributes that have texts."""

    first = 1
    """The text of the first."""
    second = 2


def test_the_texts_below_assignments_are_read() -> None:
    assert attribute_docstrings(Documented) == {"first": "The text of the first."}


def test_cells_hold_bars_and_paragraphs() -> None:
    assert table(["a", "b"], [["x | y", "one\ntwo\n\nthree"]]).splitlines() == [
        "| a | b |",
        "| --- | --- |",
        r"| x \| y | one two<br>three |",
    ]
