"""Trains one block to convergence, in a process that stays warm for the next."""

import time
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path

import torch

from benchmarks.table.converged import Converged
from benchmarks.table.recipe import FINAL_NETWORK, FINAL_TRAINING, SPLIT_SEED, make_dataset
from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FinalistTraining
from blockqnn.contract.message import Outcome
from blockqnn_trainer.datasets.npz import read_npz
from blockqnn_trainer.datasets.split import Images, Split, load
from blockqnn_trainer.errors import Infeasible
from blockqnn_trainer.finalists.checkpoint import Checkpoint, State
from blockqnn_trainer.finalists.data_loader import ResidentFeed
from blockqnn_trainer.finalists.evaluation import evaluate
from blockqnn_trainer.finalists.group import Group
from blockqnn_trainer.finalists.network import build_finalist
from blockqnn_trainer.finalists.training import Stage, Training

_DEVICE = torch.device("cpu")


def converge(
    code: str,
    seed: int,
    early_accuracy: float,
    images: Path,
    test_images: Path,
    spec: FinalistTraining = FINAL_TRAINING,
) -> Converged:
    """Train the block of a code as a finalist is trained, and measure it after the last epoch.

    Args:
        code: the block.
        seed: of the weights, of the order of the images and of how each is varied.
        early_accuracy: the table's, which is kept beside the others.
        images: those of the table.
        test_images: those of :func:`benchmarks.table.recipe.make_test_images`.
        spec: how to train.
    """
    block = Block.parse(code)
    began = time.process_time()
    split, test = _load(images, test_images)
    group = Group(0, 1, _DEVICE)
    feed = ResidentFeed(split, spec.augmentation, seed)
    network = build_finalist(block, FINAL_NETWORK, feed.input_shape, feed.classes, seed)
    watcher = _Watcher()
    outcome, accuracies = Outcome.SUCCEEDED, (0.0, 0.0)
    try:
        Training(spec, seed, "", network, feed, group).run(spec.epochs, watcher)
    except Infeasible:
        outcome = Outcome.INFEASIBLE
    else:
        feeds = (feed, ResidentFeed(test, spec.augmentation, seed))
        validation, unseen = [
            evaluate(network, feed, spec.batch_size, torch.float32, group).top1 for feed in feeds
        ]
        accuracies = validation, unseen
    return Converged(
        hash=canonical_hash(block),
        block=code,
        seed=seed,
        outcome=str(outcome),
        epochs=spec.epochs,
        validation_accuracy=accuracies[0],
        test_accuracy=accuracies[1],
        early_accuracy=early_accuracy,
        seconds=time.process_time() - began,
        curve=watcher.curve,
    )


@lru_cache(maxsize=1)
def _load(images: Path, test_images: Path) -> tuple[Split, Split]:
    """Return the table's split, and one that measures on the test images instead."""
    split = load(make_dataset(images), SPLIT_SEED, _DEVICE)
    training = split.training
    pixels, labels = (torch.from_numpy(array) for array in read_npz(test_images, "train"))
    test = Images(pixels, labels, training.mean, training.deviation)
    return split, Split(training, test, split.classes)


class _Watcher:
    """Keeps the accuracies, and no checkpoint: a training takes a minute or two."""

    def __init__(self) -> None:
        self.curve: tuple[float, ...] = ()

    def timed(self, _stage: Stage) -> AbstractContextManager[None]:
        return nullcontext()

    def epoch_ended(self, state: State, _loss: float) -> None:
        self.curve = state.curve

    def keep(self, checkpoint: Checkpoint) -> None:
        pass

    def stopping(self) -> bool:
        return False
