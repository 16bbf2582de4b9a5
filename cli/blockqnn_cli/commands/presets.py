"""``presets [NAME]``: which presets there are, and what each fills in."""

import argparse
import json
from typing import Any

import yaml
from rich.table import Table

from blockqnn.presets import PRESETS
from blockqnn_cli.command import Command, Context
from blockqnn_cli.errors import ExitStatus, NotFound
from blockqnn_operator.api.resolve import pin, resolve


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="show what this preset fills in")
    parser.add_argument("-o", "--output", choices=("yaml", "json"), help="default: yaml, or a list")


def _run(context: Context) -> int:
    name, output = context.options.name, context.options.output
    if name is not None:
        context.write(_dump(filled_in(name), output or "yaml"))
    elif output:
        context.write(_dump({each: filled_in(each) for each in sorted(PRESETS)}, output))
    else:
        context.console.print(overview())
    return ExitStatus.OK


def _dump(value: Any, output: str) -> str:
    if output == "json":
        return json.dumps(value, indent=2)
    return yaml.safe_dump(value, sort_keys=False)


def filled_in(name: str) -> dict[str, Any]:
    """Return the fields of a spec that a preset fills in.

    Raises:
        NotFound: when there is no preset of that name.
    """
    if name not in PRESETS:
        raise NotFound(f"There is no preset {name!r}; there are {', '.join(sorted(PRESETS))}.")
    resolved = resolve({"preset": name, "dataset": {"name": "digits"}})
    return {"preset": name, **pin(resolved)}


def overview() -> Table:
    """Show the presets, one to a line."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for title in ("preset", "trials", "at a time", "algorithm", "state", "layers", "epochs"):
        table.add_column(title, header_style="dim")
    for name in sorted(PRESETS):
        spec = filled_in(name)
        table.add_row(
            name,
            f"{spec['budget']['trials']:,}",
            str(spec["agent"]["batchSize"]),
            spec["agent"]["algorithm"],
            spec["agent"]["state"],
            str(spec["space"]["maxLayers"]),
            str(spec["training"]["epochs"]),
        )
    return table


COMMAND = Command("presets", "show what presets fill in", _run, _add_arguments, of_search=False)
