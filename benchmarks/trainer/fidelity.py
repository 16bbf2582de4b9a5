"""Agreement of the trainer with the plain loop: the same losses, step by step.

In float32 a program that rounds otherwise does not stay equal for long: the first steps of Adam
follow the sign of each gradient, and rounding decides the sign of those that are next to nothing.
So the trainer is compared without the techniques that round otherwise, which leaves no difference,
and with them in float64, where rounding does not reach the digits that are compared. And there is a
control, the plain loop against itself with its memory laid out channels last.
"""

from collections.abc import Callable
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.trainer import plain
from benchmarks.trainer.plain import PlainSplit, PlainTraining
from benchmarks.trainer.techniques import TutorialAdam, rounding_plainly
from blockqnn.block.nsc import Block
from blockqnn.contract.trial import TrialSpec
from blockqnn_trainer.datasets.split import Images, Split
from blockqnn_trainer.network.network import build_network
from blockqnn_trainer.training.adam import Adam
from blockqnn_trainer.training.early_stop import batch_bounds
from blockqnn_trainer.training.precision import require_exact_float32
from blockqnn_trainer.training.steps import TrainingStep

STEPS = 20
"""Compared from the first."""

TOLERANCE = 1e-4
"""Of a loss of 2.3 at chance."""


class Fidelity(NamedTuple):
    """Largest difference of the losses of the first steps."""

    float64: float
    """The trainer and the plain loop, in float64."""
    float32: float
    """The trainer and the plain loop, in float32."""
    same_order: float
    """The same, the trainer without the techniques that add and multiply in another order."""
    control: float
    """The plain loop and the plain loop channels last, in float32."""
    steps: int
    """Number of steps that trainer and plain loop stay within the tolerance in float32."""
    control_steps: int
    """Number of steps that the plain loop stays within it of itself."""


def compare(spec: TrialSpec, split: Split, plain_split: PlainSplit) -> Fidelity:
    """Compare the first steps of a trial."""
    require_exact_float32()
    device = split.training.labels.device
    ours = trainer_losses(spec, split, torch.float32)
    theirs = plain_losses(spec, plain_split, device, torch.float32)
    with patch.object(plain, "draw_weights", _drawn_then_channels_last):
        control = plain_losses(spec, plain_split, device, torch.float32)
    with rounding_plainly():
        in_order = trainer_losses(spec, split, torch.float32, TutorialAdam)
    return Fidelity(
        max(
            _differences(
                trainer_losses(spec, split, torch.float64),
                plain_losses(spec, plain_split, device, torch.float64),
            )
        ),
        max(_differences(ours, theirs)),
        max(_differences(in_order, theirs)),
        max(_differences(control, theirs)),
        _steps_within(_differences(ours, theirs)),
        _steps_within(_differences(control, theirs)),
    )


_draw_weights = plain.draw_weights


def _drawn_then_channels_last(network: nn.Module, generator: torch.Generator) -> None:
    _draw_weights(network, generator)
    network.to(memory_format=torch.channels_last)


class _Float64Images(Images):
    """Normalised in float32 like all images, then handed on in float64."""

    def batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = Images.batch(self, chosen)
        return images.double(), labels


def trainer_losses(
    spec: TrialSpec, split: Split, dtype: torch.dtype, adam: Callable[..., Any] = Adam
) -> list[float]:
    """The losses of the trainer's first steps."""
    generator = torch.Generator().manual_seed(spec.seed)
    network = build_network(
        Block.parse(spec.block), spec.network, split.input_shape, split.classes, generator=generator
    )
    images = split.training
    if dtype == torch.float64:
        images = _Float64Images(images.pixels, images.labels, images.mean, images.deviation)
    network = network.to(images.labels.device, dtype)
    step = TrainingStep(network, images, adam(network, spec.training.optimizer), torch.float32)
    losses: list[float] = []
    while len(losses) < STEPS:
        order = torch.randperm(len(images), generator=generator).to(images.labels.device)
        for start, end in batch_bounds(len(order), spec.training.batch_size):
            # 20 steps are less than the 5 epochs after which the schedule lowers the rate.
            step.begin(spec.training.optimizer.learning_rate)
            step(order[start:end])
            losses.append(step.mean_loss() * len(images) / (end - start))
    return losses[:STEPS]


def plain_losses(
    spec: TrialSpec, split: PlainSplit, device: torch.device, dtype: torch.dtype
) -> list[float]:
    """The losses of the plain loop's first steps."""
    generator = torch.Generator().manual_seed(spec.seed)
    rate = spec.training.optimizer.learning_rate
    run = PlainTraining(spec, split, generator, 0, rate, device, dtype)
    while len(run.losses) < STEPS:
        run.train_epoch()
    return run.losses[:STEPS]


def _differences(first: list[float], second: list[float]) -> list[float]:
    return [abs(one - other) for one, other in zip(first, second, strict=True)]


def _steps_within(differences: list[float]) -> int:
    return next((i for i, one in enumerate(differences) if one > TOLERANCE), len(differences))
