"""The early-stop training of a trial, in the names of the BlockSearch resource."""

from typing import Annotated, Literal

from pydantic import Field

from blockqnn.model import Model


class Optimizer(Model):
    """Adam, as the papers' early-stop training uses it."""

    name: Literal["Adam"]
    """Name of the optimizer; only `Adam` is supported."""

    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """Learning rate at the start of the training. The papers: 0.001."""

    beta1: Annotated[float, Field(ge=0, lt=1)]
    """Decay rate of the running mean of the gradients. The papers: 0.9."""

    beta2: Annotated[float, Field(ge=0, lt=1)]
    """Decay rate of the running mean of the squared gradients. The papers: 0.999."""

    epsilon: Annotated[float, Field(gt=0, le=1)]
    """Small constant that keeps the step finite when gradients vanish. The papers: 1e-8."""


class LearningRateSchedule(Model):
    """The learning rate is multiplied by `factor` after each `every` epochs."""

    factor: Annotated[float, Field(gt=0, le=1)]
    """Factor of the learning rate. The papers: 0.2."""

    every: Annotated[int, Field(ge=1, le=10_000)]
    """Number of epochs between two changes of the learning rate. The papers: 5."""


class Restarts(Model):
    """Restarts after a first epoch that ends no better than chance (CVPR 2018, section 4.2)."""

    maximum: Annotated[int, Field(ge=0, le=10)]
    """Maximum number of restarts; after that the block is infeasible."""

    factor: Annotated[float, Field(gt=0, lt=1)]
    """Factor by which each restart multiplies the learning rate."""


class TrainingSpec(Model):
    """The early-stop training of a trial (CVPR 2018, section 4.2)."""

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    """Number of passes over the training images. The papers: 12."""

    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    """Number of images of each training step. The papers: 256."""

    precision: Literal["auto", "float32", "bfloat16"]
    """Number format of the network's computations; weights, their updates and the statistics of
    batch norm are always float32. `auto`: bfloat16 on GPUs that have it, which halves the memory
    traffic there, and float32 elsewhere. A search whose trials may run on different kinds of
    GPUs should name one of the others. `float32` uses no TensorFloat32."""

    optimizer: Optimizer
    schedule: LearningRateSchedule
    restarts: Restarts


class StoppingRule(Model):
    """Rule that ends a training early, with an extrapolated accuracy, if it is worse than a limit.

    Its accuracy counts as `intercept` + `slope` x the accuracy after the epoch, within 0 and 1.
    """

    epoch: Annotated[int, Field(ge=1)]
    """The epoch after which the rule applies, from 1."""
    below: Annotated[float, Field(ge=0, le=1)]
    """The validation accuracy below which the training ends."""
    intercept: float
    slope: float
