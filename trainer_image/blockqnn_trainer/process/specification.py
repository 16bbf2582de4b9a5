"""The specification of a Job's process, from its environment or a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blockqnn_trainer.errors import InvalidTrial


@dataclass(frozen=True, slots=True)
class Source:
    """Where one kind of process finds its specification, in the words of its messages."""

    variable: str
    """The environment variable."""
    option: str
    """The option of the command that names a file instead."""
    file: str
    """The file, as a message names it: `The trial file`."""
    missing: str
    """The sentence without a specification: `There is no trial to run`."""

    def read(self, environment: Mapping[str, str], file: Path | None) -> str:
        """Return the specification as text.

        Raises:
            InvalidTrial: when there is none, or the file cannot be read.
        """
        if file is not None:
            try:
                return file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise InvalidTrial(f"{self.file} cannot be read: {error}.") from None
        text = environment.get(self.variable)
        if text is None:
            raise InvalidTrial(
                f"{self.missing}: set the environment variable {self.variable} to its "
                f"specification, or pass a file with {self.option}."
            )
        return valid_text(text)


def printable(text: str) -> str:
    """Return a text with escapes for what is not printable: names of files may hold anything.

    Lone surrogates, which stand for bytes that are no UTF-8, cannot be written as JSON; control
    characters would reach a terminal.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def valid_text(text: str) -> str:
    """Return a variable's text without what is no UTF-8.

    Such bytes reach Python as lone surrogates, which no JSON reader takes.
    """
    return text.encode(errors="replace").decode()
