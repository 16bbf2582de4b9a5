"""Reads and writes the files that a command line names; ``-`` is the standard input or output."""

import sys
from pathlib import Path

from blockqnn_cli.errors import CommandError

STANDARD = "-"


def read(name: str) -> str:
    """Return the text of a file.

    Raises:
        CommandError: when it cannot be read.
    """
    try:
        return sys.stdin.read() if name == STANDARD else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise CommandError(f"The file {name} cannot be read: {reason}.") from None


def write(name: str, text: str) -> None:
    """Write a text to a file, or to the standard output.

    Raises:
        CommandError: when it cannot be written.
    """
    if name == STANDARD:
        sys.stdout.write(text)
        return
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"The file {name} cannot be written: {error.strerror}.") from None
