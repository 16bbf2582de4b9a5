"""Places the layers of a block on a plane: one row below the other, with few crossings.

The method of Sugiyama, Tagawa and Toda (1981) in its simplest form: each layer stands below all
of its inputs, a line that passes rows gets a bend in each of them, and the order in each row
is improved by the mean place of the neighbours.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blockqnn.block.nsc import Block

INPUT = 0
"""The node of the block's input; the other nodes are its layers, the last of them its output."""

SWEEPS = 8
"""Number of times that all rows are ordered; blocks of 22 layers are settled after four."""

_Node = tuple[int, int]
"""A node, or the bend in a row of the line that starts at one node and ends at another."""

BEND_WIDTH = 0.3
"""Width of a bend, as a share of a layer's width."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Places of the nodes of a block, in units of one layer's width and one row."""

    places: Mapping[int, tuple[float, float]]
    lines: Sequence[Sequence[tuple[float, float]]]
    """Each line as the places that it passes, from its source to its target."""

    @property
    def width(self) -> float:
        """The width of the widest row; places count from the left border, to a layer's middle."""
        return max(x for points in self._all() for x, _ in points) + 0.5

    @property
    def rows(self) -> int:
        """Number of rows."""
        return 1 + max(int(y) for _, y in self.places.values())

    def _all(self) -> list[Sequence[tuple[float, float]]]:
        return [list(self.places.values()), *self.lines]


def edges(block: Block) -> list[tuple[int, int]]:
    """Return the lines of a block, each from a node to a later one."""
    output = len(block)
    links = [(source, layer.index) for layer in block.body for source in layer.predecessors]
    return [*links, *((end, output) for end in block.loose_ends)]


def lay_out(block: Block) -> Layout:
    """Place the input, the layers and the output of a block."""
    links = edges(block)
    row = _rows(len(block), links)
    rows: list[list[_Node]] = [[] for _ in range(max(row) + 1)]
    for node, depth in enumerate(row):
        rows[depth].append((node, node))
    chains = []
    for source, target in links:
        bends = [(source, target) for _ in range(row[source] + 1, row[target])]
        for depth in range(row[source] + 1, row[target]):
            rows[depth].append((source, target))
        chains.append([(source, source), *bends, (target, target)])
    neighbours = _neighbours(chains, row)
    _order(rows, neighbours)
    across = _spread(rows, neighbours)
    places = {node: (across[depth, (node, node)], float(depth)) for node, depth in enumerate(row)}
    lines = [
        [
            (across[row[chain[0][0]] + step, node], float(row[chain[0][0]] + step))
            for step, node in enumerate(chain)
        ]
        for chain in chains
    ]
    return Layout(places, lines)


def _rows(output: int, links: Sequence[tuple[int, int]]) -> list[int]:
    """Return the row of each node: one below its lowest input."""
    row = [0] * (output + 1)
    for source, target in links:
        row[target] = max(row[target], row[source] + 1)
    return row


_Spot = tuple[int, _Node]
"""A node or bend, and the row in which it stands."""


def _neighbours(chains: Sequence[Sequence[_Node]], row: Sequence[int]) -> dict[_Spot, list[_Spot]]:
    neighbours: dict[_Spot, list[_Spot]] = {}
    for chain in chains:
        first = row[chain[0][0]]
        spots = [(first + step, node) for step, node in enumerate(chain)]
        for above, below in itertools.pairwise(spots):
            neighbours.setdefault(above, []).append(below)
            neighbours.setdefault(below, []).append(above)
    return neighbours


def _order(rows: list[list[_Node]], neighbours: Mapping[_Spot, Sequence[_Spot]]) -> None:
    """Order each row by the mean place of the neighbours above, then of those below, in turn."""
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        order = range(len(rows)) if down else range(len(rows) - 1, -1, -1)
        for depth in order:
            other = depth - 1 if down else depth + 1
            if not 0 <= other < len(rows):
                continue
            positions = {node: position for position, node in enumerate(rows[other])}
            own = {node: float(position) for position, node in enumerate(rows[depth])}
            for node in rows[depth]:
                near = [positions[n] for d, n in neighbours[depth, node] if d == other]
                if near:
                    own[node] = sum(near) / len(near)
            rows[depth].sort(key=own.__getitem__)


def _spread(
    rows: Sequence[Sequence[_Node]], neighbours: Mapping[_Spot, Sequence[_Spot]]
) -> dict[_Spot, float]:
    """Give each node of each row its place: near its neighbours, but not on top of another."""
    across: dict[_Spot, float] = {}
    for depth, row in enumerate(rows):
        for node, x in zip(row, _packed(row, [0.0] * len(row)), strict=True):
            across[depth, node] = x
    for sweep in range(SWEEPS):
        order = range(len(rows)) if sweep % 2 == 0 else range(len(rows) - 1, -1, -1)
        for depth in order:
            row = rows[depth]
            wanted = [_mean([across[spot] for spot in neighbours[depth, node]]) for node in row]
            for node, x in zip(row, _packed(row, wanted), strict=True):
                across[depth, node] = x
    left_border = min(x - 0.5 for x in across.values())
    return {spot: x - left_border for spot, x in across.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _packed(row: Sequence[_Node], wanted: Sequence[float]) -> list[float]:
    """Return places in the given order, as near to the wanted ones as their widths allow."""
    widths = [1.0 if source == target else BEND_WIDTH for source, target in row]
    from_left = list(wanted)
    for i in range(1, len(row)):
        least = from_left[i - 1] + (widths[i - 1] + widths[i]) / 2
        from_left[i] = max(from_left[i], least)
    from_right = list(wanted)
    for i in range(len(row) - 2, -1, -1):
        most = from_right[i + 1] - (widths[i] + widths[i + 1]) / 2
        from_right[i] = min(from_right[i], most)
    # The mean of two orders that keep all distances keeps them too.
    return [(a + b) / 2 for a, b in zip(from_left, from_right, strict=True)]
