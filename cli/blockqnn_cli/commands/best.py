"""``best NAME``: the best block of a search, for people, for tools and as Python."""

import argparse
import json

from blockqnn.block.dot_drawing import dot_drawing
from blockqnn.block.nsc import Block
from blockqnn.block.svg_drawing import svg_drawing
from blockqnn_cli import python_export, terminal_views
from blockqnn_cli.command import Command, Context
from blockqnn_cli.errors import ExitStatus, NothingYet
from blockqnn_cli.view import SearchView

FORMATS = ("text", "nsc", "json", "dot", "svg", "python")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        choices=FORMATS,
        default="text",
        help="text: a drawing; nsc: its Network Structure Code; dot, svg: a picture; "
        "python: a module that builds it",
    )


def _run(context: Context) -> int:
    search = context.search()
    if not search.status.get("best"):
        raise NothingYet(
            f"The search {search.key} has no best block yet: no trial has succeeded. `kubectl "
            f"blockqnn status {search.name} -n {search.namespace}` shows its progress."
        )
    if context.options.output == "text":
        context.console.print(terminal_views.best_block(search))
    else:
        context.write(written(search, context.options.output))
    return ExitStatus.OK


def written(search: SearchView, output: str) -> str:
    """Write the best block of a search that has one, in a format for programs."""
    best = search.status["best"]
    if output == "nsc":
        return str(best["block"])
    if output == "python":
        return python_export.python(search)
    block = Block.parse(best["block"])
    if output == "dot":
        return dot_drawing(block)
    if output == "svg":
        return svg_drawing(block)
    layers = [
        {
            "index": x.index,
            "type": x.type.name.title().replace("_", ""),
            "kernel": x.kernel,
            "inputs": [*x.predecessors],
        }
        for x in block
    ]
    document = {"namespace": search.namespace, "name": search.name, **best, "layers": layers}
    return json.dumps(document, indent=2)


COMMAND = Command("best", "show the best block of a search", _run, _add_arguments)
