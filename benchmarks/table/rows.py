"""The table as a file: one row a training, appended as it ends, so that a stop loses none."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "data" / "nsc-blocks.csv"
"""The published table."""

SEPARATE = DATA.with_name("nsc-separate.csv")
"""Blocks with separate ReLU, batch norm and convolution, in rows like the table's."""


@dataclass(frozen=True, slots=True)
class Row:
    """One training of a block."""

    hash: str
    """The canonical hash; equal for blocks that mean the same network."""
    block: str
    origin: str
    """``random``, or the algorithm and seed of the search that proposed it first."""
    seed: int
    """Of the weights and of the order of the images."""
    outcome: str
    parameters: int
    macs: int
    seconds: float
    """Processor seconds of training and validation."""
    curve: tuple[float, ...]
    """Validation accuracy after each epoch, 0 to 1; empty where the block cannot be trained."""

    @property
    def accuracy(self) -> float:
        """The validation accuracy after the last epoch; 0 where the block cannot be trained."""
        return self.curve[-1] if self.curve and self.outcome == "Succeeded" else 0.0

    @property
    def summary(self) -> str:
        """The row in a few words."""
        return f"{self.origin}, accuracy {self.accuracy:.3f}, {self.seconds:.1f} s"


COLUMNS = tuple(field.name for field in fields(Row))


def read(path: Path = DATA) -> list[Row]:
    """Read the table; empty where there is no file yet."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [_row(values) for values in csv.DictReader(file)]


def append(path: Path, row: Row) -> None:
    """Add a row to the table."""
    values = [
        row.hash,
        row.block,
        row.origin,
        row.seed,
        row.outcome,
        row.parameters,
        row.macs,
        f"{row.seconds:.2f}",
        write_curve(row.curve),
    ]
    append_line(path, COLUMNS, values)


def append_line(path: Path, columns: Sequence[str], values: Sequence[object]) -> None:
    """Add a line to a file of comma-separated values, which begins with the columns' names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(columns)
        writer.writerow(values)


def write_curve(curve: Sequence[float]) -> str:
    """Write the accuracies after each epoch as one value."""
    return " ".join(f"{accuracy:.4f}" for accuracy in curve)


def read_curve(text: str) -> tuple[float, ...]:
    """Read what :func:`write_curve` has written."""
    return tuple(float(accuracy) for accuracy in text.split())


def _row(values: dict[str, str]) -> Row:
    return Row(
        hash=values["hash"],
        block=values["block"],
        origin=values["origin"],
        seed=int(values["seed"]),
        outcome=values["outcome"],
        parameters=int(values["parameters"]),
        macs=int(values["macs"]),
        seconds=float(values["seconds"]),
        curve=read_curve(values["curve"]),
    )
