"""A finalist as the operator hands it to a trainer, and the result that comes back.

A finalist is one block that is trained to convergence, on one dataset, from one seed. The operator
hands it over as a :class:`FinalistSpec`, as JSON in the environment variable ``BLOCKQNN_FINALIST``.
The trainer answers with a :class:`FinalistResult` as JSON of at most
:data:`~blockqnn.contract.message.RESULT_LIMIT` bytes in its termination message. Checkpoints and
model are on a volume.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from blockqnn.contract import fields
from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.message import LARGEST_COUNT, Accuracy, Message, Reason, ResultMessage
from blockqnn.contract.metrics import Measured
from blockqnn.contract.recipes import fill_in
from blockqnn.model import Model
from blockqnn.network.spec import NetworkSpec

FINALIST_VERSION: Literal[1] = 1
"""The version of both messages; a reader rejects any other."""

FINALIST_VARIABLE = "BLOCKQNN_FINALIST"
"""The environment variable that carries the :class:`FinalistSpec`."""


class FinalistNetwork(NetworkSpec):
    """Network of a finalist: a block, stacked."""

    stem: Literal["Plain", "ImageNet"]
    """Layers before the blocks. `Plain`: a 3x3 convolution that keeps the size of the image, as in
    searches. `ImageNet`: a 7x7 convolution and 3x3 maxima, both with stride 2, which leave a
    quarter of each side (He et al. 2016, table 1)."""


class MomentumOptimizer(Model):
    """Stochastic gradient descent with momentum, as in the papers' complete trainings."""

    name: Literal["SGD"]
    """Name of the optimizer; only `SGD` is supported."""

    learning_rate: Annotated[float, Field(gt=0, le=10)]
    """Learning rate at the start. The papers: 0.1."""

    momentum: Annotated[float, Field(ge=0, lt=1)]
    """Decay rate of past gradients; the higher, the longer they count. The papers: 0.9."""

    weight_decay: Annotated[float, Field(ge=0, le=1)]
    """Share of each parameter that is added to its gradient, parameters of batch norm included. The
    papers: 0.0005 on CIFAR, 0.0001 on ImageNet."""


class MilestoneSchedule(Model):
    """The learning rate is multiplied by `factor` at each milestone."""

    milestones: Annotated[tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(max_length=16)]
    """Numbers of epochs after which the rate drops, in ascending order. The papers: 150 and 225 on
    CIFAR, 30 and 60 on ImageNet."""

    factor: Annotated[float, Field(gt=0, le=1)]
    """Factor of the learning rate. The papers: 0.1."""

    def model_post_init(self, _context: object, /) -> None:
        """Reject milestones that are not in ascending order."""
        if any(a >= b for a, b in zip(self.milestones, self.milestones[1:], strict=False)):
            raise ValueError("milestones must be in ascending order, each only once")


Side = Annotated[int, Field(ge=8, le=2048)]


class Scale(Model):
    """Training on squares of random scale, as the papers do on ImageNet."""

    short_side: tuple[Side, Side]
    """Shortest and longest length that the shorter side of an image is resized to, in pixels; all
    whole numbers between them are equally likely. The papers: 256 and 480."""

    crop: Side
    """Side of the square that is cut from it at a random position, in pixels. The papers: 224."""

    test_short_side: Side
    """Length that the shorter side of a test image is resized to before the middle is cut out, in
    pixels. The papers: 256."""

    def model_post_init(self, _context: object, /) -> None:
        """Reject sides that contradict one another."""
        if not self.crop <= self.short_side[0] <= self.short_side[1]:
            raise ValueError("crop must be at most shortSide's first, and that at most its second")
        if self.crop > self.test_short_side:
            raise ValueError("crop must be at most testShortSide")


class Augmentation(Model):
    """Random changes to the training images, drawn again in each epoch."""

    padding: Annotated[int, Field(ge=0, le=64)] = 0
    """Maximum shift of an image in each direction, in pixels; the area that becomes free gets the
    mean colour. The papers on CIFAR: 4."""

    scale: Scale | None = None
    """Random scale and crop; test images are cut from the middle. The papers on ImageNet."""

    flip: bool
    """True if every other image is mirrored, left to right. The papers: true. Not for digits."""

    def model_post_init(self, _context: object, /) -> None:
        """Reject two ways to crop."""
        if self.padding and self.scale is not None:
            raise ValueError("padding and scale are two ways to crop; give one of them")


class FinalistTraining(Model):
    """A complete training."""

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    """Number of passes over the training images. The papers: 300 on CIFAR, 90 on ImageNet."""

    batch_size: Annotated[int, Field(ge=2, le=65_536)]
    """Number of images of each training step, summed over all processes. The papers: 128 on CIFAR,
    256 on ImageNet."""

    precision: Literal["auto", "float32", "bfloat16"]
    """Number format of the training, as in a search; the accuracy after the last epoch is always
    measured in float32."""

    optimizer: MomentumOptimizer
    schedule: MilestoneSchedule
    augmentation: Augmentation


class Checkpoints(Model):
    """Checkpoints from which a training continues after the loss of its Pod."""

    every: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Number of epochs between two checkpoints; the last epoch and SIGTERM always write one."""

    keep: Annotated[int, Field(ge=1, le=100)] = 2
    """Number of the newest checkpoints to keep; with two, one remains if the other is damaged."""


RelativePath = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=512,
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$",
    ),
]


class FinalistSpec(Message):
    """One finalist: the block, the network around it, the data, the training and the volume.

    `network` and `training` may be given in part; the recipe fills in the rest.
    """

    title: ClassVar[str] = "The finalist's specification"

    version: Literal[1] = FINALIST_VERSION
    search: str
    """Namespace and name of the BlockSearch, `namespace/name`; for messages and the model card."""
    trial: fields.Count
    """The trial of the search that found the block."""
    attempt: fields.Count = 0
    """Number of the Job, from 0; for messages only, as the checkpoints hold the progress."""
    target: fields.TargetName = ""
    """Name of the target that the block is transferred to; empty for the search's own dataset."""
    block: str
    """The Network Structure Code, as :meth:`blockqnn.block.nsc.Block.parse` reads it."""
    seed: fields.Seed
    """Fixes the weights, the order of the images and how each is varied."""
    split_seed: fields.Seed
    """Fixes which images are held out, where `dataset.validation.source` is `train`."""
    recipe: Literal["cifar", "imagenet"]
    """Recipe that fills in the fields of `network` and `training` that are not given."""
    network: FinalistNetwork
    dataset: DatasetSpec
    """Images of the training. With `validation.source: test`, the network trains on all training
    images, and the accuracy is measured on the test images. With `train`, it is measured on a share
    of the training images that is held out: for datasets without test images."""
    training: FinalistTraining
    volume: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """Directory where the volume of the finalists is mounted; it must exist."""
    folder: RelativePath
    """The finalist's own directory on the volume; created if it does not exist."""
    checkpoints: Checkpoints = Checkpoints()
    processes: Annotated[int, Field(ge=1, le=64)] | None = None
    """Number of processes that train together. Default: one for each GPU, or one without a GPU."""

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


class FinalistSeconds(fields.StageSeconds):
    """Wall-clock time of the parts of this process, in seconds."""

    checkpoint: fields.Duration = 0.0
    """Writing checkpoints."""
    export: fields.Duration = 0.0
    """Writing the model in all its forms, and comparing them."""
    total: fields.Duration = 0.0
    """The whole run time of the process."""
    earlier: fields.Duration = 0.0
    """The run times of earlier processes, each until the last checkpoint that it wrote; not part of
    the total."""


class FinalistVerdict(ResultMessage):
    """First part of a finalist's result: what became of it."""

    title: ClassVar[str] = "The finalist's result"

    version: Literal[1] = FINALIST_VERSION
    trial: fields.Count
    attempt: fields.Count
    target: fields.TargetName = ""
    seed: fields.Seed
    block_hash: fields.BlockHash
    outcome: fields.TrainedOutcome
    reason: Reason
    """`Completed`, or why there is no accuracy: `OutOfMemory`, `NotFinite`, `Terminated`, ..."""
    message: fields.Sentence = ""
    accuracy: Accuracy | None = None
    """After the last epoch, in float32; present exactly when the finalist succeeded."""
    top5_accuracy: Accuracy | None = None
    """The share of images whose class is among the five likeliest; only with six classes or more.
    """
    epoch: fields.Count = 0
    """Number of epochs trained, including those before a checkpoint."""
    epochs: Annotated[int, Field(ge=1, le=LARGEST_COUNT)] = 1
    """Number of epochs of the whole training."""
    curve: fields.Curve = ()
    resumed: fields.Count = 0
    """Number of times that this training continued from a checkpoint."""
    damaged_checkpoints: fields.Count = 0
    """Number of checkpoints that could not be read and were skipped; the training continued from
    another one, or started again."""
    measured_on: Literal["test", "train"] = "test"
    """`test`: the dataset's test images; `train`: training images that were held out."""

    def model_post_init(self, _context: object, /) -> None:
        """Reject an accuracy that contradicts the outcome."""
        fields.check_accuracy(self.accuracy, self.outcome)


class FinalistResult(Measured, FinalistVerdict):
    """Result of one attempt at one finalist, as a trainer reports it."""

    processes: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of processes that trained together at the end."""
    device: fields.Device = ""
    folder: fields.Folder = ""
    """The finalist's directory on the volume; it holds the model if the finalist succeeded."""
    weights: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The SHA-256 of the file `weights.safetensors`."""
    seconds: FinalistSeconds = FinalistSeconds()
