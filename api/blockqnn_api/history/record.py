"""A line of a history: how a record is written and read. A kind of record adds its fields.

Records are versioned. A reader takes its own version and the older ones it knows; anything else
stops the search; nothing is guessed.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import ValidationError, model_validator

from blockqnn.contract.fields import MOST_SECONDS
from blockqnn.contract.message import describe
from blockqnn.contract.metrics import MOST_MACS, MOST_PARAMETERS
from blockqnn.model import Model
from blockqnn_api.errors import HistoryUnreadable

RECORD_VERSION: Literal[1] = 1


_BOUNDS = {"parameters": MOST_PARAMETERS, "macs": MOST_MACS}


class Record(Model):
    """A line of a history."""

    @model_validator(mode="before")
    @classmethod
    def _within_bounds(cls, values: Any) -> Any:
        """Read larger numbers than results may have as the largest: histories hold some.

        Versions before there were bounds have stored them, and a search goes on all the same.
        """
        if not isinstance(values, Mapping):
            return values
        read = {
            name: _at_most(values[name], most) for name, most in _BOUNDS.items() if name in values
        }
        seconds = values.get("seconds")
        if isinstance(seconds, Mapping):
            read["seconds"] = {name: _at_most(v, MOST_SECONDS) for name, v in seconds.items()}
        return {**values, **read} if read else values

    def write(self) -> str:
        """Write the record as one line of JSON, without empty fields."""
        return self.model_dump_json(exclude_none=True)

    @classmethod
    def read(cls, line: str) -> Self:
        """Read a record from its line.

        Raises:
            HistoryUnreadable: when it is damaged or of an unknown version.
        """
        try:
            return cls.model_validate_json(line)
        except ValidationError as error:
            raise HistoryUnreadable(
                f"A {cls.__name__} of the history {describe(error)}; it was damaged, or written by "
                "a newer operator: use that version or a later one."
            ) from None


def _at_most(value: Any, most: float) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return most if is_number and value > most else value
