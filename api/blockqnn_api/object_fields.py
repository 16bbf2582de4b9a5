"""Fields of an object of the API server, each read as what it must be.

Anybody who may edit a Job may write anything into its labels and annotations, and what stands
between the operator and the API server may answer anything. A field of another kind than expected
is named with its path, and never guessed at.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from blockqnn_api.errors import LONGEST_VALUE, ObjectUnreadable, write_path, write_value

LARGEST_COUNT = 2**31 - 1
"""The largest number of things: Kubernetes counts in 32 bits."""

LARGEST_INTEGER = 2**63 - 1
"""The largest whole number that an object of Kubernetes can hold."""

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""The times that are read: a duration can be added to any of them, before the year 9999."""

_DIGITS = re.compile(r"[0-9]{1,19}")


class Fields:
    """A map of an object, with the path that leads to it.

    Args:
        values: the map; None for an empty one, as Kubernetes writes some.
        path: its path in the object.

    Raises:
        ObjectUnreadable: when it is no map; each method raises it for a field that is not as it
            must be.
    """

    __slots__ = ("_path", "_values")

    def __init__(self, values: object, path: tuple[str | int, ...] = ()) -> None:
        if values is None:
            values = {}
        self._path = path
        if not isinstance(values, Mapping):
            raise ObjectUnreadable(
                f"{write_path(path) or 'It'} is {write_value(values)}, not a map"
            )
        self._values = values

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def text(self, name: str, default: str | None = "") -> str:
        """Return a text; characters that are none, such as half a pair, become question marks.

        Args:
            name: the name of the field.
            default: stands for a field that is not there; None where it must be there, and not
                empty.
        """
        value = self._values.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (default is None and not value):
            raise self._wrong(name, "a text")
        return value if value.isascii() else value.encode(errors="replace").decode()

    def count(self, name: str, default: int = 0) -> int:
        """Return a number of things, from 0; the default stands for a field that is not there."""
        return self.integer(name, default, low=0)

    def integer(
        self, name: str, default: int = 0, low: int = -LARGEST_COUNT, high: int = LARGEST_COUNT
    ) -> int:
        """Return a whole number within bounds."""
        value = self._values.get(name)
        if value is None:
            return default
        if type(value) is not int or not low <= value <= high:
            raise self._wrong(name, f"a whole number from {low} to {high}")
        return value

    def written_count(self, name: str, high: int = LARGEST_COUNT) -> int | None:
        """Return a number of things that is written in a label or an annotation; None for none."""
        text = self.text(name)
        if not text:
            return None
        if not _DIGITS.fullmatch(text) or int(text) > high:
            raise self._wrong(name, f"a whole number from 0 to {high}")
        return int(text)

    def flag(self, name: str) -> bool:
        """Return whether something holds; False where the field is not there."""
        value = self._values.get(name, False)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return bool(value)

    def time(self, name: str) -> datetime | None:
        """Return a time as :func:`read_time` does; None where there is none."""
        text = self.text(name)
        if not text:
            return None
        try:
            return read_time(text)
        except ValueError:
            raise self._wrong(name, "a time such as 2020-01-31T12:00:00Z") from None

    def part(self, name: str) -> "Fields":
        """Return a map inside this one; an empty one where it is not there."""
        return Fields(self._values.get(name), (*self._path, name))

    def parts(self, name: str) -> Sequence["Fields"]:
        """Return the maps of a list; none where it is not there."""
        values = self._values.get(name)
        if values is None:
            return ()
        if not isinstance(values, list | tuple):
            raise self._wrong(name, "a list")
        path = (*self._path, name)
        return [Fields(value, (*path, number)) for number, value in enumerate(values)]

    def texts(self, name: str) -> dict[str, str]:
        """Return a map of texts inside this one, such as labels."""
        part = self.part(name)
        return {key: part.text(key) for key in part}

    def raw(self, name: str) -> Any:
        """Return the value of a field, whatever it is; None where it is not there."""
        return self._values.get(name)

    def is_unreadable(self, name: str, expected: str) -> ObjectUnreadable:
        """Return the error that a field is not what it must be."""
        return self._wrong(name, expected)

    def _wrong(self, name: str, expected: str) -> ObjectUnreadable:
        value = self._values.get(name)
        was = "is missing; it should be" if value is None else f"is {write_value(value)}, not"
        return ObjectUnreadable(f"{write_path((*self._path, name))} {was} {expected}")


def read_time(text: str) -> datetime:
    """Read a time as Kubernetes writes it, such as ``2020-01-31T12:00:00Z``.

    Raises:
        ValueError: when it is none, has no zone, or is so far away that it cannot be reckoned with.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not EARLIEST.year < moment.year < LATEST.year:
        raise ValueError(f"{text[:LONGEST_VALUE]!r} is no time with a zone, before 9000")
    return moment


def write_time(moment: datetime) -> str:
    """Write a time as Kubernetes does, to the second, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
