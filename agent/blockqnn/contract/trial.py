"""A trial as the operator hands it to a trainer, and the result that comes back.

The operator hands each trial a :class:`TrialSpec` as JSON in the environment variable
``BLOCKQNN_TRIAL``. The trainer answers with a :class:`TrialResult` as JSON of at most
:data:`~blockqnn.contract.message.RESULT_LIMIT` bytes in its termination message, which the operator
copies to the Job's annotation ``blockqnn.dev/result``. Anything that writes such an annotation is a
trainer.

Field names are those of the BlockSearch resource, and so are the docstrings below.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.message import (
    CURVE_LIMIT,
    MESSAGE_LIMIT,
    SCHEMA_VERSION,
    Accuracy,
    Outcome,
    Reason,
    bounded,
    read_message,
)
from blockqnn.contract.training import StoppingRule, TrainingSpec
from blockqnn.model import Model
from blockqnn.network.spec import Constraints, NetworkSpec

TRIAL_VARIABLE = "BLOCKQNN_TRIAL"
"""The environment variable that carries the :class:`TrialSpec`."""

THREADS_VARIABLE = "BLOCKQNN_THREADS"
"""The environment variable with the number of threads of a training on a CPU, from 1."""


class TrialSpec(Model):
    """One trial: the block, the network around it, the data and the training."""

    version: Literal[1] = SCHEMA_VERSION
    search: str
    """Namespace and name of the BlockSearch, `namespace/name`; for messages only."""
    trial: Annotated[int, Field(ge=0)]
    attempt: Annotated[int, Field(ge=0)]
    block: str
    """The Network Structure Code, as :meth:`blockqnn.block.nsc.Block.parse` reads it."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Fixes the weights, the order of the images and the restarts of this trial."""
    split_seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Fixes the images that are held out: the same for all trials of a search."""
    network: NetworkSpec
    constraints: Constraints | None = None
    """Limits on the cost of the network; above them the block is infeasible. None: no limit."""
    dataset: DatasetSpec
    training: TrainingSpec
    stopping: tuple[StoppingRule, ...] | None = None
    """Rules by which the training may stop early. None: never. A trainer may ignore them."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a specification from JSON.

        Raises:
            InvalidMessage: naming the first field that is wrong.
        """
        return read_message(cls, text, "The trial specification")


class Seconds(Model):
    """Wall-clock time of the parts of a trial, in seconds."""

    start: Annotated[float, Field(ge=0)] = 0.0
    """From the start of the process to the end of its imports."""
    data: Annotated[float, Field(ge=0)] = 0.0
    """Reading the images and moving them to the device."""
    build: Annotated[float, Field(ge=0)] = 0.0
    """Building and initialising the network."""
    train: Annotated[float, Field(ge=0)] = 0.0
    """All training steps, restarts included."""
    evaluate: Annotated[float, Field(ge=0)] = 0.0
    """Measuring the validation accuracy after each epoch."""
    total: Annotated[float, Field(ge=0)] = 0.0
    """The whole run time of the process."""


class TrialResult(Model):
    """Result of one attempt at one trial, as a trainer reports it."""

    version: Literal[1] = SCHEMA_VERSION
    trial: Annotated[int, Field(ge=0)]
    attempt: Annotated[int, Field(ge=0)]
    block_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """:func:`blockqnn.block.graph.canonical_hash` of the block that was trained."""
    outcome: Literal[Outcome.SUCCEEDED, Outcome.INFEASIBLE, Outcome.FAILED]
    reason: Reason
    """`Completed`, or why there is no accuracy: `OutOfMemory`, `NotFinite`, `NeverLearned`, ..."""
    message: Annotated[str, StringConstraints(max_length=MESSAGE_LIMIT)] = ""
    """One sentence for people; empty when the trial succeeded."""
    accuracy: Accuracy | None = None
    """After the last epoch, on the held-out images; present exactly when the trial succeeded."""
    stopped_after: Annotated[int, Field(ge=1)] | None = None
    """The epoch after which the training stopped early, by a rule of its specification; then the
    accuracy is extrapolated."""
    curve: Annotated[tuple[Accuracy, ...], Field(max_length=CURVE_LIMIT)] = ()
    """The validation accuracy after each epoch of the last restart."""
    parameters: Annotated[int, Field(ge=0)] | None = None
    """Trainable parameters of the whole network, counted on the network itself."""
    macs: Annotated[int, Field(ge=0)] | None = None
    """Multiply-accumulates of one image's forward pass (convolutions and the classifier)."""
    restarts: Annotated[int, Field(ge=0, le=10)] = 0
    """Number of restarts at a lower learning rate."""
    device: Annotated[str, StringConstraints(max_length=64)] = ""
    """Device of the training: `cpu`, or the accelerator's name."""
    seconds: Seconds = Seconds()

    def model_post_init(self, _context: object, /) -> None:
        """Reject an accuracy that contradicts the outcome."""
        if (self.accuracy is not None) != (self.outcome is Outcome.SUCCEEDED):
            raise ValueError("accuracy must be given exactly when the outcome is Succeeded")

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a result from JSON.

        Raises:
            InvalidMessage: naming the first field that is wrong, or that it is too long.
        """
        return read_message(cls, bounded(text, "The trial result is"), "The trial result")

    def write(self) -> str:
        """Write the result as compact JSON that :meth:`read` accepts.

        Raises:
            InvalidMessage: when it is longer than :data:`RESULT_LIMIT` bytes.
        """
        return bounded(self.model_dump_json(exclude_none=True), "The trial result is")
