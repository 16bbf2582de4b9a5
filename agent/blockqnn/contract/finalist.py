"""What a finalist is told and what it answers: the contract of the operator and the trainer.

A finalist is one block that is trained to convergence, on one dataset, from one seed. It is told by
a :class:`FinalistSpec` as JSON in the environment variable ``BLOCKQNN_FINALIST``, and answers by a
:class:`FinalistResult` as JSON of at most :data:`~blockqnn.contract.message.RESULT_LIMIT` bytes in
its termination message. Its checkpoints and its model are on a volume.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.message import (
    CURVE_LIMIT,
    MESSAGE_LIMIT,
    Accuracy,
    Outcome,
    Reason,
    bounded,
    read_message,
)
from blockqnn.contract.recipes import fill_in
from blockqnn.model import Model
from blockqnn.network.spec import NetworkSpec

FINALIST_VERSION: Literal[1] = 1
"""The version of both messages; a reader refuses any other."""

FINALIST_VARIABLE = "BLOCKQNN_FINALIST"
"""The environment variable that carries the :class:`FinalistSpec`."""


class FinalistNetwork(NetworkSpec):
    """How a block is stacked to the network of a finalist."""

    stem: Literal["Plain", "ImageNet"]
    """What comes before the blocks. `Plain`: a 3x3 convolution that keeps the size of the image,
    as in searches. `ImageNet`: a 7x7 convolution and 3x3 maxima, both with stride 2, which leave a
    quarter of each side (He et al. 2016, table 1)."""


class MomentumOptimizer(Model):
    """Stochastic gradient descent with momentum, which the papers' complete trainings use."""

    name: Literal["SGD"]
    """Which optimizer; `SGD` is the only one yet."""

    learning_rate: Annotated[float, Field(gt=0, le=10)]
    """The step size at the start. The papers: 0.1."""

    momentum: Annotated[float, Field(ge=0, lt=1)]
    """How slowly past gradients are forgotten. The papers: 0.9."""

    weight_decay: Annotated[float, Field(ge=0, le=1)]
    """What of each parameter is added to its gradient, those of batch norm included. The papers:
    0.0005 on CIFAR, 0.0001 on ImageNet."""


class MilestoneSchedule(Model):
    """The learning rate is multiplied by `factor` at each milestone."""

    milestones: Annotated[tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(max_length=16)]
    """After how many epochs, in ascending order. The papers: 150 and 225 on CIFAR, 30 and 60 on
    ImageNet."""

    factor: Annotated[float, Field(gt=0, le=1)]
    """What the learning rate is multiplied by. The papers: 0.1."""

    def model_post_init(self, _context: object, /) -> None:
        """Refuse milestones in another order than they are reached."""
        if any(a >= b for a, b in zip(self.milestones, self.milestones[1:], strict=False)):
            raise ValueError("milestones must be in ascending order, each only once")


Side = Annotated[int, Field(ge=8, le=2048)]


class Scale(Model):
    """Training on squares of random scale, as the papers do on ImageNet."""

    short_side: tuple[Side, Side]
    """The shortest and the longest to which the shorter side of an image is brought, in pixels;
    every whole number between them is as likely. The papers: 256 and 480."""

    crop: Side
    """The side of the square that is cut from it, anywhere, in pixels. The papers: 224."""

    test_short_side: Side
    """What the shorter side of a test image is brought to, of which the middle is cut, in pixels.
    The papers: 256."""

    def model_post_init(self, _context: object, /) -> None:
        """Hold the sides to one another."""
        if not self.crop <= self.short_side[0] <= self.short_side[1]:
            raise ValueError("crop must be at most shortSide's first, and that at most its second")
        if self.crop > self.test_short_side:
            raise ValueError("crop must be at most testShortSide")


class Augmentation(Model):
    """How training images are varied, anew in each epoch."""

    padding: Annotated[int, Field(ge=0, le=64)] = 0
    """How many pixels an image may be shifted in each direction; what it leaves has the colour of
    the mean. The papers on CIFAR: 4."""

    scale: Scale | None = None
    """Random scale and crop; test images are cut from the middle. The papers on ImageNet."""

    flip: bool
    """Whether every other image is mirrored, left to right. The papers: so. Not for digits."""

    def model_post_init(self, _context: object, /) -> None:
        """Refuse two ways to crop."""
        if self.padding and self.scale is not None:
            raise ValueError("padding and scale are two ways to crop; give one of them")


class FinalistTraining(Model):
    """A complete training."""

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    """How many times the training images are gone through. The papers: 300 on CIFAR, 90 on
    ImageNet."""

    batch_size: Annotated[int, Field(ge=2, le=65_536)]
    """How many images each step learns from, over all processes together. The papers: 128 on
    CIFAR, 256 on ImageNet."""

    precision: Literal["auto", "float32", "bfloat16"]
    """What the network is trained with, as in a search; the accuracy after the last epoch is
    always measured in float32."""

    optimizer: MomentumOptimizer
    schedule: MilestoneSchedule
    augmentation: Augmentation


class Checkpoints(Model):
    """What is kept so that a training can go on after its Pod was taken away."""

    every: Annotated[int, Field(ge=1, le=10_000)] = 1
    """After how many epochs one is written; the last epoch and SIGTERM write one in any case."""

    keep: Annotated[int, Field(ge=1, le=100)] = 2
    """How many of the newest stay; with two, a damaged one has another behind it."""


RelativePath = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=512,
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$",
    ),
]


class FinalistSpec(Model):
    """One finalist: the block, the network around it, the data, how to train, where to keep it.

    `network` and `training` may be given in part; the recipe fills the rest in.
    """

    version: Literal[1] = FINALIST_VERSION
    search: str
    """Namespace and name of the BlockSearch, `namespace/name`; for messages and the model card."""
    trial: Annotated[int, Field(ge=0)]
    """The trial of the search that found the block."""
    attempt: Annotated[int, Field(ge=0)] = 0
    """Counts Jobs, from 0; for messages only: what was trained is told by the checkpoints."""
    target: Annotated[str, StringConstraints(max_length=63)] = ""
    """Names what the block is transferred to; empty where it stays on the search's dataset."""
    block: str
    """The Network Structure Code, as :meth:`blockqnn.block.nsc.Block.parse` reads it."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Fixes the weights, the order of the images and how each is varied."""
    split_seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Fixes which images are held out, where `dataset.validation.source` is `train`."""
    recipe: Literal["cifar", "imagenet"]
    """What fills in the fields of `network` and `training` that are not given."""
    network: FinalistNetwork
    dataset: DatasetSpec
    """With `validation.source: test`, all training images are trained on, and the accuracy is that
    on the test images. With `train`, a share is held out and measured on: for datasets without test
    images."""
    training: FinalistTraining
    volume: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """Where the volume of the finalists is mounted; this directory must exist."""
    folder: RelativePath
    """The finalist's own directory on the volume; made where it does not exist."""
    checkpoints: Checkpoints = Checkpoints()
    processes: Annotated[int, Field(ge=1, le=64)] | None = None
    """How many processes train together; left out, one for each GPU, or one without any."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        sections = ("network", "training")
        if not isinstance(given, Mapping) or given.get("recipe") not in ("cifar", "imagenet"):
            return given
        if not all(isinstance(given.get(section, {}), Mapping) for section in sections):
            return given
        partial = {section: given.get(section, {}) for section in sections}
        return {**given, **fill_in(given["recipe"], partial)}

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a specification from JSON.

        Raises:
            InvalidMessage: naming the first field that is wrong.
        """
        return read_message(cls, text, "The finalist's specification")


class FinalistSeconds(Model):
    """Where the time of this process went, in seconds of wall clock."""

    start: Annotated[float, Field(ge=0)] = 0.0
    """From the start of the process to the end of its imports."""
    data: Annotated[float, Field(ge=0)] = 0.0
    """Reading the images and moving them to the device."""
    build: Annotated[float, Field(ge=0)] = 0.0
    """Building the network, or reading a checkpoint."""
    train: Annotated[float, Field(ge=0)] = 0.0
    """All training steps."""
    evaluate: Annotated[float, Field(ge=0)] = 0.0
    """Measuring the accuracy after each epoch."""
    checkpoint: Annotated[float, Field(ge=0)] = 0.0
    """Writing checkpoints."""
    export: Annotated[float, Field(ge=0)] = 0.0
    """Writing the model in all its forms, and comparing them."""
    total: Annotated[float, Field(ge=0)] = 0.0
    """The whole life of the process."""
    earlier: Annotated[float, Field(ge=0)] = 0.0
    """The lives of the processes before it, each until the last checkpoint that it wrote; not part
    of the total."""


class FinalistResult(Model):
    """What a trainer reports of one attempt at one finalist."""

    version: Literal[1] = FINALIST_VERSION
    trial: Annotated[int, Field(ge=0)]
    attempt: Annotated[int, Field(ge=0)]
    target: Annotated[str, StringConstraints(max_length=63)] = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    block_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """:func:`blockqnn.block.graph.canonical_hash` of the block that was trained."""
    outcome: Literal[Outcome.SUCCEEDED, Outcome.INFEASIBLE, Outcome.FAILED]
    reason: Reason
    """`Completed`, or why there is no accuracy: `OutOfMemory`, `NotFinite`, `Terminated`, ..."""
    message: Annotated[str, StringConstraints(max_length=MESSAGE_LIMIT)] = ""
    """One sentence for people; empty when the finalist succeeded."""
    accuracy: Accuracy | None = None
    """After the last epoch, in float32; present exactly when the finalist succeeded."""
    top5_accuracy: Accuracy | None = None
    """The share of images whose class is among the five likeliest; only with six classes or more.
    """
    epoch: Annotated[int, Field(ge=0)] = 0
    """How many epochs were trained, those before a checkpoint included."""
    epochs: Annotated[int, Field(ge=1)] = 1
    """How many epochs the training has."""
    curve: Annotated[tuple[Accuracy, ...], Field(max_length=CURVE_LIMIT)] = ()
    """The accuracy after each epoch; thinned where it is longer."""
    resumed: Annotated[int, Field(ge=0)] = 0
    """How often this training went on from a checkpoint."""
    damaged_checkpoints: Annotated[int, Field(ge=0)] = 0
    """How many checkpoints could not be read and were left out; the training went on from another,
    or began anew."""
    measured_on: Literal["test", "train"] = "test"
    """`test`: the dataset's test images; `train`: training images that were held out."""
    parameters: Annotated[int, Field(ge=0)] | None = None
    """Trainable parameters of the whole network."""
    macs: Annotated[int, Field(ge=0)] | None = None
    """Multiply-accumulates of one image's forward pass (convolutions and the classifier)."""
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    """How many processes trained together at the end."""
    device: Annotated[str, StringConstraints(max_length=64)] = ""
    """What it ran on: `cpu`, or the accelerator's name."""
    folder: Annotated[str, StringConstraints(max_length=512)] = ""
    """The finalist's directory on the volume, with the model where it succeeded."""
    weights: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The SHA-256 of the file `weights.safetensors`."""
    seconds: FinalistSeconds = FinalistSeconds()

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
        return read_message(cls, bounded(text, "The finalist's result is"), "The finalist's result")

    def write(self) -> str:
        """Write the result as compact JSON that :meth:`read` accepts.

        Raises:
            InvalidMessage: when it is longer than :data:`~blockqnn.contract.message.RESULT_LIMIT`
            bytes.
        """
        return bounded(self.model_dump_json(exclude_none=True), "The finalist's result is")
