"""Watches a search until it is over."""

import time
from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from blockqnn_cli import terminal_views
from blockqnn_cli.view import SearchView

FINISHED = ("Complete", "Failed")
"""The phases in which a watched search will not go on by itself."""

INTERVAL = 1.0
"""Seconds between two looks at a watched search: its status changes no more often."""


def watch(
    console: Console,
    look: Callable[[], SearchView],
    check: Callable[[], None] = lambda: None,
    picture: Callable[[SearchView], RenderableType] = terminal_views.progress,
) -> SearchView:
    """Show a search until it is over: a live picture in a terminal, else plain lines.

    Args:
        console: shows the search.
        look: reads the search.
        check: called before each look; an exception from it ends the watching.
        picture: draws the search for a terminal.

    Returns:
        The search as it was last seen.
    """
    search = look()
    if not console.is_terminal:
        return _watch_lines(search, console, look, check)
    with Live(picture(search), console=console, auto_refresh=False) as live:
        while search.phase not in FINISHED:
            time.sleep(INTERVAL)
            check()
            search = look()
            live.update(picture(search), refresh=True)
    return search


def _watch_lines(
    search: SearchView,
    console: Console,
    look: Callable[[], SearchView],
    check: Callable[[], None],
) -> SearchView:
    said = ""
    while True:
        line = terminal_views.headline(search)
        if line != said:
            console.print(Text(line), soft_wrap=True)
            said = line
        if search.phase in FINISHED:
            return search
        time.sleep(INTERVAL)
        check()
        search = look()
