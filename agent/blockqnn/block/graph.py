"""The graph that a block means, its canonical hash and its density."""

import hashlib
from collections import Counter
from typing import NamedTuple

from blockqnn.block.canonical import canonical_form
from blockqnn.block.nsc import Block, Layer, LayerType

# Python 3.11 takes longer to look a member of an enumeration up than to compare it.
_IDENTITY, _PREVIOUS_INPUT = LayerType.IDENTITY, LayerType.PREVIOUS_INPUT
_RELU = LayerType.RELU
_POOLING = frozenset({LayerType.MAX_POOLING, LayerType.AVERAGE_POOLING})
_KERNELS = 8
"""More than the largest kernel: an operation is a type times this, plus its kernel."""
_OUTPUTS = 8
"""The bits of a label that count how often a node is in the output."""
_RELUS = LayerType.RELU * _KERNELS


class FoldedGraph(NamedTuple):
    """A block as a labelled graph, without the layers that do nothing.

    Node 0 is the block's input; the others are layers in the order of the code. The input of the
    previous block is a node without sources.
    """

    labels: tuple[int, ...]
    """Operation, kernel and number of times in the output, of each node, as one number."""
    sources: tuple[tuple[int, ...], ...]
    """The nodes that feed each node; the same node twice feeds both inputs of an add or concat."""


def is_folded(layer: Layer) -> bool:
    """Return whether a layer passes its input on unchanged: an identity, or pooling of kernel 1.

    Every layer of a block has stride 1, so pooling over a single position does nothing.
    """
    return layer.type is _IDENTITY or (layer.kernel == 1 and layer.type in _POOLING)


def fold(block: Block) -> FoldedGraph:
    """Reduce a block to the graph of the layers that do something.

    A layer that passes its input on is replaced by its source wherever it is used, also in the
    output. So an output may hold a node several times, and add or concat may have one node as both
    sources: that is a network of another width, or another function, and is kept. Layers that
    would compute the same are not merged: two convolutions have two sets of weights. A ReLU of a
    ReLU is folded too: it finds nothing negative. The previous block's input is one node, however
    many layers are it.
    """
    node_of = [0] * len(block)
    operations = [0]
    sources: list[tuple[int, ...]] = [()]
    previous = 0
    for layer in block.body:
        if layer.type is _PREVIOUS_INPUT:
            if previous:
                node_of[layer.index] = previous
                continue
            previous = len(operations)
        source = node_of[layer.pred1]
        if is_folded(layer) or (layer.type is _RELU and operations[source] == _RELUS):
            node_of[layer.index] = source
            continue
        node_of[layer.index] = len(operations)
        operations.append(layer.type * _KERNELS + layer.kernel)
        sources.append(tuple([node_of[index] for index in layer.predecessors]))
    labels = [operation << _OUTPUTS for operation in operations]
    for index in block.loose_ends:
        labels[node_of[index]] += 1
    return FoldedGraph(tuple(labels), tuple(sources))


def operations(graph: FoldedGraph) -> list[tuple[int, int]]:
    """Return the type and the kernel of each node; type and kernel 0 are the block's input."""
    return [divmod(label >> _OUTPUTS, _KERNELS) for label in graph.labels]


def connections(graph: FoldedGraph) -> Counter[tuple[tuple[int, int], tuple[int, int]]]:
    """Count how often each operation feeds each other one, by their types and kernels."""
    kinds = operations(graph)
    return Counter(
        [
            (kinds[source], kinds[node])
            for node, taken in enumerate(graph.sources)
            for source in taken
        ]
    )


def canonical_hash(block: Block) -> str:
    """Name the network that a block means: equal for codes of the same network.

    Two blocks hash equal exactly when their folded graphs (:func:`fold`) are isomorphic, the output
    included; that is independent of how layers are numbered and in which order an add, a concat or
    the output takes them. A terminal alone equals a block of identities. As weights are drawn anew
    for each training, such blocks are the same experiment.

    Returns:
        16 lower-case hexadecimal digits, the start of a SHA-256 of the canonical form; the same on
        every machine. Different graphs share one with probability 2**-64.
    """
    graph = fold(block)
    form = canonical_form(graph.labels, graph.sources)
    text = ";".join([",".join(map(str, node)) for node in form])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def density(block: Block) -> float:
    """Edges divided by nodes of the block's graph (CVPR 2018, section 3.3).

    Counted on the code as it is written, as the papers draw it: identities are nodes; the edge from
    the block's input is an edge; the input and the terminal are no nodes. A layer that is the
    previous block's input counts as an identity of it does: a node with an edge. Several loose ends
    count as one more node, the concatenation, with an edge from each.

    Returns:
        1 for a chain and for a terminal alone; never less than 1, and less than 3.
    """
    edges = nodes = 0
    for layer in block.body:
        nodes += 1
        edges += len(layer.predecessors) or 1
    ends = len(block.loose_ends)
    if ends > 1:
        nodes += 1
        edges += ends
    return edges / nodes if nodes else 1.0
