"""Lays a block out for a picture: ranks from the input down to the output.

The method of Sugiyama, Tagawa and Toda (1981), as Gansner et al. (1993) refined it for Graphviz:
give each node a rank, order each rank so that few edges cross, then place the nodes of each rank
near their neighbours. Where an edge passes a rank it has a room of its own there, a *lane*, so it
runs behind no box. The edges from one node share their lanes until they part.
"""

from collections.abc import Sequence

from blockqnn.block.layout.coordinates import place_across
from blockqnn.block.layout.graph import Edge, Layout, Point, block_edges, sources_of, targets_of
from blockqnn.block.layout.ordering import Rows, order_rows
from blockqnn.block.nsc import Block, LayerType


def lay_out_in_ranks(block: Block, widths: Sequence[float]) -> Layout:
    """Place the input, the layers and the output of a block.

    Args:
        block: any block.
        widths: the width of each node, the input first and the output last.

    Returns:
        Points whose x has the unit of the widths, with the left border of the leftmost node or lane
        at 0, and whose y is the number of a rank. Each edge has a point in each rank from its
        source to its target.
    """
    edges = block_edges(block)
    count = len(block) + 1
    sources, targets = sources_of(count, edges), targets_of(count, edges)
    inputs = [0, *(x.index for x in block.body if x.type is LayerType.PREVIOUS_INPUT)]
    ranks = assign_ranks(sources, targets, inputs)
    rows = order_rows(Rows(ranks, sources, targets))
    across = place_across(rows, widths)
    return Layout(
        tuple(Point(across[ranks[node]][node], ranks[node]) for node in range(count)),
        tuple(
            Edge(
                source,
                target,
                (
                    *(
                        Point(across[rank][source], rank)
                        for rank in range(ranks[source], ranks[target])
                    ),
                    Point(across[ranks[target]][target], ranks[target]),
                ),
            )
            for source, target in edges
        ),
    )


def assign_ranks(
    sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], inputs: Sequence[int]
) -> list[int]:
    """Give each node a rank below those of its sources, so that lanes are short.

    Args:
        sources: the nodes that feed each node; all of them come before it.
        targets: the nodes that each node feeds.
        inputs: the nodes that stay in rank 0.
    """
    ranks = [0] * len(sources)
    for node, feeding in enumerate(sources):
        ranks[node] = max((ranks[source] + 1 for source in feeding), default=0)

    def length_with(node: int, rank: int) -> int:
        ranks[node] = rank
        lanes = [*sources[node], node]
        return sum(max(ranks[target] for target in targets[x]) - ranks[x] for x in lanes)

    # A node moves down on a tie: then what feeds it can follow, and a whole branch comes near to
    # its use. Nodes only move down, so this ends. What only the output uses stays where it is: a
    # rank of many boxes takes more room than one of many lanes.
    output = len(sources) - 1
    moved = True
    while moved:
        moved = False
        for node in range(output - 1, -1, -1):
            if node in inputs or targets[node] == [output]:
                continue
            before = ranks[node]
            lowest = min(ranks[target] for target in targets[node]) - 1
            ranks[node] = min(
                range(before, lowest + 1), key=lambda rank: (length_with(node, rank), -rank)
            )
            moved = moved or ranks[node] != before
    return ranks
