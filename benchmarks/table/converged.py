"""Blocks of the table that are trained to convergence, and the record of each.

AAAI 2017 samples 50 of the 200 best blocks, to find how their accuracy after few epochs goes with
that after many. Beside these there are some of all the others, since the best are alike.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.table.rows import DATA, Row, append_line, read_curve, write_curve

CONVERGED = DATA.with_name("nsc-converged.csv")
"""The published trainings to convergence."""

BEST, BEST_CHOSEN = 200, 50
OTHERS_CHOSEN = 16

ORIGINS = frozenset(
    {
        "random",
        "Efficient 0",
        "Efficient, predictor 0",
        "Efficient, predictor 1",
        "evolution 0",
        "evolution 1",
    }
)
"""Only rows of these are chosen from: what is added to the table later does not change them."""

_SEED = 20170816
"""Of the choice."""


@dataclass(frozen=True, slots=True)
class Converged:
    """One training of a block to convergence."""

    hash: str
    """The canonical hash."""
    block: str
    seed: int
    """Of the weights, of the order of the images and of how each is varied."""
    outcome: str
    epochs: int
    validation_accuracy: float
    """After the last epoch, on the images that the table's accuracies are of; 0 to 1, and 0 where
    the block cannot be trained."""
    test_accuracy: float
    """The same on test images, which no search has seen."""
    early_accuracy: float
    """The table's: the validation accuracy after its few epochs, with seed 0."""
    seconds: float
    """Processor seconds of training and validation."""
    curve: tuple[float, ...]
    """The validation accuracy after each epoch."""

    @property
    def summary(self) -> str:
        """The training in a few words."""
        return (
            f"early {self.early_accuracy:.3f}, validation {self.validation_accuracy:.3f}, "
            f"test {self.test_accuracy:.3f}, {self.seconds:.1f} s"
        )


COLUMNS = tuple(field.name.replace("_", " ") for field in fields(Converged))


class Choice(NamedTuple):
    """Rows of the table whose blocks are trained to convergence."""

    best: tuple[Row, ...]
    """A sample of the best, in the order in which they were drawn."""
    others: tuple[Row, ...]
    """Evenly over the ranks of all others, from good to bad."""

    @property
    def mixed(self) -> tuple[Row, ...]:
        """All, in an order in which both are spread evenly, so that a part of it tells as well."""
        places = [
            *[((number + 0.5) / len(self.best), row) for number, row in enumerate(self.best)],
            *[((number + 0.5) / len(self.others), row) for number, row in enumerate(self.others)],
        ]
        return tuple(row for _, row in sorted(places, key=lambda numbered: numbered[0]))


def choose(table: Sequence[Row]) -> Choice:
    """Choose blocks that could be trained, by their accuracies with seed 0.

    Args:
        table: rows of more than :data:`BEST` blocks.
    """
    known_rows = [
        row
        for row in table
        if row.seed == 0 and row.origin in ORIGINS and row.outcome == "Succeeded"
    ]
    ranked = sorted(known_rows, key=lambda row: (-row.accuracy, row.hash))
    random = Random(_SEED)
    best, rest = ranked[:BEST], ranked[BEST:]
    # Sorted by a draw of its own for each: Python promises to repeat `Random.random` alone.
    draws = {row.hash: random.random() for row in best}
    drawn = sorted(best, key=lambda row: draws[row.hash])
    spread = [rest[int((k + 0.5) * len(rest) / OTHERS_CHOSEN)] for k in range(OTHERS_CHOSEN)]
    return Choice(tuple(drawn[:BEST_CHOSEN]), tuple(spread))


def read(path: Path = CONVERGED) -> list[Converged]:
    """Read trainings; none where there is no file yet."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [_training(values) for values in csv.DictReader(file)]


def append(path: Path, training: Converged) -> None:
    """Add a training to a file."""
    values = [
        training.hash,
        training.block,
        training.seed,
        training.outcome,
        training.epochs,
        f"{training.validation_accuracy:.4f}",
        f"{training.test_accuracy:.4f}",
        f"{training.early_accuracy:.4f}",
        f"{training.seconds:.2f}",
        write_curve(training.curve),
    ]
    append_line(path, COLUMNS, values)


def _training(values: dict[str, str]) -> Converged:
    return Converged(
        hash=values["hash"],
        block=values["block"],
        seed=int(values["seed"]),
        outcome=values["outcome"],
        epochs=int(values["epochs"]),
        validation_accuracy=float(values["validation accuracy"]),
        test_accuracy=float(values["test accuracy"]),
        early_accuracy=float(values["early accuracy"]),
        seconds=float(values["seconds"]),
        curve=read_curve(values["curve"]),
    )
