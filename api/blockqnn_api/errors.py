"""The exceptions of the BlockSearch resource and its history.

::

    blockqnn.errors.BlockQNNError
    └── OperatorError
        ├── InvalidSearch       a BlockSearch that cannot run as it is written
        │   └── UnusedFields        fields that would have no effect
        ├── ObjectUnreadable    an object of the API server with a field that cannot be read
        └── HistoryUnreadable   stored history that this version cannot read
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from blockqnn.errors import BlockQNNError


class OperatorError(BlockQNNError):
    """Anything that the operator reports to its user; its text is a complete sentence."""


class InvalidSearch(OperatorError):
    """A BlockSearch that cannot run as it is written; the search waits until it is changed."""


FieldPath = tuple[str | int, ...]
"""The path of a field: names, and positions in lists."""


def write_path(path: FieldPath) -> str:
    """Write a path as Kubernetes does, such as ``spec.agent.epsilonSchedule[0].epsilon``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


LONGEST_VALUE = 60
"""Characters of the longest value that a message repeats; longer ones are cut."""


def write_value(value: Any) -> str:
    """Write a wrong value for a message: a map, a list, or the value itself, in one short line."""
    if value is None:
        return "empty"
    if isinstance(value, Mapping | list):
        return "a map" if isinstance(value, Mapping) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        value = value[: LONGEST_VALUE + 1]
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


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
