"""``presets [NAME]``: which presets there are, and what each fills in."""

import argparse
from typing import Any

from rich.table import Table

from blockqnn.settings.presets import DEFAULT_PRESET, PRESETS, PURPOSES
from blockqnn_api.resolve import filled_in, resolve
from blockqnn_cli.command import Command, Context
from blockqnn_cli.errors import ExitStatus, NotFound
from blockqnn_cli.formats import dump


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="show the fields that this preset fills in"
    )
    parser.add_argument(
        "-o",
        "--output",
        choices=("yaml", "json"),
        help="default: yaml for one preset, a table for all",
    )


def _run(context: Context) -> int:
    name, output = context.options.name, context.options.output
    if name is not None:
        context.write(dump(fields_of(name), output or "yaml"))
    elif output:
        context.write(dump({each: fields_of(each) for each in sorted(PRESETS)}, output))
    else:
        context.console.print(overview())
    return ExitStatus.OK


def fields_of(name: str) -> dict[str, Any]:
    """Return the fields of a spec that a preset fills in.

    Raises:
        NotFound: when there is no preset of that name.
    """
    if name not in PRESETS:
        raise NotFound(
            f"There is no preset {name!r}; the presets are {', '.join(sorted(PRESETS))}."
        )
    resolved = resolve({"preset": name, "dataset": {"name": "digits"}})
    return filled_in(resolved)


def overview() -> Table:
    """Show the presets, one to a line."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for title in ("preset", "trials", "at a time", "epochs", "for whom"):
        table.add_column(title, header_style="dim", no_wrap=title != "for whom")
    for name in sorted(PRESETS):
        spec = fields_of(name)
        table.add_row(
            f"{name} (default)" if name == DEFAULT_PRESET else name,
            f"{spec['budget']['trials']:,}",
            str(spec["agent"]["batchSize"]),
            str(spec["training"]["epochs"]),
            PURPOSES[name],
        )
    return table


COMMAND = Command(
    "presets",
    "show the presets, and the fields that they fill in",
    _run,
    _add_arguments,
    of_search=False,
)
