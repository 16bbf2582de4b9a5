"""What a trial is told and what it answers: the contract of the agent, the operator, the trainer.

The operator hands each trial a :class:`TrialSpec` as JSON in the environment variable
``BLOCKQNN_TRIAL``. The trainer answers with a :class:`TrialResult` as JSON of at most
:data:`RESULT_LIMIT` bytes in its termination message, which the operator copies to the Job's
annotation ``blockqnn.dev/result``. Anything that writes such an annotation is a trainer.

Field names are those of the BlockSearch resource, and so are the docstrings below.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from blockqnn.errors import InvalidMessage
from blockqnn.model import Model

SCHEMA_VERSION: Literal[1] = 1
"""The version of both messages; a reader refuses any other."""

TRIAL_VARIABLE = "BLOCKQNN_TRIAL"
"""The environment variable that carries the :class:`TrialSpec`."""

THREADS_VARIABLE = "BLOCKQNN_THREADS"
"""The environment variable that fixes how many threads a training on processors uses, from 1."""

RESULT_LIMIT = 3584
"""The size of a result in bytes: Kubernetes keeps 4,096 of a termination message."""

MESSAGE_LIMIT = 400
"""The longest text of a result's ``message``, in characters."""

CURVE_LIMIT = 128
"""The most points of a result's curve; a longer training thins its curve to this many."""


class Validation(Model):
    """Which images the reward is measured on."""

    source: Literal["train", "test"]
    """Where they come from: `train` holds some of the training images out; `test` takes the test
    images and trains on all others, which is the literal reading of the papers, but leaves no image
    that the search has not seen."""

    fraction: Annotated[float, Field(gt=0, lt=1)]
    """The share of the training images that is held out with `source: train`, by a seed that all
    trials share.

    The papers print 5:1 for training to test set and call the reward validation accuracy;
    0.1 of CIFAR's 50,000 is what MetaQNN holds out.
    """


class ImageShape(Model):
    """What the images of a dataset are: all that the cost of a network depends on."""

    channels: Annotated[int, Field(ge=1, le=1024)]
    """Colours of an image: 3, or 1 for grey."""

    height: Annotated[int, Field(ge=1, le=4096)]
    """In pixels."""

    width: Annotated[int, Field(ge=1, le=4096)]
    """In pixels."""

    classes: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many classes there are."""

    @property
    def size(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return (self.channels, self.height, self.width)


KNOWN_IMAGES: Mapping[str, ImageShape] = {
    "digits": ImageShape(channels=1, height=8, width=8, classes=10),
    "cifar10": ImageShape(channels=3, height=32, width=32, classes=10),
    "cifar100": ImageShape(channels=3, height=32, width=32, classes=100),
    "svhn": ImageShape(channels=3, height=32, width=32, classes=10),
    "fashion_mnist": ImageShape(channels=1, height=28, width=28, classes=10),
}
"""The images of the datasets that have always the same."""


class Constraints(Model):
    """What the network of a block may cost at most; blocks that cost more are never proposed."""

    max_parameters: Annotated[int, Field(ge=1, le=1_000_000_000_000)] | None = None
    """Trainable parameters of the stacked network, stem and classifier included. CVPR 2018,
    section 5.2: 10,000,000 for Block-QNN-S."""

    max_macs: Annotated[int, Field(ge=1, le=1_000_000_000_000_000)] | None = None
    """Multiply-accumulates of one image's pass through the stacked network."""

    def __bool__(self) -> bool:
        """Whether anything is limited."""
        return self.max_parameters is not None or self.max_macs is not None

    def allow(self, parameters: int, macs: int) -> bool:
        """Whether a network of this cost is within the limits."""
        return (self.max_parameters is None or parameters <= self.max_parameters) and (
            self.max_macs is None or macs <= self.max_macs
        )


class DatasetSpec(Model):
    """The images that a trial trains on."""

    name: Literal["digits", "npz", "cifar10", "cifar100", "svhn", "fashion_mnist", "imagefolder"]
    """`digits` (8x8 grey, ships with scikit-learn), `npz` (arrays of one's own), `imagefolder`
    (image files, a folder for each class), or the official files of the others."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """Where the files are inside the trial's container; `digits` needs none.

    For `npz`: one file, or a directory whose `*.npz` files other than `test.npz` are read in the
    order of their names; each has `x` (uint8, N x height x width x channels) and `y` (N labels).

    For `imagefolder`: a directory with the class folders, or with the folders `train`, and `test`
    or `val`, that hold them.
    """

    image_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    """The side of the square that images of `imagefolder` are brought to, in pixels: the shorter
    side is resized to it, the middle is kept. Left out, all images must have one size."""

    shape: ImageShape | None = None
    """What the images of `npz` or `imagefolder` are. Needed for `space.constraints`, which must
    know what a network costs before an image is read; the trainer refuses images that differ."""

    validation: Validation

    @property
    def images(self) -> ImageShape | None:
        """What the images are, where that is known before they are read."""
        return self.shape or KNOWN_IMAGES.get(self.name)

    def model_post_init(self, _context: object, /) -> None:
        """Refuse a size or a shape where it would be ignored."""
        if self.shape is not None and self.name in KNOWN_IMAGES:
            raise ValueError("shape is for npz and imagefolder; other datasets have theirs")
        if self.image_size is not None and self.name != "imagefolder":
            raise ValueError("imageSize is for imagefolder; images of other datasets keep theirs")


class NetworkSpec(Model):
    """How a block is stacked to a network (CVPR 2018, Fig. 3)."""

    filters: Annotated[
        tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1, max_length=8)
    ]
    """The width of each stage; pooling halves the image between two stages. Papers: 32, 64, 128."""

    repeats: Annotated[int, Field(ge=1, le=32)]
    """How many blocks each stage stacks (N in the papers): 4 on CIFAR, 3 on ImageNet."""

    output_projection: bool
    """Whether a 1x1 convolution brings a block's output back to the width of its stage.

    The papers' text lets concatenations grow without one: the literal reading, with a median
    output of twice the width and outliers of forty times.
    """


class Optimizer(Model):
    """Adam, as the papers' early-stop training uses it."""

    name: Literal["Adam"]
    """Which optimizer; `Adam` is the only one yet."""

    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """The step size at the start of the training. The papers: 0.001."""

    beta1: Annotated[float, Field(ge=0, lt=1)]
    """How slowly the mean of the gradients forgets. The papers: 0.9."""

    beta2: Annotated[float, Field(ge=0, lt=1)]
    """How slowly the mean of the squared gradients forgets. The papers: 0.999."""

    epsilon: Annotated[float, Field(gt=0, le=1)]
    """What keeps the step finite where gradients vanish. The papers: 1e-8."""


class LearningRateSchedule(Model):
    """The learning rate is multiplied by `factor` after each `every` epochs."""

    factor: Annotated[float, Field(gt=0, le=1)]
    """What the learning rate is multiplied by. The papers: 0.2."""

    every: Annotated[int, Field(ge=1, le=10_000)]
    """After how many epochs, again and again. The papers: 5."""


class Restarts(Model):
    """What happens when the first epoch ends no better than chance (CVPR 2018, section 4.2)."""

    maximum: Annotated[int, Field(ge=0, le=10)]
    """How many times the training starts again; after that the block is infeasible."""

    factor: Annotated[float, Field(gt=0, lt=1)]
    """What each restart multiplies the learning rate by."""


class TrainingSpec(Model):
    """The early-stop training of a trial (CVPR 2018, section 4.2)."""

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    """How many times the training images are gone through. The papers: 12."""

    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    """How many images each step learns from. The papers: 256."""

    precision: Literal["auto", "float32", "bfloat16"]
    """What the network computes with; weights, their updates and the statistics of batch norm are
    float32 in any case. `auto`: bfloat16 on GPUs that have it, which halves the memory traffic
    there, and float32 elsewhere. A search whose trials may land on different kinds of GPUs should
    name one of the others. `float32` uses no TensorFloat32."""

    optimizer: Optimizer
    schedule: LearningRateSchedule
    restarts: Restarts


class StoppingRule(Model):
    """A training that is worse than this after an epoch ends there, with an extrapolated accuracy.

    Its accuracy counts as `intercept` + `slope` x that after the epoch, within 0 and 1.
    """

    epoch: Annotated[int, Field(ge=1)]
    """The epoch after which the rule is looked at, from 1."""
    below: Annotated[float, Field(ge=0, le=1)]
    """The validation accuracy below which the training ends."""
    intercept: float
    slope: float


class TrialSpec(Model):
    """One trial: the block, the network around it, the data, and how to train."""

    version: Literal[1] = SCHEMA_VERSION
    search: str
    """Namespace and name of the BlockSearch, `namespace/name`; for messages only."""
    trial: Annotated[int, Field(ge=0)]
    attempt: Annotated[int, Field(ge=0)]
    block: str
    """The Network Structure Code, as :meth:`blockqnn.nsc.Block.parse` reads it."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Fixes the weights, the order of the images and the restarts of this trial."""
    split_seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Fixes which images are held out: the same for all trials of a search."""
    network: NetworkSpec
    constraints: Constraints | None = None
    """What the network may cost; one that costs more is infeasible. None: there is no limit."""
    dataset: DatasetSpec
    training: TrainingSpec
    stopping: tuple[StoppingRule, ...] | None = None
    """When the training may stop itself. None: never. A trainer may train on in any case."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a specification from JSON.

        Raises:
            InvalidMessage: naming the first field that is wrong.
        """
        return read_message(cls, text, "The trial specification")


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


class Seconds(Model):
    """Where the time of a trial went, in seconds of wall clock."""

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
    """The whole life of the process."""


Reason = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{0,63}$")]
"""A short cause in CamelCase, for programs; the sentence for people stands beside it."""

Accuracy = Annotated[float, Field(ge=0, le=1)]
"""The share of the validation images that are classified rightly, from 0 to 1."""


class TrialResult(Model):
    """What a trainer reports of one attempt at one trial."""

    version: Literal[1] = SCHEMA_VERSION
    trial: Annotated[int, Field(ge=0)]
    attempt: Annotated[int, Field(ge=0)]
    block_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """:func:`blockqnn.graph.canonical_hash` of the block that was trained."""
    outcome: Literal[Outcome.SUCCEEDED, Outcome.INFEASIBLE, Outcome.FAILED]
    reason: Reason
    """`Completed`, or why there is no accuracy: `OutOfMemory`, `NotFinite`, `NeverLearned`, ..."""
    message: Annotated[str, StringConstraints(max_length=MESSAGE_LIMIT)] = ""
    """One sentence for people; empty when the trial succeeded."""
    accuracy: Accuracy | None = None
    """After the last epoch, on the held-out images; present exactly when the trial succeeded."""
    stopped_after: Annotated[int, Field(ge=1)] | None = None
    """The epoch after which the training stopped itself, by a rule of its specification; the
    accuracy is extrapolated then."""
    curve: Annotated[tuple[Accuracy, ...], Field(max_length=CURVE_LIMIT)] = ()
    """The validation accuracy after each epoch of the last restart."""
    parameters: Annotated[int, Field(ge=0)] | None = None
    """Trainable parameters of the whole network, counted on the network itself."""
    macs: Annotated[int, Field(ge=0)] | None = None
    """Multiply-accumulates of one image's forward pass (convolutions and the classifier)."""
    restarts: Annotated[int, Field(ge=0, le=10)] = 0
    """How often the training started again at a lower rate."""
    device: Annotated[str, StringConstraints(max_length=64)] = ""
    """What it ran on: `cpu`, or the accelerator's name."""
    seconds: Seconds = Seconds()

    def model_post_init(self, _context: object, /) -> None:
        """Hold the accuracy to the outcome."""
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


class PreparationResult(Model):
    """What `blockqnn-train prepare` reports in its termination message."""

    version: Literal[1] = SCHEMA_VERSION
    prepared: bool
    """Whether trials can read the images now."""
    reason: Reason
    """`Prepared`, or why not: `DatasetMissing`, `DatasetInvalid`, `VolumeUnusable`,
    `DownloadFailed`, `Terminated`, `Error`."""
    message: Annotated[str, StringConstraints(max_length=MESSAGE_LIMIT)]
    """One sentence for people: what there is, or what is wrong and what to do."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a result from JSON.

        Raises:
            InvalidMessage: naming the first field that is wrong.
        """
        return read_message(cls, text, "The result of the preparation")

    def write(self) -> str:
        """Write the result as compact JSON that :meth:`read` accepts."""
        return self.model_dump_json()


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
