"""``status NAME``: how far a search is."""

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType

from blockqnn_cli import pictures
from blockqnn_cli.command import Command, Context
from blockqnn_cli.errors import ExitStatus, Forbidden, WrongUsage
from blockqnn_cli.view import EventView, SearchView
from blockqnn_cli.watching import watch

SHOWN_EVENTS = 5
"""Events shown: with the other lines they leave a screen of 24 lines room for 5 iterations."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-w", "--watch", action="store_true", help="go on until it is over")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


def _run(context: Context) -> int:
    if context.options.watch:
        if context.options.output != "text":
            raise WrongUsage(
                "--watch shows a picture, which is no JSON; leave one of --watch and -o json out."
            )
        watch(
            context.console,
            lambda: _look(context),
            picture=lambda search: _picture(context, search),
        )
        return ExitStatus.OK
    search = _look(context)
    if context.options.output == "json":
        context.write(as_json(search, _events(context, search)))
    else:
        context.console.print(_picture(context, search))
    return ExitStatus.OK


def _look(context: Context) -> SearchView:
    # A damaged history is what somebody looks at the status for.
    return context.search(history_needed=False)


def _picture(context: Context, search: SearchView) -> RenderableType:
    return pictures.whole(search, _events(context, search), datetime.now(UTC))


def _events(context: Context, search: SearchView) -> tuple[EventView, ...]:
    try:
        return context.searches.events(search, SHOWN_EVENTS)
    except Forbidden:
        # Many a viewer may read searches but no Events; the status is worth showing without.
        return ()


def as_json(search: SearchView, events: tuple[EventView, ...]) -> str:
    """Write a search's status for programs: ``status`` is that of the resource."""
    told: dict[str, Any] = {
        "namespace": search.namespace,
        "name": search.name,
        "phase": search.phase,
        "status": dict(search.status),
        "events": [
            {"time": e.time, "type": e.type, "reason": e.reason, "message": e.message}
            for e in events
        ],
    }
    return json.dumps(told, indent=2)


COMMAND = Command("status", "show how far a search is", _run, _add_arguments)
