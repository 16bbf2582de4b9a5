"""``trials NAME``: what became of each trial."""

import argparse

from blockqnn.contract.message import Outcome
from blockqnn_cli import trials
from blockqnn_cli.command import Command, Context
from blockqnn_cli.errors import ExitStatus
from blockqnn_cli.parquet import as_parquet


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        choices=("table", "csv", "json", "parquet"),
        default="table",
        help="json: a list of the history's records; parquet: the columns of the csv, in a file or "
        "a pipe",
    )
    parser.add_argument(
        "--top", type=_positive, metavar="N", help="show the N best only, by reward or by --sort"
    )
    parser.add_argument("--sort", choices=tuple(trials.SORTS), help="default: trial")
    parser.add_argument(
        "--outcome", choices=[outcome.lower() for outcome in Outcome], help="show this outcome only"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _run(context: Context) -> int:
    options, search = context.options, context.search()
    search.started()
    records = trials.chosen(
        search.records, sort=options.sort, top=options.top, outcome=options.outcome
    )
    if options.output == "csv":
        context.write(trials.as_csv(records))
    elif options.output == "json":
        context.write(trials.as_json(records))
    elif options.output == "parquet":
        context.write_bytes(as_parquet(records))
    else:
        context.console.print(trials.table(records))
    return ExitStatus.OK


COMMAND = Command("trials", "list the trials whose results are known", _run, _add_arguments)
