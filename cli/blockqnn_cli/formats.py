"""Writes values for programs."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

import yaml

from blockqnn_cli.plain import cell


def dump(value: Any, output: str) -> str:
    """Write a value of JSON types as ``json`` or ``yaml``, its fields in their order."""
    if output == "json":
        return json.dumps(value, indent=2)
    return yaml.safe_dump(value, sort_keys=False)


def csv_text(titles: Iterable[str], rows: Iterable[Iterable[str | float | None]]) -> str:
    """Write a table as CSV with a line of titles; unknown values are empty.

    Texts that a spreadsheet would take for a formula begin with an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows(map(cell, row) for row in rows)
    return text.getvalue()
