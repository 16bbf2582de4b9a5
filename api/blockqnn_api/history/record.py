"""A line of a history: how a record is written and read. A kind of record adds its fields.

Records are versioned. A reader takes its own version and the older ones it knows; anything else
stops the search; nothing is guessed.
"""

from typing import Literal, Self

from pydantic import ValidationError

from blockqnn.contract.message import describe
from blockqnn.model import Model
from blockqnn_api.errors import HistoryUnreadable

RECORD_VERSION: Literal[1] = 1


class Record(Model):
    """A line of a history."""

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
