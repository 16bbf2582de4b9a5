"""``report NAME -o FILE``: a search as one page to be sent around."""

import argparse
from datetime import UTC, datetime

from blockqnn_cli import files
from blockqnn_cli.command import Command, Context
from blockqnn_cli.errors import ExitStatus, NothingYet
from blockqnn_cli.report.page import report


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="default: NAME.html; - for the standard output"
    )


def _run(context: Context) -> int:
    search = context.search()
    search.started()
    if not search.records:
        raise NothingYet(
            f"The search {search.key} has no trial in its history yet, so there is nothing to "
            "report."
        )
    file = context.options.output or f"{search.name}.html"
    files.write(file, report(search, datetime.now(UTC)))
    if file != files.STANDARD:
        context.write(f"Wrote the report of {search.key} to {file}.")
    return ExitStatus.OK


COMMAND = Command("report", "write a page about a search, in one file", _run, _add_arguments)
