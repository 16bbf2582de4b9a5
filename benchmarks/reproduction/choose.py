"""Train the blocks that searches like, and say how far the model of untrained blocks was right.

``python -m benchmarks.reproduction.choose --data FOLDER`` adds three kinds of trainings to the
table:

* ``late``: blocks that the papers' presets propose in their last stages;
* ``best``: the block with the best reward of each of several short searches, of the default and of
  evolution, trained with seeds that no search has seen;
* ``favourite``: the twenty blocks with the best rewards of each contestant, likewise trained anew.

A search chooses the blocks that the model, or a lucky training, makes look best; so only a training
that it has not seen tells what they are worth. Each kind is chosen on the table without the
trainings of its own and the later kinds, once: a run that was broken off goes on with the list.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from benchmarks.reproduction import liked
from benchmarks.reproduction.course import Course, Setup, Trial, best_by
from benchmarks.reproduction.defaults import SPECS, setup_of
from benchmarks.reproduction.liked import KINDS, Liked
from benchmarks.reproduction.runs import run_all
from benchmarks.reproduction.searches import PRESETS, RANDOM
from benchmarks.table.program import prepare_images, table_training, train_all, training_parser
from benchmarks.table.rows import DATA, append, read
from benchmarks.table.trained_blocks import TrainedBlocks
from blockqnn.block.nsc import Block

LATE_SEARCHES = range(200, 203)
LATE_EPSILON = 0.3
LATE_BLOCKS = 25
"""Of each preset and search: different networks, at random, that the table lacks."""

BEST_SEARCHES = range(400, 407)
BEST_TRIALS = 128
BEST_SEEDS = range(10, 13)
BEST_OF = ("dataset alone", "evolution", "random search")
"""Names of :data:`benchmarks.reproduction.defaults.SPECS`."""

FAVOURITE_SEARCHES = range(300, 304)
FAVOURITES = 5
"""Of each contestant and search."""
FAVOURITES_OF = ("dataset alone", "evolution")
"""Names of :data:`benchmarks.reproduction.defaults.SPECS`, besides the papers' presets."""
FAVOURITE_TRIALS = 1000
"""Of these."""
FAVOURITE_SEED = 20

Choice = Iterator[Liked]


def late(table: Path, processes: int) -> Choice:
    """Choose blocks of the late stages of the papers' presets."""
    rows = read(table)
    row_hashes = {row.hash for row in rows}
    landscape = TrainedBlocks(rows)
    setups = {preset: Setup.of(preset) for preset in PRESETS}
    for preset, courses in run_all(setups, table, LATE_SEARCHES, processes).items():
        for search, course in zip(LATE_SEARCHES, courses, strict=True):
            blocks = {
                trial.hash: trial.block
                for stage, trials in course.by_stage()
                if stage.epsilon <= LATE_EPSILON
                for trial in trials
                if trial.hash not in row_hashes
            }
            for digest in Random(search).sample(sorted(blocks), min(LATE_BLOCKS, len(blocks))):
                row_hashes.add(digest)
                block = blocks[digest]
                expected = landscape.worth(block, digest)
                yield Liked("late", preset, search, digest, str(block), 0, expected)


def best(table: Path, processes: int) -> Choice:
    """Choose what each of several short searches would hand to its user."""
    setups = {name: setup_of(SPECS[name], BEST_TRIALS) for name in BEST_OF}
    for name, courses in run_all(setups, table, BEST_SEARCHES, processes).items():
        for search, course in zip(BEST_SEARCHES, courses, strict=True):
            (trial,) = _best(course, BEST_TRIALS, 1)
            for seed in BEST_SEEDS:
                yield _liked("best", name, search, trial, seed)


def favourites(table: Path, processes: int) -> Choice:
    """Choose the blocks that each contestant likes best, at its own size."""
    setups = {preset: Setup.of(preset) for preset in PRESETS}
    setups["random search"] = Setup.of("CVPR2018", agent=RANDOM)
    counts: dict[str, int | None] = dict.fromkeys(setups)
    for name in FAVOURITES_OF:
        setups[name] = setup_of(SPECS[name], FAVOURITE_TRIALS)
        counts[name] = FAVOURITE_TRIALS
    for name, courses in run_all(setups, table, FAVOURITE_SEARCHES, processes).items():
        for search, course in zip(FAVOURITE_SEARCHES, courses, strict=True):
            for trial in _best(course, counts[name], FAVOURITES):
                yield _liked("favourite", name, search, trial, FAVOURITE_SEED)


CHOICES: Mapping[str, Callable[[Path, int], Choice]] = dict(
    zip(KINDS, (late, best, favourites), strict=True)
)


def _liked(kind: str, contestant: str, search: int, trial: Trial, seed: int) -> Liked:
    return Liked(kind, contestant, search, trial.hash, str(trial.block), seed, trial.worth)


def _best(course: Course, trials: int | None, count: int) -> list[Trial]:
    return best_by(course.trials[:trials], "reward", count)


def main() -> None:
    """Choose each kind that is not chosen yet, train it, then report."""
    options = _options()
    prepare_images(options.data)
    path = options.output.with_name(liked.LIKED.name)
    for kind in options.kinds:
        listed = liked.read(path)
        chosen = [row for row in listed if row.kind == kind]
        if not chosen:
            chosen = choose(kind, options.output, options.processes)
            liked.write(path, [*listed, *chosen])
        train_all(
            options.processes,
            read(options.output),
            partial(append, options.output),
            [table_training(Block.parse(row.block), row.origin, row.seed) for row in chosen],
        )
    print(liked.as_table(liked.outcomes(liked.read(path), read(options.output))))


def choose(kind: str, table: Path, processes: int) -> list[Liked]:
    """Choose the blocks of a kind, on the table as it was before any of them was trained.

    Args:
        kind: one of :data:`benchmarks.reproduction.liked.KINDS`.
        table: the file of the table, which may have trainings of the kind already.
        processes: how many searches run side by side.
    """
    with TemporaryDirectory() as folder:
        before = Path(folder) / table.name
        for row in liked.without(read(table), KINDS[KINDS.index(kind) :]):
            append(before, row)
        return list(CHOICES[kind](before, processes))


def _options() -> argparse.Namespace:
    parser = training_parser("benchmarks.reproduction.choose", __doc__, DATA)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
