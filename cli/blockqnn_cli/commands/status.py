"""``status NAME``: how far a search is."""

import argparse
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType

from blockqnn_cli import terminal_views
from blockqnn_cli.command import Command, Context
from blockqnn_cli.errors import ExitStatus, Forbidden, WrongUsage
from blockqnn_cli.formats import dump
from blockqnn_cli.view import EventView, SearchView
from blockqnn_cli.watching import watch

SHOWN_EVENTS = 5
"""Events shown: with the other lines they leave a screen of 24 lines room for 5 iterations."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-w", "--watch", action="store_true", help="update the status until the search is over"
    )
    parser.add_argument("-o", "--output", choices=("text", "yaml", "json"), default="text")


def _run(context: Context) -> int:
    output = context.options.output
    if context.options.watch:
        if output != "text":
            raise WrongUsage(f"--watch works with text only; omit either --watch or -o {output}.")
        watch(
            context.console,
            lambda: _look(context),
            picture=lambda search: _picture(context, search),
        )
        return ExitStatus.OK
    search = _look(context)
    if output == "text":
        context.console.print(_picture(context, search))
    else:
        document = facts(search, _events(context, search))
        context.write(dump(document, output))
    return ExitStatus.OK


def _look(context: Context) -> SearchView:
    # A damaged history is a reason to look at the status, so it is no error here.
    return context.search(history_needed=False)


def _picture(context: Context, search: SearchView) -> RenderableType:
    return terminal_views.whole(search, _events(context, search), datetime.now(UTC))


def _events(context: Context, search: SearchView) -> tuple[EventView, ...]:
    try:
        return context.searches.events(search, SHOWN_EVENTS)
    except Forbidden:
        # Some users may read searches but not Events; the status is useful without them.
        return ()


def facts(search: SearchView, events: tuple[EventView, ...]) -> dict[str, Any]:
    """Return a search's status for programs: ``status`` is that of the resource.

    ``settings`` is left out if the spec contradicts itself, which the status then says, or if
    there is a history that could not be read.
    """
    settings = search.settings
    return {
        "namespace": search.namespace,
        "name": search.name,
        "phase": search.phase,
        "status": dict(search.status),
        **({"settings": settings} if settings is not None else {}),
        "events": [
            {"time": e.time, "type": e.type, "reason": e.reason, "message": e.message}
            for e in events
        ],
    }


COMMAND = Command("status", "show the progress of a search", _run, _add_arguments)
