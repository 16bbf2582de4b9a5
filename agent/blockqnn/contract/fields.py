"""Fields that the messages of several kinds of Job have, each with its limits and its meaning."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from blockqnn.contract.message import (
    CURVE_LIMIT,
    LARGEST_COUNT,
    MESSAGE_LIMIT,
    Accuracy,
    Outcome,
)
from blockqnn.model import Model

MOST_SECONDS = 1e9
"""The longest time in a message, in seconds: some thirty years."""


def clean_text(text: Any) -> Any:
    """Return a text with question marks for what is none: NUL, and half of a pair of characters.

    They come from the words of other programs, which must not cost a trial its result.
    """
    if not isinstance(text, str) or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "?").encode(errors="replace").decode()


Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]

Duration = Annotated[float, Field(ge=0, le=MOST_SECONDS)]
"""Wall-clock time in seconds."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]

TargetName = Annotated[str, StringConstraints(max_length=63)]

BlockHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
""":func:`blockqnn.block.graph.canonical_hash` of the block that was trained."""

TrainedOutcome = Literal[Outcome.SUCCEEDED, Outcome.INFEASIBLE, Outcome.FAILED]
"""Outcome that a trainer reports."""

Sentence = Annotated[str, StringConstraints(max_length=MESSAGE_LIMIT), BeforeValidator(clean_text)]
"""One sentence for people; empty after a success."""

Curve = Annotated[tuple[Accuracy, ...], Field(max_length=CURVE_LIMIT)]
"""The accuracy after each epoch; thinned if there are more epochs than points."""

Device = Annotated[str, StringConstraints(max_length=64), BeforeValidator(clean_text)]
"""Device of the training: `cpu`, or the accelerator's name."""


Folder = Annotated[str, StringConstraints(max_length=512), BeforeValidator(clean_text)]
"""Path of a directory on a volume."""


class StageSeconds(Model):
    """Wall-clock time of the parts that all trainings have, in seconds."""

    start: Duration = 0.0
    """From the start of the process to the end of its imports."""
    data: Duration = 0.0
    """Reading the images and moving them to the device."""
    build: Duration = 0.0
    """Building and initialising the network, or reading a checkpoint."""
    train: Duration = 0.0
    """All training steps, restarts included."""
    evaluate: Duration = 0.0
    """Measuring the accuracy after each epoch."""


def check_accuracy(accuracy: float | None, outcome: Outcome) -> None:
    """Reject an accuracy that contradicts the outcome."""
    if (accuracy is not None) != (outcome is Outcome.SUCCEEDED):
        raise ValueError("accuracy must be given exactly when the outcome is Succeeded")
