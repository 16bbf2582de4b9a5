"""Lays a block out for a terminal: one line for each layer, in the order of the code."""

from collections.abc import Sequence

from blockqnn.block.layout.graph import Edge, Layout, Point, block_edges, sources_of, targets_of
from blockqnn.block.nsc import Block


def lay_out_in_lines(block: Block) -> Layout:
    """Place each node on a line of its own, below all that come before it in the code.

    The result of a node runs down its column until its last use, and from there sideways to the
    node that uses it. No two results share a column at the same time, and no layout has fewer
    columns.

    Returns:
        Points whose x is the number of a column and whose y is the number of a line.
    """
    edges = block_edges(block)
    count = len(block) + 1
    columns = _columns(sources_of(count, edges), targets_of(count, edges))
    nodes = tuple(Point(column, line) for line, column in enumerate(columns))
    return Layout(
        nodes,
        tuple(
            Edge(source, target, _points(nodes[source], nodes[target])) for source, target in edges
        ),
    )


def _columns(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> list[int]:
    """Return each node's column: that of a source it uses last, or else the first free one."""
    columns: list[int] = []
    occupants: list[int | None] = []
    for node in range(len(sources)):
        ending = [source for source in sources[node] if max(targets[source]) == node]
        if not ending and None not in occupants:
            occupants.append(None)
        column = min((columns[source] for source in ending), default=None)
        if column is None:
            column = occupants.index(None)
        for source in ending:
            occupants[columns[source]] = None
        columns.append(column)
        occupants[column] = node
    return columns


def _points(source: Point, target: Point) -> tuple[Point, ...]:
    corner = Point(source.x, target.y)
    return (source, target) if corner == target else (source, corner, target)
