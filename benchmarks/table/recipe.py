"""What every block of the table is trained on, and how.

CIFAR-100 at 32x32 pixels with the network of a GPU would take two processors months. The table has
the first ten of its classes, each pixel the mean of 2x2, and the reduced network of
``benchmarks/trainer``: some seven seconds of one processor for a block.
"""

from pathlib import Path
from typing import Any

import numpy

from blockqnn.contract import NetworkSpec, TrialSpec
from blockqnn.nsc import Block

CLASSES = 10
TRAINING, VALIDATION = 2500, 1250
EPOCHS = 12
INPUT_SHAPE = (3, 16, 16)
NETWORK = NetworkSpec(filters=(8, 16, 32), repeats=1, output_projection=True)
SPLIT_SEED = 20181121

IMAGES = Path(__file__).resolve().parents[2] / "build" / "benchmarks" / "table" / "images.npz"
"""Where programs keep the images; made where they are missing."""

TRAINING_SPEC: dict[str, Any] = {
    "epochs": EPOCHS,
    "batchSize": 64,
    "precision": "float32",
    "optimizer": {
        "name": "Adam",
        # The papers' 0.001 is for 196 steps an epoch; here there are 40.
        "learningRate": 0.005,
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-8,
    },
    "schedule": {"factor": 0.2, "every": 5},
    "restarts": {"maximum": 3, "factor": 0.4},
}


def make_images(cifar100: Path, path: Path) -> None:
    """Write the table's images from a folder of CIFAR-100's ``train-*.npz`` (x uint8 NHWC, y)."""
    pixels, labels = [], []
    for file in sorted(cifar100.glob("train-*.npz")):
        with numpy.load(file) as arrays:
            chosen = arrays["y"] < CLASSES
            pixels.append(arrays["x"][chosen])
            labels.append(arrays["y"][chosen])
    if not pixels:
        raise SystemExit(f"error: {cifar100} has no train-*.npz; pass a folder with CIFAR-100")
    x, y = numpy.concatenate(pixels), numpy.concatenate(labels)
    count = TRAINING + VALIDATION
    small = x[:count].reshape(count, 16, 2, 16, 2, 3).mean(axis=(2, 4)).round().astype(numpy.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    numpy.savez(path, x=small, y=y[:count])


def make_trial(block: Block, images: Path, seed: int) -> TrialSpec:
    """Return the trial that trains a block of the table."""
    return TrialSpec.model_validate(
        {
            "search": "benchmarks/table",
            "trial": 0,
            "attempt": 0,
            "block": str(block),
            "seed": seed,
            "splitSeed": SPLIT_SEED,
            "network": NETWORK,
            "dataset": {
                "name": "npz",
                "path": str(images),
                "validation": {
                    "source": "train",
                    "fraction": VALIDATION / (TRAINING + VALIDATION),
                },
            },
            "training": TRAINING_SPEC,
        }
    )
