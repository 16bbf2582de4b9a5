"""Trainings: blocks of all sizes, a network, images, and the trials made of them."""

from pathlib import Path
from random import Random

import numpy

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.trial import TrialSpec
from blockqnn.network.cost import network_macs
from blockqnn.network.spec import NetworkSpec
from blockqnn.settings.presets import PRESETS
from blockqnn.settings.search import SpaceSettings
from blockqnn.space.block_space import Space
from blockqnn_trainer.datasets.sources import read_images

SEED = 20180619
"""Draws the blocks and the images: any would do, but always the same one."""

DRAWN = 2000
"""Blocks that are drawn, so that each of 32 quantiles has some 60."""

REDUCED = NetworkSpec(filters=(8, 16, 32), repeats=1, output_projection=True)
"""The network of a CPU: the second row of the table of CPU trainings in the reference."""

FULL = NetworkSpec(filters=(32, 64, 128), repeats=4, output_projection=True)
"""The network of a GPU: that of the papers' CIFAR search."""


def stratified_blocks(count: int, network: NetworkSpec) -> list[Block]:
    """Draw blocks as the agent does, and take some at evenly spaced quantiles of their MACs.

    The quantiles run from 5 to 95 %: beyond are blocks without a convolution, and a few giants.
    Blocks that mean the same network count once.
    """
    space, random = _space(), Random(SEED)
    drawn: dict[str, tuple[int, Block]] = {}
    for _ in range(DRAWN):
        block = space.random_block(random, "TypeFirst")
        drawn[canonical_hash(block)] = (network_macs(block, network, (3, 32, 32), 10), block)
    blocks = [
        block for _, block in sorted(drawn.values(), key=lambda pair: (pair[0], str(pair[1])))
    ]
    lowest, highest = 0.05 * len(blocks), 0.95 * len(blocks)
    step = (highest - lowest) / count
    return [blocks[int(lowest + (number + 0.5) * step)] for number in range(count)]


def _space() -> Space:
    return Space(SpaceSettings.model_validate(PRESETS["Efficient"]["space"]))


def make_images(path: Path) -> DatasetSpec:
    """Write 640 of scikit-learn's digits, each pixel doubled to 16x16; 512 are trained on.

    That is the size of image, and the number of images, of the table in the reference.
    """
    pixels, labels = read_images(
        DatasetSpec.model_validate(
            {"name": "digits", "path": "/", "validation": {"source": "train", "fraction": 0.2}}
        ),
        "train",
    )
    chosen = numpy.random.default_rng(SEED).permutation(len(labels))[:640]
    large = pixels[chosen].repeat(2, axis=1).repeat(2, axis=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    numpy.savez(path, x=large, y=labels[chosen])
    return DatasetSpec.model_validate(
        {"name": "npz", "path": str(path), "validation": {"source": "train", "fraction": 0.2}}
    )


def make_trial(
    block: Block, network: NetworkSpec, dataset: DatasetSpec, batch_size: int, seed: int
) -> TrialSpec:
    """Make a trial of 12 epochs with the papers' recipe.

    The rate is 0.01: on 8 steps an epoch, the papers' 0.001 for 196 leaves the first at chance.
    """
    return TrialSpec.model_validate(
        {
            "search": "benchmarks/trainer",
            "trial": 0,
            "attempt": 0,
            "block": str(block),
            "seed": seed,
            "splitSeed": SEED,
            "network": network,
            "dataset": dataset,
            "training": {
                "epochs": 12,
                "batchSize": batch_size,
                "precision": "auto",
                "optimizer": {
                    "name": "Adam",
                    "learningRate": 0.01 if batch_size < 256 else 0.001,
                    "beta1": 0.9,
                    "beta2": 0.999,
                    "epsilon": 1e-8,
                },
                "schedule": {"factor": 0.2, "every": 5},
                "restarts": {"maximum": 3, "factor": 0.4},
            },
        }
    )
