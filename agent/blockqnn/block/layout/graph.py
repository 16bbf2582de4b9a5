"""The graph that is laid out, and the layout of it."""

from collections.abc import Sequence
from typing import NamedTuple

from blockqnn.block.nsc import Block


class Point(NamedTuple):
    """A place in a layout; x grows to the right, y downwards."""

    x: float
    y: float


class Edge(NamedTuple):
    """An edge of the graph, with the points that it passes, from its source to its target."""

    source: int
    target: int
    points: tuple[Point, ...]


class Layout(NamedTuple):
    """Places of the nodes and edges of a block.

    Node 0 is the block's input, the next nodes are its layers, and the last is its output, which
    takes the place of the terminal.
    """

    nodes: tuple[Point, ...]
    """The centre of each node."""
    edges: tuple[Edge, ...]


def block_edges(block: Block) -> list[tuple[int, int]]:
    """Return the edges of a block, each from a node to a later one."""
    output = len(block)
    edges = [(source, layer.index) for layer in block.body for source in layer.predecessors]
    return [*edges, *((end, output) for end in block.loose_ends)]


def sources_of(count: int, edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the nodes that feed each of ``count`` nodes."""
    sources: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        sources[target].append(source)
    return sources


def targets_of(count: int, edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the nodes that each of ``count`` nodes feeds."""
    return sources_of(count, [(target, source) for source, target in edges])
