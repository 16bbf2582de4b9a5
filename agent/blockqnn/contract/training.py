"""The early-stop training of a trial, in the names of the BlockSearch resource."""

from typing import Annotated, Literal

from pydantic import Field

from blockqnn.model import Model


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
