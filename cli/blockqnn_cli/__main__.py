"""The console script ``kubectl-blockqnn``, which kubectl runs as ``kubectl blockqnn``."""

import argparse
import io
import os
import sys
from collections.abc import Sequence

from blockqnn.errors import BlockQNNError
from blockqnn_cli.command import Command, Context, find_search
from blockqnn_cli.commands import all_commands
from blockqnn_cli.errors import CommandError, ExitStatus
from blockqnn_cli.plain import PlainConsole, one_line

TRACEBACK = "BLOCKQNN_TRACEBACK"
"""Variable that, when it is set, shows where an unexpected error comes from."""

PIPE_WIDTH = 160
"""Columns of a line where the output is no terminal: wide enough to break no table."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character gets another in its place.
        sys.stdout.reconfigure(errors="replace")
    options = parser(all_commands()).parse_args(arguments)
    console = PlainConsole(highlight=False)
    if not console.is_terminal:
        console = PlainConsole(highlight=False, width=PIPE_WIDTH)
    try:
        status: int = options.command.run(Context(options, console))
        sys.stdout.flush()
        return status
    except CommandError as error:
        return _fail(error, error.exit_status)
    except (BlockQNNError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            return _closed_pipe()
        return _fail(error, ExitStatus.FAILED)
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        return _fail(_unexpected(error), ExitStatus.FAILED)


def parser(commands: Sequence[Command]) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    argument_parser = argparse.ArgumentParser(
        prog="kubectl blockqnn",
        description="Show BlockSearches, and check them before they run.",
        epilog="The exit statuses: 0 done, 1 failed, 2 wrong command line, 3 no cluster, 4 no such "
        "search, trial or Job, 5 no permission, 6 nothing there yet.",
    )
    parts = argument_parser.add_subparsers(required=True, metavar="COMMAND")
    for command in commands:
        part = parts.add_parser(command.name, help=command.text, description=command.text)
        part.set_defaults(command=command)
        if command.of_search:
            find_search(part)
        command.add_arguments(part)
    return argument_parser


def _fail(error: Exception, status: ExitStatus) -> ExitStatus:
    print(f"error: {one_line(str(error))}", file=sys.stderr)
    return status


def _unexpected(error: Exception) -> CommandError:
    """Return the error for something that nobody foresaw, such as an answer of another form."""
    return CommandError(
        f"Something is not as kubectl blockqnn expects it ({type(error).__name__}: {error}). If "
        "the operator has the same version, please report it with what follows when you set "
        f"{TRACEBACK}=1."
    )


def _closed_pipe() -> ExitStatus:
    """End quietly; the interpreter must not find anything left to write either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitStatus.BROKEN_PIPE


if __name__ == "__main__":
    sys.exit(main())
