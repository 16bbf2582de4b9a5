"""A trial as the operator hands it to a trainer, and the result that comes back.

The operator hands each trial a :class:`TrialSpec` as JSON in the environment variable
``BLOCKQNN_TRIAL``. The trainer answers with a :class:`TrialResult` as JSON of at most
:data:`~blockqnn.contract.message.RESULT_LIMIT` bytes in its termination message, which the operator
copies to the Job's annotation ``blockqnn.dev/result``. Anything that writes such an annotation is a
trainer.

Field names are those of the BlockSearch resource, and so are the docstrings below.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from blockqnn.contract import fields
from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.message import (
    LARGEST_COUNT,
    SCHEMA_VERSION,
    Accuracy,
    Message,
    Reason,
    ResultMessage,
)
from blockqnn.contract.metrics import Measured
from blockqnn.contract.training import StoppingRule, TrainingSpec
from blockqnn.network.spec import Constraints, NetworkSpec

TRIAL_VARIABLE = "BLOCKQNN_TRIAL"
"""The environment variable that carries the :class:`TrialSpec`."""

THREADS_VARIABLE = "BLOCKQNN_THREADS"
"""The environment variable with the number of threads of a training on a CPU, from 1."""


class TrialSpec(Message):
    """One trial: the block, the network around it, the data and the training."""

    title: ClassVar[str] = "The trial specification"

    version: Literal[1] = SCHEMA_VERSION
    search: str
    """Namespace and name of the BlockSearch, `namespace/name`; for messages only."""
    trial: fields.Count
    attempt: fields.Count
    block: str
    """The Network Structure Code, as :meth:`blockqnn.block.nsc.Block.parse` reads it."""
    seed: fields.Seed
    """Fixes the weights, the order of the images and the restarts of this trial."""
    split_seed: fields.Seed
    """Fixes the images that are held out: the same for all trials of a search."""
    network: NetworkSpec
    constraints: Constraints | None = None
    """Limits on the cost of the network; above them the block is infeasible. None: no limit."""
    dataset: DatasetSpec
    training: TrainingSpec
    stopping: tuple[StoppingRule, ...] | None = None
    """Rules by which the training may stop early. None: never. A trainer may ignore them."""


class Seconds(fields.StageSeconds):
    """Wall-clock time of the parts of a trial, in seconds."""

    total: fields.Duration = 0.0
    """The whole run time of the process."""


class TrialVerdict(ResultMessage):
    """First part of a trial's result: what became of it."""

    title: ClassVar[str] = "The trial result"

    version: Literal[1] = SCHEMA_VERSION
    trial: fields.Count
    attempt: fields.Count
    block_hash: fields.BlockHash
    outcome: fields.TrainedOutcome
    reason: Reason
    """`Completed`, or why there is no accuracy: `OutOfMemory`, `NotFinite`, `NeverLearned`, ..."""
    message: fields.Sentence = ""
    accuracy: Accuracy | None = None
    """After the last epoch, on the held-out images; present exactly when the trial succeeded."""
    stopped_after: Annotated[int, Field(ge=1, le=LARGEST_COUNT)] | None = None
    """The epoch after which the training stopped early, by a rule of its specification; then the
    accuracy is extrapolated."""
    curve: fields.Curve = ()
    """The validation accuracy after each epoch of the last restart."""

    def model_post_init(self, _context: object, /) -> None:
        """Reject an accuracy that contradicts the outcome."""
        fields.check_accuracy(self.accuracy, self.outcome)


class TrialResult(Measured, TrialVerdict):
    """Result of one attempt at one trial, as a trainer reports it."""

    restarts: Annotated[int, Field(ge=0, le=10)] = 0
    """Number of restarts at a lower learning rate."""
    device: fields.Device = ""
    seconds: Seconds = Seconds()
