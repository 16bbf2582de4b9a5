"""Parts that all messages of the trainer share: limits, outcomes, and how they are read."""

from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from blockqnn.errors import InvalidMessage
from blockqnn.model import Model

SCHEMA_VERSION: Literal[1] = 1
"""The version of every message; a reader refuses any other."""

RESULT_LIMIT = 3584
"""The size of a result in bytes: Kubernetes keeps 4,096 of a termination message."""

MESSAGE_LIMIT = 400
"""The longest text of a result's ``message``, in characters."""

CURVE_LIMIT = 128
"""The most points of a result's curve; a longer training thins its curve to this many."""


class Outcome(StrEnum):
    """How a trial ended."""

    SUCCEEDED = "Succeeded"
    """It was trained; its accuracy is the reward's ground."""
    INFEASIBLE = "Infeasible"
    """The block's own fault (out of memory, NaN, never learned): the floor reward, no retry."""
    FAILED = "Failed"
    """Infrastructure or input: excluded from learning, counted against `maxFailedTrials`."""
    CACHED = "Cached"
    """It shares the result of an earlier trial whose block means the same network."""


Reason = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{0,63}$")]
"""A short cause in CamelCase, for programs; the sentence for people stands beside it."""

Accuracy = Annotated[float, Field(ge=0, le=1)]
"""The share of the validation images that are classified rightly, from 0 to 1."""

Message = TypeVar("Message", bound=Model)


def read_message(model: type[Message], text: str, name: str) -> Message:
    """Read a message from JSON; `name` begins the sentence that says what is wrong with it.

    Raises:
        InvalidMessage: naming the first field that is wrong.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise InvalidMessage(f"{name} {describe(error)}.") from None


def bounded(text: str, name: str) -> str:
    """Return a message that fits; `name`, with its verb, begins the sentence where it does not.

    Raises:
        InvalidMessage: when it is longer than :data:`RESULT_LIMIT` bytes.
    """
    length = len(text.encode())
    if length > RESULT_LIMIT:
        raise InvalidMessage(f"{name} {length} bytes long; at most {RESULT_LIMIT} fit.")
    return text


def describe(error: ValidationError) -> str:
    """Say in one clause what the first error of a validation is, and where.

    The clause completes a sentence: ``is wrong at training.epochs: Input should be ...``.
    """
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    where = f" at {place}" if place else ""
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"is wrong{where}: {first['msg']}{more}"
