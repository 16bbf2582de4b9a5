"""Orders the nodes and lanes of each rank so that few edges cross."""

import itertools
from collections.abc import Mapping, Sequence

SWEEPS = 12
"""Number of times that all rows are ordered; the best order of all is kept."""


class Rows:
    """The rows of a layout, from left to right: nodes, and lanes of nodes above.

    A lane bears the number of the node whose result runs in it, so a number occurs once in a row.
    """

    def __init__(
        self,
        ranks: Sequence[int],
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
    ) -> None:
        self.ranks = ranks
        count = max(ranks) + 1
        self.order: list[list[int]] = [[] for _ in range(count)]
        self.above: list[dict[int, list[int]]] = [{} for _ in range(count)]
        """The neighbours of each node or lane in the row above."""
        self.below: list[dict[int, list[int]]] = [{} for _ in range(count)]
        for node, rank in enumerate(ranks):
            last = max((ranks[target] for target in targets[node]), default=rank + 1)
            for row in range(rank, last):
                self.order[row].append(node)
                self.above[row][node] = [node] if row > rank else [*sources[node]]
                self.below[row][node] = [x for x in targets[node] if ranks[x] == row + 1]
                if row + 1 < last:
                    self.below[row][node].append(node)

    def is_lane(self, row: int, node: int) -> bool:
        """Return whether a number stands for a lane in a row, and not for the node itself."""
        return self.ranks[node] != row

    def crossings(self) -> int:
        """Return the number of crossings between all rows."""
        return sum(
            _crossings(upper, self.below[row], _positions(lower))
            for row, (upper, lower) in enumerate(itertools.pairwise(self.order))
        )


def order_rows(rows: Rows) -> Rows:
    """Order the rows: by the mean place of the neighbours, then by exchanges of neighbours."""
    best_order, fewest = rows.order, rows.crossings()
    for start in (rows.order, _depth_first(rows, False), _depth_first(rows, True)):
        rows.order = [list(row) for row in start]
        for sweep in range(SWEEPS):
            if not fewest:
                break
            _sort_by_neighbours(rows, downwards=sweep % 2 == 0)
            _exchange(rows)
            crossings = rows.crossings()
            if crossings < fewest:
                best_order, fewest = [list(row) for row in rows.order], crossings
    rows.order = best_order
    return rows


def _depth_first(rows: Rows, lanes_first: bool) -> list[list[int]]:
    """Order each row as a walk from the inputs meets its nodes, so that branches stay together."""
    met: list[list[int]] = [[] for _ in rows.order]

    def visit(row: int, node: int) -> None:
        if node in met[row]:
            return
        met[row].append(node)
        neighbours = rows.below[row][node]
        for neighbour in reversed(neighbours) if lanes_first else neighbours:
            visit(row + 1, neighbour)

    for node in rows.order[0]:
        visit(0, node)
    return met


def _sort_by_neighbours(rows: Rows, downwards: bool) -> None:
    count = len(rows.order)
    for row in range(1, count) if downwards else range(count - 2, -1, -1):
        neighbours = rows.above[row] if downwards else rows.below[row]
        positions = _positions(rows.order[row - 1 if downwards else row + 1])
        means = {
            node: sum(positions[x] for x in neighbours[node]) / len(neighbours[node])
            if neighbours[node]
            else float(position)
            for position, node in enumerate(rows.order[row])
        }
        rows.order[row].sort(key=means.__getitem__)


def _exchange(rows: Rows) -> None:
    """Exchange neighbours in a row as long as that saves crossings."""
    improved = True
    while improved:
        improved = False
        for row, order in enumerate(rows.order):
            upper = _positions(rows.order[row - 1]) if row else {}
            lower = _positions(rows.order[row + 1]) if row + 1 < len(rows.order) else {}
            for position in range(len(order) - 1):
                first, second = order[position : position + 2]
                before = _pair_crossings(first, second, rows.above[row], upper)
                before += _pair_crossings(first, second, rows.below[row], lower)
                after = _pair_crossings(second, first, rows.above[row], upper)
                after += _pair_crossings(second, first, rows.below[row], lower)
                if after < before:
                    order[position : position + 2] = [second, first]
                    improved = True


def _positions(order: Sequence[int]) -> dict[int, int]:
    return {node: position for position, node in enumerate(order)}


def _crossings(
    order: Sequence[int], neighbours: Mapping[int, Sequence[int]], positions: Mapping[int, int]
) -> int:
    return sum(
        _pair_crossings(first, second, neighbours, positions)
        for first, second in itertools.combinations(order, 2)
    )


def _pair_crossings(
    first: int,
    second: int,
    neighbours: Mapping[int, Sequence[int]],
    positions: Mapping[int, int],
) -> int:
    """Count the crossings of the edges of two nodes, the first of which stands left."""
    return sum(positions[x] > positions[y] for x in neighbours[first] for y in neighbours[second])
