"""Programs that train blocks: their options, their images, and the trainings that they ask for."""

import argparse
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Generic, NamedTuple

from benchmarks.table.pool import Trained, Trainings, open_pool
from benchmarks.table.recipe import IMAGES, make_images
from benchmarks.table.rows import Row
from benchmarks.table.training import train
from blockqnn.block.nsc import Block


class Request(NamedTuple, Generic[Trained]):
    """A training of a block with a seed."""

    block: Block
    seed: int
    train: Callable[[], Trained]
    """Trains that block with that seed, in another process."""


def training_parser(module: str, description: str | None, output: Path) -> argparse.ArgumentParser:
    """Return a parser of the options that all programs have.

    Args:
        module: the program, as ``python -m`` runs it.
        description: what it does.
        output: the file that it adds trainings to, unless another is named.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder with CIFAR-100 as npz")
    parser.add_argument("--output", type=Path, default=output, help="the file with the trainings")
    parser.add_argument("--processes", type=int, default=2, help="trainings side by side")
    return parser


def prepare_images(cifar100: Path) -> None:
    """Make the images of the table from a folder of CIFAR-100, unless they are there."""
    if not IMAGES.exists():
        make_images(cifar100, IMAGES)


def table_training(block: Block, origin: str, seed: int = 0) -> Request[Row]:
    """Return a training by the table's recipe.

    Args:
        block: the block.
        origin: see :attr:`benchmarks.table.rows.Row.origin`.
        seed: of the weights and of the order of the images.
    """
    return Request(block, seed, partial(train, str(block), origin, seed, IMAGES))


def train_all(
    processes: int,
    earlier: Iterable[Trained],
    store: Callable[[Trained], None],
    requests: Iterable[Request[Trained]],
) -> None:
    """Train what was not trained before, and return when all of it is stored.

    Args:
        processes: trainings side by side.
        earlier: those that were done before.
        store: keeps a training that has ended.
        requests: all that are wanted.
    """
    with open_pool(processes) as pool:
        trainings = Trainings(pool, earlier, store)
        futures = [trainings.ask(*request) for request in requests]
        for future in futures:
            future.result()
