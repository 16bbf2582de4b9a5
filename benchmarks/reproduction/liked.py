"""Blocks that searches liked and that were trained for it: what was expected, what came of it."""

import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from benchmarks.report import mean_and_error
from benchmarks.table.rows import DATA, Row

LIKED = DATA.with_name("nsc-liked.csv")
"""Blocks by the searches that liked them, published beside the table of trainings."""

KINDS = ("late", "best", "favourite")
"""In the order in which they are chosen: the later ones on a table that has the earlier ones."""


class Liked(NamedTuple):
    """A training that was made because a search liked the block."""

    kind: str
    """One of :data:`KINDS`."""
    contestant: str
    search: int
    """The seed of the search."""
    hash: str
    block: str
    seed: int
    """Of the training."""
    expected: float
    """Prediction of the model before any block of the kind was trained, in percent."""

    @property
    def origin(self) -> str:
        """The origin that the table gives for the block, where it had none before."""
        return f"{self.kind} {self.contestant}"


class Outcome(NamedTuple):
    """Results of the blocks of one contestant, in percent of accuracy."""

    kind: str
    contestant: str
    trainings: int
    expected: float
    trained: float
    trained_error: float
    """The standard error over the searches that chose."""
    surplus: float
    """The mean of expected minus trained: how far the model flatters the blocks."""
    surplus_error: float


def without(rows: Sequence[Row], kinds: Sequence[str]) -> list[Row]:
    """Return the trainings that were made for none of some kinds."""
    prefixes = tuple(f"{kind} " for kind in kinds)
    return [row for row in rows if not row.origin.startswith(prefixes)]


def write(path: Path, liked: Sequence[Liked]) -> None:
    """Write all liked blocks, and nothing of what was there before."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Liked._fields)
        writer.writerows(row._replace(expected=round(row.expected, 3)) for row in liked)


def read(path: Path = LIKED) -> list[Liked]:
    """Read the liked blocks; empty where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            Liked(
                row["kind"],
                row["contestant"],
                int(row["search"]),
                row["hash"],
                row["block"],
                int(row["seed"]),
                float(row["expected"]),
            )
            for row in csv.DictReader(file)
        ]


def outcomes(liked: Sequence[Liked], table: Sequence[Row]) -> list[Outcome]:
    """Compare what was expected with what was trained, for each kind and contestant.

    Args:
        liked: the blocks; those whose training the table lacks are left out.
        table: the trainings.

    Returns:
        One outcome for each kind and contestant with a training. The unit of the errors is a
        search: blocks of the same one are not independent.
    """
    trained = {(row.hash, row.seed): 100 * row.accuracy for row in table}
    by_search: dict[tuple[str, str], dict[int, list[tuple[float, float]]]] = {}
    for row in liked:
        accuracy = trained.get((row.hash, row.seed))
        if accuracy is not None:
            searches = by_search.setdefault((row.kind, row.contestant), {})
            searches.setdefault(row.search, []).append((row.expected, accuracy))
    return [
        _outcome(kind, contestant, list(searches.values()))
        for (kind, contestant), searches in by_search.items()
    ]


def _outcome(
    kind: str, contestant: str, searches: Sequence[Sequence[tuple[float, float]]]
) -> Outcome:
    expected = [fmean([model for model, _ in pairs]) for pairs in searches]
    trained = [fmean([accuracy for _, accuracy in pairs]) for pairs in searches]
    surplus = [model - accuracy for model, accuracy in zip(expected, trained, strict=True)]
    return Outcome(
        kind,
        contestant,
        sum([len(pairs) for pairs in searches]),
        fmean(expected),
        *mean_and_error(trained),
        *mean_and_error(surplus),
    )


def as_table(rows: Sequence[Outcome]) -> str:
    """Write outcomes as a table in Markdown."""
    lines = [
        "| chosen as | by | trainings | expected | trained | expected - trained |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.kind} | {row.contestant} | {row.trainings} | {row.expected:.2f} "
        f"| {row.trained:.2f} ± {row.trained_error:.2f} "
        f"| {row.surplus:+.2f} ± {row.surplus_error:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)
