"""``validate FILE``: whether BlockSearches would be accepted, without a cluster."""

import argparse
import json

from blockqnn_cli import files
from blockqnn_cli.command import Command, Context
from blockqnn_cli.errors import ExitStatus
from blockqnn_cli.validation.checks import Checked, Problem, check_file
from blockqnn_cli.validation.documents import LARGEST_FILE


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="YAML or JSON; - for the standard input"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


def _run(context: Context) -> int:
    # One byte more than a file may have tells that it has too many.
    results = {
        name: check_file(files.read_bytes(name, LARGEST_FILE + 1)) for name in context.options.files
    }
    writer = as_json if context.options.output == "json" else as_text
    context.write(writer(results))
    good = all(searches and not any(s.problems for s in searches) for searches in results.values())
    return ExitStatus.OK if good else ExitStatus.FAILED


def as_text(results: dict[str, tuple[Checked, ...]]) -> str:
    """Write one line for each problem or warning, as compilers do, and one for a valid search."""
    lines = []
    for name, searches in results.items():
        if not searches:
            lines.append(f"{name}:1: There is no BlockSearch in this file.")
        for search in searches:
            lines += [f"{name}:{p.line}: {p.message}" for p in search.problems]
            lines += [f"{name}:{w.line}: warning: {w.message}" for w in search.warnings]
            if not search.problems:
                lines.append(f"{name}:{search.line}: BlockSearch {search.name} is valid.")
    return "\n".join(lines)


def as_json(results: dict[str, tuple[Checked, ...]]) -> str:
    """Write a list of the files' searches, each with its problems and warnings."""
    entries = [
        {
            "file": name,
            "line": search.line,
            "name": search.name,
            "valid": not search.problems,
            "problems": [_told(problem) for problem in search.problems],
            "warnings": [_told(warning) for warning in search.warnings],
        }
        for name, searches in results.items()
        for search in searches
    ]
    return json.dumps(entries, indent=2)


def _told(problem: Problem) -> dict[str, int | str]:
    return {"line": problem.line, "field": problem.field, "message": problem.message}


COMMAND = Command(
    "validate", "check BlockSearches in files, offline", _run, _add_arguments, of_search=False
)
