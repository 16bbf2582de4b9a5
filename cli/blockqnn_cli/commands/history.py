"""``history export`` and ``history import``: a search's results as a file, and back."""

import argparse

from blockqnn_api.history import shards as history
from blockqnn_cli import files
from blockqnn_cli.command import Command, Context, find_search
from blockqnn_cli.errors import ExitStatus, NothingYet
from blockqnn_cli.importing import divide, plan_finalists, plan_import
from blockqnn_cli.quantities import count


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("export", "import"),
        help="export writes the history to FILE; import restores it to a search that has none",
    )
    find_search(parser)
    parser.add_argument(
        "file", metavar="FILE", help="a file of JSON lines; - for the standard output or input"
    )


def _run(context: Context) -> int:
    return _export(context) if context.options.action == "export" else _import(context)


def _export(context: Context) -> int:
    options, search = context.options, context.search()
    search.started()
    lines = history.lines(context.searches.shards(search.namespace, search.name))
    if len(lines) < 2:
        raise NothingYet(f"The search {search.key} has no trial in its history yet.")
    shards = context.searches.shards(search.namespace, search.name, history.FINALISTS)
    finalists = history.lines(shards)
    files.write(options.file, "".join(f"{line}\n" for line in [*lines, *finalists]))
    if options.file != files.STANDARD:
        counts = _told(len(lines) - 1, len(finalists))
        context.write(f"Wrote {counts} of {search.key} to {options.file}.")
    return ExitStatus.OK


def _told(trials: int, finalists: int) -> str:
    of_finalists = f" and {count(finalists, 'finalist')}" if finalists else ""
    return f"{count(trials, 'trial')}{of_finalists}"


def _import(context: Context) -> int:
    options, searches = context.options, context.searches
    lines, finalists = divide(files.read(options.file))
    search = searches.object(context.namespace, options.name)
    writes = plan_import(search, searches.shards(search.namespace, search.name), lines)
    stored = searches.shards(search.namespace, search.name, history.FINALISTS)
    # Finalists come first, since nobody looks for them before there are trials.
    for write in plan_finalists(search, stored, finalists, lines):
        searches.write_shard(search, write, history.FINALISTS)
    for write in writes:
        searches.write_shard(search, write)
    context.write(
        f"Restored {_told(len(lines) - 1, len(finalists))} to {search.key}. A running operator "
        "reads it when the spec of the search changes, for example with `suspend: false`."
    )
    return ExitStatus.OK


COMMAND = Command("history", "export or import a history", _run, _add_arguments, of_search=False)
