"""The console script ``kubectl-blockqnn``, which kubectl runs as ``kubectl blockqnn``."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.live import Live

from blockqnn.errors import BlockQNNError
from blockqnn_cli import pictures
from blockqnn_cli.searches import Searches, SearchView

FINISHED = ("Complete", "Failed")
"""The phases in which a watched search will not go on by itself."""

INTERVAL = 1.0
"""Seconds between two looks at a watched search: its status changes no more often."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    options = _parser().parse_args(arguments)
    console = Console()
    try:
        searches = Searches(options.kubeconfig)
        command: Callable[[Console, Searches, argparse.Namespace], int] = options.command
        return command(console, searches, options)
    except BlockQNNError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubectl blockqnn", description="Shows BlockSearches to people."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    status = _add(commands, "status", _status, "show how far a search is")
    status.add_argument("-w", "--watch", action="store_true", help="until the search is over")
    _add(commands, "best", _best, "show the best block of a search")
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Callable[[Console, Searches, argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    parser.add_argument("name", help="name of the BlockSearch")
    parser.add_argument("-n", "--namespace", default="default", help="default: default")
    parser.add_argument("--kubeconfig", help="default: KUBECONFIG, then ~/.kube/config")
    return parser


def _status(console: Console, searches: Searches, options: argparse.Namespace) -> int:
    if options.watch:
        watch(console, lambda: searches.get(options.namespace, options.name))
    else:
        console.print(pictures.progress(searches.get(options.namespace, options.name)))
    return 0


def _best(console: Console, searches: Searches, options: argparse.Namespace) -> int:
    console.print(pictures.best_block(searches.get(options.namespace, options.name)))
    return 0


def watch(
    console: Console,
    look: Callable[[], SearchView],
    check: Callable[[], None] = lambda: None,
) -> SearchView:
    """Show a search until it is over: a live picture, or plain lines where nobody can see one.

    Args:
        console: where to show it.
        look: reads the search.
        check: called before each look; an exception from it ends the watching.

    Returns:
        The search as it was last seen.
    """
    search = look()
    if not console.is_terminal:
        return _watch_lines(search, console, look, check)
    with Live(pictures.progress(search), console=console, auto_refresh=False) as live:
        while search.status.get("phase") not in FINISHED:
            time.sleep(INTERVAL)
            check()
            search = look()
            live.update(pictures.progress(search), refresh=True)
    return search


def _watch_lines(
    search: SearchView,
    console: Console,
    look: Callable[[], SearchView],
    check: Callable[[], None],
) -> SearchView:
    said = ""
    while True:
        line = pictures.headline(search)
        if line != said:
            console.print(line, soft_wrap=True, highlight=False)
            said = line
        if search.status.get("phase") in FINISHED:
            return search
        time.sleep(INTERVAL)
        check()
        search = look()


if __name__ == "__main__":
    sys.exit(main())
