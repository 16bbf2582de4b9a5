"""The exceptions of the BlockSearch resource and its history.

::

    blockqnn.errors.BlockQNNError
    └── OperatorError
        ├── InvalidSearch       a BlockSearch that cannot run as it is written
        │   └── UnusedFields        fields that would have no effect
        ├── ObjectUnreadable    an object of the API server with a field that cannot be read
        └── HistoryUnreadable   stored history that this version cannot read
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from blockqnn.errors import BlockQNNError


class OperatorError(BlockQNNError):
    """Anything that the operator reports to its user; its text is a complete sentence."""


class InvalidSearch(OperatorError):
    """A BlockSearch that cannot run as it is written; the search waits until it is changed."""


FieldPath = tuple[str | int, ...]
"""The path of a field: names, and positions in lists."""

LONGEST_VALUE = 60
"""Characters of the longest value that a message repeats; longer ones are cut."""

LONGEST_NAME_WRITTEN = 100
"""Characters of the longest name in brackets."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
_LARGEST_WRITTEN = 10**18


def write_path(path: FieldPath) -> str:
    """Write a path as Kubernetes does, such as ``spec.agent.epsilonSchedule[0].epsilon``.

    A name with other characters than letters, digits, hyphens and underscores is in brackets, as in
    ``metadata.annotations[example.com/a]``.
    """
    text = ""
    for step in path:
        plain = isinstance(step, str) and _PLAIN_NAME.fullmatch(step)
        text += f".{step}" if plain else f"[{str(step)[:LONGEST_NAME_WRITTEN]}]"
    return text.removeprefix(".")


def write_value(value: object) -> str:
    """Write a wrong value, which may be anything, in one short line of a message."""
    match value:
        case None:
            return "empty"
        case Mapping() | list() | tuple():
            return "a map" if isinstance(value, Mapping) else "a list"
        case bool():
            return str(value).lower()
        case str():
            # Half of a pair of characters is no text that could be printed.
            text = repr(value[: LONGEST_VALUE + 1].encode(errors="replace").decode())
        case int() | float():
            # Python refuses to write a number of thousands of digits.
            text = repr(value) if abs(value) < _LARGEST_WRITTEN else _write_huge(value)
        case _:
            text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def _write_huge(value: float) -> str:
    try:
        return f"{float(value):.3g}"
    except OverflowError:
        return "inf" if value > 0 else "-inf"


class UnusedField(NamedTuple):
    """A field that a user has written and that has no effect."""

    path: FieldPath
    """Its path, without `spec`."""
    reason: str
    """What is wrong, as the end of a sentence that begins with the field."""
    remedy: str
    """What to do, as the end of a sentence."""

    @property
    def name(self) -> str:
        """The path as people write it."""
        return write_path(("spec", *self.path))

    def __str__(self) -> str:
        return f"{self.name} {self.reason}; {self.remedy}."


class UnusedFields(InvalidSearch):
    """A BlockSearch with fields that would have no effect."""

    def __init__(self, fields: tuple[UnusedField, ...]) -> None:
        super().__init__(" ".join(map(str, fields)))
        self.fields = fields


class ObjectUnreadable(OperatorError):
    """An object of the API server with a field that cannot be read; the text names the field.

    The text is a clause without a full stop, so that the object may be named in front of it.
    """


class HistoryUnreadable(OperatorError):
    """Stored history that this version cannot read; that search stops, and nothing else."""
