"""Parts that all messages of the trainer share: limits, outcomes, reading and writing."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, ValidationError

from blockqnn.errors import InvalidMessage
from blockqnn.model import Model

SCHEMA_VERSION: Literal[1] = 1
"""The version of every message; a reader rejects any other."""

RESULT_LIMIT = 3584
"""The size of a result in bytes: Kubernetes keeps 4,096 of a termination message."""

MESSAGE_LIMIT = 400
"""The maximum length of a result's ``message``, in characters."""

LARGEST_COUNT = 2**31 - 1
"""The largest number of things in a message."""

CURVE_LIMIT = 128
"""The most points of a result's curve; a longer training thins its curve to this many."""


class Outcome(StrEnum):
    """Outcome of a trial."""

    SUCCEEDED = "Succeeded"
    """The trial was trained; its reward is computed from its accuracy."""
    INFEASIBLE = "Infeasible"
    """The block is the cause (out of memory, NaN, never learned): the floor reward, no retry."""
    FAILED = "Failed"
    """Infrastructure or input is the cause: not learned from, counted by `maxFailedTrials`."""
    CACHED = "Cached"
    """The trial shares the result of an earlier trial whose block means the same network."""


Reason = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{0,63}$")]
"""A short cause in CamelCase, for programs; `message` is the sentence for people."""

Accuracy = Annotated[float, Field(ge=0, le=1)]
"""The share of the validation images that are classified correctly, from 0 to 1."""


class Message(Model):
    """A message between operator and trainer."""

    title: ClassVar[str]
    """Subject of the sentence that says what is wrong with a message."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a message from JSON.

        Raises:
            InvalidMessage: naming the first field that is wrong.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InvalidMessage(f"{cls.title} {describe(error)}.") from None


class ResultMessage(Message):
    """A result, of at most :data:`RESULT_LIMIT` bytes of JSON.

    Each kind of result lists its own fields, because their order is the order of the JSON.
    """

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a result from JSON.

        Raises:
            InvalidMessage: naming the first field that is wrong, or that it is too long.
        """
        return super().read(bounded(text, f"{cls.title} is"))

    def write(self) -> str:
        """Write the result as compact JSON that :meth:`read` accepts.

        Raises:
            InvalidMessage: when it is longer than :data:`RESULT_LIMIT` bytes.
        """
        return bounded(self.model_dump_json(exclude_none=True), f"{self.title} is")


def bounded(text: str, name: str) -> str:
    """Return a message if it fits; `name`, with its verb, begins the sentence of the error.

    Raises:
        InvalidMessage: when it is longer than :data:`RESULT_LIMIT` bytes, or no text.
    """
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidMessage(
            f"{name} not text: it has half of a pair of characters; write it as UTF-8."
        ) from None
    if length > RESULT_LIMIT:
        raise InvalidMessage(f"{name} {length} bytes long; at most {RESULT_LIMIT} fit.")
    return text


def describe(error: ValidationError) -> str:
    """Describe the first error of a validation, and its field, in one clause.

    The clause completes a sentence: ``is wrong at training.epochs: Input should be ...``.
    """
    first = error.errors(include_url=False, include_context=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    where = f" at {path}" if path else ""
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"is wrong{where}: {first['msg']}{more}"
