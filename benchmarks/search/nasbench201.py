"""NAS-Bench-201 as a space: 15,625 cells whose accuracies are in a table.

A cell has six edges, each with one of five operations (Dong and Yang, NAS-Bench-201, 2020). A part
of a candidate is the operation of the next edge; every part has the same length of prefix, so there
are no lengths and no isomorphic duplicates to be told apart, as in the published comparisons.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from random import Random

from blockqnn.space.protocol import Candidate, Choices, Key, Prefix, pick

EDGES = 6
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

TABLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "nasbench201" / "table.csv"
"""Path of the table: beside the repository, never in it."""

_OPERATION = re.compile(r"([a-z_0-9]+)~\d")


class CellSpace:
    """The cells; part 1 + 5 e + o is the operation o on the edge e."""

    def __init__(self) -> None:
        self._choices = []
        for edge in range(EDGES):
            numbers = range(1 + edge * len(OPERATIONS), 1 + (edge + 1) * len(OPERATIONS))
            self._choices.append(Choices(numbers, tuple([range(one, one + 1) for one in numbers])))

    @property
    def longest(self) -> int:
        """The number of edges of every cell."""
        return EDGES

    def choices(self, prefix: Prefix) -> Choices:
        """Return the operations of the next edge."""
        return self._choices[len(prefix)]

    def is_complete(self, prefix: Prefix) -> bool:
        """True if all edges have an operation."""
        return len(prefix) == EDGES

    def identity(self, candidate: Candidate) -> str:
        """Return the operations: no two cells count as the same."""
        return ",".join(map(str, candidate))

    def mutate(self, candidate: Candidate, random: Random) -> Candidate:
        """Give one edge another operation."""
        edge = pick(range(EDGES), random)
        number = pick(
            [one for one in self._choices[edge].numbers if one != candidate[edge]], random
        )
        return (*candidate[:edge], number, *candidate[edge + 1 :])

    def situation(self, prefix: Prefix) -> Key:
        """Return the next edge and the last operation."""
        return (len(prefix), _operation(prefix[-1]) if prefix else -1)

    def options(self, situation: Key) -> tuple[Key, ...]:
        """Return the operations."""
        return _OPTIONS

    def option(self, prefix: Prefix, number: int) -> Key:
        """Return the operation."""
        return (_operation(number),)

    def draw(self, prefix: Prefix, option: Key, random: Random) -> int:
        """Return the only part with this operation."""
        return self._choices[len(prefix)].numbers[_OPTIONS.index(option)]

    def names(self, situation: Key, option: Key) -> tuple[Key, Key]:
        """Back off from (edge, last operation) to the edge."""
        return ((situation[0], *option), (*situation, *option))

    def encoding(self, candidate: Candidate) -> Mapping[Key, float]:
        """Return the operation on each edge, and all pairs of them."""
        pairs = combinations(candidate, 2)
        return {key: 1.0 for key in [*[(number,) for number in candidate], *pairs]}

    def features(self, prefix: Prefix, number: int) -> tuple[Key, ...]:
        """Put the reward down to the operation on each edge."""
        return ((number,),)


_OPTIONS = tuple((operation,) for operation in range(len(OPERATIONS)))


def _operation(number: int) -> int:
    return (number - 1) % len(OPERATIONS)


@dataclass(frozen=True)
class Column:
    """The accuracies of all cells on one data set, in percent."""

    rewards: dict[Candidate, float]
    """Validation accuracy after 12 epochs."""
    scores: dict[Candidate, float]
    """Test accuracy after 200 epochs."""


def read_columns(names: tuple[str, ...], path: Path = TABLE) -> dict[str, Column]:
    """Read the accuracies on some of cifar10, cifar100 and imagenet16."""
    columns = {name: Column({}, {}) for name in names}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            operations = _OPERATION.findall(row["arch"])
            cell = tuple(
                1 + edge * len(OPERATIONS) + OPERATIONS.index(operation)
                for edge, operation in enumerate(operations)
            )
            for name, column in columns.items():
                column.rewards[cell] = float(row[f"{name}_valid_12ep"])
                column.scores[cell] = float(row[f"{name}_test_200ep"])
    return columns
