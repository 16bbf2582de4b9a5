"""Features of a block that predict its reward.

They are: the counts of each operation that feeds each other one, in the folded graph; the depth of
the block, in all layers and in convolutions only; its density; and the cost of the stacked network.
All are logarithms to the base 2: the first convolution of a kind matters more than the fifth.
"""

from collections.abc import Mapping
from math import log2

from blockqnn.block.graph import FoldedGraph, connections, density, fold, operations
from blockqnn.block.nsc import CONVOLUTIONS, Block
from blockqnn.network.cost import body_cost
from blockqnn.network.spec import ImageShape, NetworkSpec
from blockqnn.space.protocol import Key

_ORDINARY = ImageShape(channels=3, height=32, width=32, classes=10)
"""Images to assume if they are unknown: only the ratios between costs matter."""


def encode_block(
    block: Block, network: NetworkSpec | None, images: ImageShape | None
) -> Mapping[Key, float]:
    """Return the features of a block that are not zero, by name.

    Args:
        block: the block.
        network: the stacking of the block; None omits the cost.
        images: the shape of the images; None for that of CIFAR-10.
    """
    graph = fold(block)
    kinds = operations(graph)
    encoded: dict[Key, float] = {
        ("edge", *edge): log2(1 + times) for edge, times in sorted(connections(graph).items())
    }
    everything, convolutions = _depths(graph, kinds)
    encoded["depth",] = log2(1 + everything)
    encoded["convolutions",] = log2(1 + convolutions)
    encoded["density",] = log2(density(block))
    if network is not None:
        shape = images or _ORDINARY
        cost = body_cost(block.body, network, shape.size, shape.classes)
        encoded["macs",] = log2(cost.macs) / 2
        encoded["parameters",] = log2(cost.parameters) / 2
    return {name: value for name, value in encoded.items() if value}


def _depths(graph: FoldedGraph, kinds: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the depth of a block in layers and in convolutions."""
    layers, convolutions = [0], [0]
    for node, taken in enumerate(graph.sources[1:], start=1):
        if not taken:  # the previous block's input
            layers.append(0)
            convolutions.append(0)
            continue
        layers.append(1 + max([layers[source] for source in taken]))
        is_one = kinds[node][0] in CONVOLUTIONS
        convolutions.append(is_one + max([convolutions[source] for source in taken]))
    return max(layers), max(convolutions)
