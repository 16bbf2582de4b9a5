"""A trainer for another task: keypoints, as in appendix C of CVPR 2018, on images made here.

BlockQNN accepts any trainer that keeps the contract of trials (docs/tasks/use-your-own-trainer.md):
it reads the trial from the environment variable BLOCKQNN_TRIAL and writes one JSON result to the
file that TERMINATION_MESSAGE_PATH names.

Each image shows a figure of three parts (a disc, a ring and a cross) at random places, among noise.
The network finds where they are: blocks are stacked to a head that gives a heat map for each part,
as large as the image, and the place of its maximum is the answer. The reward is PCK, the
percentage of correct keypoints: those that are found within a tenth of the image's side.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from blockqnn import (
    Block,
    BlockQNNError,
    NetworkSpec,
    Outcome,
    TrialResult,
    TrialSpec,
    canonical_hash,
)
from blockqnn_trainer import Convolution, Stage, count_macs, count_parameters, initialise

SIDE = 24
"""Pixels of an image's side."""
PARTS = 3
TRAINING_IMAGES, TEST_IMAGES = 768, 256
NEAR = 0.1 * SIDE
"""Distance from its place at which a keypoint still counts, in pixels: PCK@0.1."""
SPREAD = 1.5
"""The deviation of the bell on a heat map, in pixels."""


class HeatMaps(nn.Module):
    """N x 1 x H x W images to N x PARTS x H x W heat maps.

    Stages follow one another at the full size: a keypoint's place would be lost by pooling.
    """

    def __init__(self, block: Block, spec: NetworkSpec) -> None:
        super().__init__()
        width = spec.filters[0]
        previous: int | None = None
        self.stem = Convolution(1, width, 3)
        self.stages = nn.ModuleList()
        for filters in spec.filters:
            stage = Stage(block, spec, filters, width, previous)
            self.stages.append(stage)
            width, previous = stage.width, stage.previous
        self.head = nn.Conv2d(width, PARTS, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the heat maps of a batch."""
        value: Tensor = self.stem(images)
        previous: Tensor | None = None
        for stage in self.stages:
            value, previous = stage(value, previous)
        maps: Tensor = self.head(functional.relu(value))
        return maps


def draw(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Make images, N x 1 x SIDE x SIDE, and the places of their parts, N x PARTS x 2, in pixels."""
    places = 3 + (SIDE - 6) * torch.rand(count, PARTS, 2, generator=generator)
    rows, columns = distances(places)
    away = (rows.square() + columns.square()).sqrt()
    disc = (away[:, 0] < 2.5).float()
    ring = ((away[:, 1] > 1.5) & (away[:, 1] < 3)).float()
    arms = torch.minimum(rows[:, 2].abs(), columns[:, 2].abs()) < 0.75
    cross = (arms & (away[:, 2] < 3.5)).float()
    images = torch.maximum(torch.maximum(disc, ring), cross)
    images += 0.2 * torch.randn(images.shape, generator=generator)
    return images[:, None], places


def distances(places: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far pixels are from each place, down and along: N x PARTS x SIDE x SIDE each."""
    axis = torch.arange(SIDE, dtype=torch.float32)
    rows = axis[:, None] - places[..., 0, None, None]
    columns = axis[None, :] - places[..., 1, None, None]
    shape = (*places.shape[:2], SIDE, SIDE)
    return rows.expand(shape), columns.expand(shape)


def bells(places: Tensor) -> Tensor:
    """The heat maps that the network shall give: N x PARTS x SIDE x SIDE."""
    rows, columns = distances(places)
    return torch.exp(-(rows.square() + columns.square()) / (2 * SPREAD**2))


def correct_keypoints(network: HeatMaps, images: Tensor, places: Tensor) -> float:
    """The share of keypoints that are found near enough, from 0 to 1."""
    network.eval()
    with torch.inference_mode():
        highest = network(images).flatten(2).argmax(2)
    keypoints = torch.stack([highest // SIDE, highest % SIDE], 2)
    near = (keypoints - places).norm(dim=2) <= NEAR
    return float(near.float().mean())


def train(trial: TrialSpec, network: HeatMaps, generator: torch.Generator) -> list[float]:
    """Train as `spec.training` says; return the PCK after each epoch."""
    # The same images for all trials of a search: splitSeed, not seed.
    drawn = torch.Generator().manual_seed(trial.split_seed)
    images, places = draw(TRAINING_IMAGES, drawn)
    held_out = draw(TEST_IMAGES, drawn)
    wanted = bells(places)
    training, settings = trial.training, trial.training.optimizer
    optimizer = torch.optim.Adam(
        network.parameters(),
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
    )
    schedule = torch.optim.lr_scheduler.StepLR(
        optimizer, training.schedule.every, training.schedule.factor
    )
    curve: list[float] = []
    for epoch in range(training.epochs):
        network.train()
        order = torch.randperm(len(images), generator=generator)
        for chosen in order.split(training.batch_size):
            optimizer.zero_grad()
            loss = functional.mse_loss(network(images[chosen]), wanted[chosen])
            loss.backward()
            optimizer.step()
        schedule.step()
        curve.append(correct_keypoints(network, *held_out))
        print(f"epoch {epoch + 1}/{training.epochs}: PCK {curve[-1]:.4f}", flush=True)
    return curve


def run(trial: TrialSpec) -> TrialResult:
    """Run a trial from its specification to its result."""
    block = Block.parse(trial.block)
    generator = torch.Generator().manual_seed(trial.seed)
    network = HeatMaps(block, trial.network)
    initialise(network, generator)
    answer = {
        "trial": trial.trial,
        "attempt": trial.attempt,
        "block_hash": canonical_hash(block),
        "parameters": count_parameters(network),
        "macs": count_macs(network, (1, SIDE, SIDE)),
        "device": "cpu",
    }
    curve = train(trial, network, generator)
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        message = "A weight is not a finite number."
        return TrialResult(
            **answer, outcome=Outcome.INFEASIBLE, reason="NotFinite", message=message
        )
    return TrialResult(
        **answer,
        outcome=Outcome.SUCCEEDED,
        reason="Completed",
        accuracy=curve[-1],
        curve=tuple(curve[-128:]),
    )


def main(environment: Mapping[str, str]) -> int:
    """Run the trial of the environment; return the exit status."""
    try:
        result = run(TrialSpec.read(environment["BLOCKQNN_TRIAL"]))
    except (BlockQNNError, KeyError) as error:
        # Wrong however often it is tried: status 2 is not tried again.
        print(error, file=sys.stderr)
        return 2
    Path(environment["TERMINATION_MESSAGE_PATH"]).write_text(result.write())
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
