# ruff: noqa: INP001 - a script beside the chart, and no package
"""Writes the table of values in the chart's README from the comments in values.yaml.

``python helm/values_table.py``, which is part of ``make generate``. A comment that begins with
``# --`` describes the value below it; lines that follow it, up to the value, belong to it.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CHART = Path(__file__).parent / "blockqnn"
BEGIN, END = "<!-- values -->\n", "<!-- end of values -->\n"

_LINE = re.compile(r"^(?P<indent> *)(?P<rest>\S.*)?$")
_KEY = re.compile(r"^(?P<key>[A-Za-z]\w*):(\s|$)")


class Value(NamedTuple):
    """One value that a user can set."""

    path: str
    """Its keys, joined by dots."""
    default: Any
    description: str


def described(text: str) -> Iterator[Value]:
    """Yield the described values of a values.yaml, in order.

    Raises:
        ValueError: when a description stands above no value.
    """
    defaults = yaml.safe_load(text)
    path: list[str] = []
    description: list[str] | None = None
    for line in text.splitlines():
        match = _LINE.match(line)
        assert match is not None
        depth, rest = len(match["indent"]) // 2, match["rest"] or ""
        if rest.startswith("# -- "):
            description = [rest.removeprefix("# -- ")]
        elif rest.startswith("#"):
            if description is not None:
                description.append(rest.lstrip("# "))
        elif key := _KEY.match(rest):
            path[depth:] = [key["key"]]
            if description is not None:
                yield Value(".".join(path), _at(defaults, path), " ".join(description))
            description = None
        elif description is not None:
            raise ValueError(f"values.yaml: {' '.join(description)!r} describes no value")


def _at(defaults: Any, path: list[str]) -> Any:
    for key in path:
        defaults = defaults[key]
    return defaults


def table(values: Iterator[Value]) -> str:
    """Return the values as a table in Markdown."""
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for value in values:
        default = json.dumps(value.default).replace("|", r"\|")
        description = value.description.replace("|", r"\|")
        rows.append(f"| `{value.path}` | `{default}` | {description} |")
    return "\n".join(rows) + "\n"


def with_table(readme: str, values: str) -> str:
    """Return a README with the table of a values.yaml between its two marks."""
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    return before + BEGIN + table(described(values)) + END + after


def main() -> int:
    """Write the table."""
    readme = CHART / "README.md"
    readme.write_text(with_table(readme.read_text(), (CHART / "values.yaml").read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
