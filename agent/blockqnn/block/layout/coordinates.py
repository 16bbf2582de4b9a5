"""Places the nodes and lanes of ordered rows from left to right, near their neighbours."""

import itertools
from collections.abc import Callable, Mapping, Sequence

from blockqnn.block.layout.ordering import Rows

LANE_WIDTH = 2.0
GAP = 14.0
"""Room between two nodes or lanes of a row, in the unit of the nodes' widths."""

SWEEPS = 24
"""Number of times that all rows are placed by means, and then by medians."""

_NODE_WEIGHT, _MIXED_WEIGHT, _LANE_WEIGHT = 1.0, 2.0, 8.0
"""Weights of the pull of a neighbour: between nodes, a node and a lane, and two lanes, which are
to be straight (Gansner et al. 1993, section 4)."""

Wish = tuple[float, float]
"""A place, and the weight of the wish to be there."""


def place_across(rows: Rows, widths: Sequence[float]) -> list[dict[int, float]]:
    """Return the x of the centre of each node and lane of each row.

    Each sweep gives a row the places that keep its order and gaps and are nearest to those of its
    neighbours: first by squares, which centres a node above what it feeds, and then by distances,
    which takes the small bends out of edges. The left border of the leftmost node or lane is at 0.
    """
    all_widths = [
        [LANE_WIDTH if rows.is_lane(row, node) else widths[node] for node in order]
        for row, order in enumerate(rows.order)
    ]
    offsets = [_offsets(row_widths) for row_widths in all_widths]
    across = [
        {node: x - xs[-1] / 2 for node, x in zip(order, xs, strict=True)}
        for order, xs in zip(rows.order, offsets, strict=True)
    ]
    down = range(len(rows.order))
    for sweep in range(2 * SWEEPS):
        centre = _mean if sweep < SWEEPS else _median
        for row in down if sweep % 2 == 0 else reversed(down):
            wishes = [
                [(x - offset, weight) for x, weight in _wishes(rows, across, row, node)]
                for node, offset in zip(rows.order[row], offsets[row], strict=True)
            ]
            pooled = ascending_places(wishes, centre)
            for node, x, offset in zip(rows.order[row], pooled, offsets[row], strict=True):
                across[row][node] = x + offset
    left_border = min(
        across[row][node] - width / 2
        for row, row_widths in enumerate(all_widths)
        for node, width in zip(rows.order[row], row_widths, strict=True)
    )
    return [{node: x - left_border for node, x in row.items()} for row in across]


def _offsets(widths: Sequence[float]) -> list[float]:
    """Return the places of a row that is packed as tightly as the gaps allow."""
    offsets = [0.0]
    for left_width, right_width in itertools.pairwise(widths):
        offsets.append(offsets[-1] + (left_width + right_width) / 2 + GAP)
    return offsets


def _wishes(rows: Rows, across: Sequence[Mapping[int, float]], row: int, node: int) -> list[Wish]:
    """Return the places of a node's or lane's neighbours, with the weights of their pulls."""
    wishes = []
    for other_row, neighbours in ((row - 1, rows.above[row]), (row + 1, rows.below[row])):
        for neighbour in neighbours[node]:
            lanes = rows.is_lane(row, node) + rows.is_lane(other_row, neighbour)
            weight = (_NODE_WEIGHT, _MIXED_WEIGHT, _LANE_WEIGHT)[lanes]
            wishes.append((across[other_row][neighbour], weight))
    return wishes


def ascending_places(
    wishes: Sequence[Sequence[Wish]], centre: Callable[[Sequence[Wish]], float]
) -> list[float]:
    """Return ascending places, each as near to its wishes as the order allows.

    Pools adjacent violators: neighbours that want to pass each other meet at the centre of all
    their wishes. That is exact for the mean, with squares, and for the median, with distances.

    Args:
        wishes: at least one for each place.
        centre: the best single place for some wishes.
    """
    pools: list[tuple[float, list[Wish], int]] = []
    for own in wishes:
        best_place, pooled, size = centre(own), [*own], 1
        while pools and pools[-1][0] > best_place:
            _, before, count = pools.pop()
            pooled, size = [*before, *pooled], size + count
            best_place = centre(pooled)
        pools.append((best_place, pooled, size))
    return [best_place for best_place, _, size in pools for _ in range(size)]


def _mean(wishes: Sequence[Wish]) -> float:
    return sum(x * weight for x, weight in wishes) / sum(weight for _, weight in wishes)


def _median(wishes: Sequence[Wish]) -> float:
    """Return the place with the least sum of weighted distances, the leftmost of several.

    A place between two wishes would give an edge two small bends instead of one.
    """
    half = sum(weight for _, weight in wishes) / 2
    passed = 0.0
    for x, weight in sorted(wishes):
        passed += weight
        if passed >= half:
            return x
    raise AssertionError("no wishes")
