"""Reads and writes the files that a command line names; ``-`` is the standard input or output."""

import sys
from pathlib import Path

from blockqnn_cli.errors import CommandError
from blockqnn_cli.plain import plain

STANDARD = "-"


def read(name: str) -> str:
    """Return the text of a file.

    Raises:
        CommandError: when it cannot be read.
    """
    try:
        return read_bytes(name).decode("utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"The file {name} cannot be read: it is not a text file.") from None


def read_bytes(name: str, most: int = -1) -> bytes:
    """Return the content of a file.

    Args:
        name: the name of the file.
        most: number of bytes after which to stop, of a file that may have no end; -1 for all.

    Raises:
        CommandError: when it cannot be read.
    """
    try:
        if name == STANDARD:
            return sys.stdin.buffer.read(most)
        with Path(name).open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise CommandError(f"The file {name} cannot be read: {error.strerror}.") from None


def write(name: str, text: str) -> None:
    """Write a text to a file, or to the standard output, which may be a terminal.

    Raises:
        CommandError: when it cannot be written.
    """
    if name == STANDARD:
        # A program gets the text as it is, and must: a history is compared when it is imported.
        sys.stdout.write(plain(text) if sys.stdout.isatty() else text)
        return
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"The file {name} cannot be written: {error.strerror}.") from None
