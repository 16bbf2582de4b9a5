"""The real searches whose blocks are in the table, trial by trial."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.strategies import search, settings_for
from benchmarks.table.rows import DATA, Row
from benchmarks.table.space import make_space
from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block

SEARCHES = (
    ("evolution", 0),
    ("Efficient, predictor", 0),
    ("evolution", 1),
    ("Efficient, predictor", 1),
)
"""Contestants and seeds."""

TRIALS = 256
REPEATED = 16
"""Every so many of a search's trials one is trained with a second seed."""

SEARCHED = DATA.with_name("nsc-searches.csv")
"""Order of the trials of each search, published beside the table."""


class Trial(NamedTuple):
    """One trial of a search."""

    contestant: str
    seed: int
    number: int
    """From 1 on."""
    hash: str
    """Of the block, whose training with seed 0 in the table is the trial's."""


def run(contestant: str, seed: int, train: Callable[[Block, int], float]) -> list[Trial]:
    """Run a search; a batch is trained before the next is proposed.

    Args:
        contestant: a name of :data:`benchmarks.strategies.CONTESTANTS`.
        seed: of the search.
        train: returns what a block is worth, given it and the number of the trial.

    Returns:
        The trials in their order.
    """
    space = make_space()
    trials: list[Trial] = []

    def reward(candidate: tuple[int, ...]) -> float:
        block = space.decode(candidate)
        trials.append(Trial(contestant, seed, len(trials) + 1, canonical_hash(block)))
        return train(block, len(trials))

    search(settings_for(contestant, TRIALS), space, reward, TRIALS, seed)
    return trials[:TRIALS]


def write(path: Path, trials: Sequence[Trial]) -> None:
    """Write all searches, and nothing of those that were there before."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Trial._fields)
        writer.writerows(trials)


def read(path: Path = SEARCHED) -> dict[tuple[str, int], list[Trial]]:
    """Read the trials of each search, by contestant and seed; empty where there is no file."""
    found: dict[tuple[str, int], list[Trial]] = {}
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                trial = Trial(row["contestant"], int(row["seed"]), int(row["number"]), row["hash"])
                found.setdefault((trial.contestant, trial.seed), []).append(trial)
    return found


def rewards(trials: Sequence[Trial], table: Sequence[Row]) -> list[float]:
    """Return what each trial of a search reached, in percent.

    Raises:
        KeyError: when the table lacks a training.
    """
    trained = {row.hash: row for row in table if row.seed == 0}
    return [100 * trained[one.hash].accuracy for one in trials]
