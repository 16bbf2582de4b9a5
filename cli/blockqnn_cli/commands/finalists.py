"""``finalists NAME``: what the best blocks reached after their complete training."""

import argparse

from blockqnn_api.history.finalist_record import FinalistRecord
from blockqnn_cli import finalists
from blockqnn_cli.command import Command, Context
from blockqnn_cli.errors import ExitStatus, NothingYet
from blockqnn_cli.view import SearchView


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        choices=("table", "csv", "json"),
        default="table",
        help="csv: one line for each seed; json: a list of the history's records",
    )
    parser.add_argument("--target", metavar="TARGET", help="show this target only")


def _run(context: Context) -> int:
    search, output = context.search(), context.options.output
    records = trained(context, search)
    target = context.options.target
    if target is not None:
        records = tuple(record for record in records if record.target == target)
        if not records:
            raise NothingYet(f"The search {search.key} has no result on a target {target!r} yet.")
    if output == "csv":
        context.write(finalists.as_csv(finalists.ordered(records)))
    elif output == "json":
        context.write(finalists.as_json(finalists.ordered(records)))
    else:
        context.console.print(finalists.table(search, records))
    return ExitStatus.OK


def trained(context: Context, search: SearchView) -> tuple[FinalistRecord, ...]:
    """Return the finalists of a search that have a result.

    Raises:
        NothingYet: when there are none.
    """
    if "finalists" not in search.spec:
        raise NothingYet(
            f"The search {search.key} has no spec.finalists; add it, which a complete search "
            "accepts too."
        )
    records = context.searches.finalists(search)
    if not records:
        raise NothingYet(
            f"No finalist of the search {search.key} has a result yet; `kubectl blockqnn status "
            f"{search.name} -n {search.namespace}` shows their progress."
        )
    return records


COMMAND = Command("finalists", "list the finalists and their accuracies", _run, _add_arguments)
