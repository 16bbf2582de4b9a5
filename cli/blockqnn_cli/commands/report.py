"""``report NAME -o FILE``: a search as one page to be sent around."""

import argparse
from datetime import UTC, datetime

from blockqnn_cli import files
from blockqnn_cli.command import Command, Context
from blockqnn_cli.errors import ExitStatus, NothingYet
from blockqnn_cli.report.page import report
from blockqnn_cli.view import SearchView


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="default: NAME.html; - for the standard output"
    )
    parser.add_argument(
        "--beside",
        metavar="OTHER",
        nargs="+",
        default=[],
        help="compare with these searches of the namespace; searches that differ only in the seed "
        "are one line with a confidence band",
    )


def _with_trials(search: SearchView) -> SearchView:
    search.started()
    if not search.records:
        raise NothingYet(
            f"The search {search.key} has no trial in its history yet, so there is nothing to "
            "report."
        )
    return search


def _run(context: Context) -> int:
    search = _with_trials(context.search())
    beside = [
        _with_trials(context.searches.get(context.namespace, name))
        for name in dict.fromkeys(context.options.beside)
        if name != search.name
    ]
    trained = context.searches.finalists(search) if "finalists" in search.spec else ()
    file = context.options.output or f"{search.name}.html"
    files.write(file, report(search, datetime.now(UTC), beside, trained))
    if file != files.STANDARD:
        context.write(f"Wrote the report of {search.key} to {file}.")
    return ExitStatus.OK


COMMAND = Command("report", "write a report about a search, as one HTML file", _run, _add_arguments)
