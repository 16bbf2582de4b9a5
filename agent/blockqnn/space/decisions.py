"""Blocks in terms that generalise over predecessors and over lengths.

A layer is described by its operation and by the relations of its predecessors at the time: the
layer chosen last, another loose end, or a layer that is already used. These relations mean the same
at every index, so knowledge from early in a block, or from another block, applies.
"""

from collections.abc import Sequence
from functools import cache
from itertools import combinations_with_replacement
from operator import attrgetter
from random import Random
from typing import cast

from blockqnn.block.graph import is_folded
from blockqnn.block.nsc import KERNELS, PREDECESSORS, Layer, LayerType
from blockqnn.space.protocol import Key, pick

LAST, LOOSE, USED = range(3)
"""Relations of a predecessor: the last layer, another without a successor, one with a successor."""

_PRED1, _PRED2 = attrgetter("pred1"), attrgetter("pred2")

STATE_PARTS = 5
"""Number of parts of the description of a state."""

_KINDS = 3
"""Count from which further operations of a kind are not distinguished: after three."""

_MANY = 2
"""Count of loose ends or used layers from which more do not change the legal abstract actions."""


def relations(index: int, loose: frozenset[int]) -> tuple[tuple[int, ...], ...]:
    """Return the indices of the earlier layers by relation: last, loose or used.

    Args:
        index: the index of the next layer.
        loose: the layers so far without a successor, the last one among them.
    """
    if index == 1:
        return (0,), (), ()
    last = index - 1
    others = range(1, last)
    return (
        (last,),
        tuple([other for other in others if other in loose]),
        tuple([other for other in others if other not in loose]),
    )


def loose_ends(layers: Sequence[Layer]) -> frozenset[int]:
    """Return the indices of the layers of an unfinished block without a successor."""
    indices = frozenset(range(1, len(layers) + 1))
    return indices.difference(map(_PRED1, layers), map(_PRED2, layers))


def describe_state(layers: Sequence[Layer], forced: LayerType | None) -> Key:
    """Return the features of an unfinished block that matter to its next layer.

    Args:
        layers: the layers so far.
        forced: the type of layer that is legal next if there is only one.

    Returns:
        The next index; type and kernel of the last layer, 0 for none; the number of loose ends
        besides it and of used layers, at most 2 each; the only legal type of layer, 0 if there are
        several.
    """
    index = len(layers) + 1
    last = layers[-1] if layers else None
    loose = loose_ends(layers)
    return (
        index,
        (int(last.type), last.kernel) if last else (0, 0),
        min(len(loose) - 1, _MANY) if layers else 0,
        min(len(layers) - len(loose), _MANY),
        int(forced or 0),
    )


def abstract_actions(state: Key, codes: tuple[int, ...]) -> tuple[Key, ...]:
    """Return the operations with the relations of their predecessors that are legal.

    Args:
        state: what :func:`describe_state` returns.
        codes: the types of layers of the space.
    """
    index, _, loose, used, forced = state
    return _abstract_actions(
        cast(int, loose), cast(int, used), index == 1, cast(int, forced), codes
    )


@cache
def _abstract_actions(
    loose: int, used: int, first: bool, forced: int, codes: tuple[int, ...]
) -> tuple[Key, ...]:
    there = (1, loose, used)
    singles: list[tuple[int, ...]] = [(kind,) for kind in (LAST, LOOSE, USED) if there[kind]]
    pairs: list[tuple[int, ...]] = [
        (kind, other)
        for kind, other in combinations_with_replacement((LAST, LOOSE, USED), 2)
        if not first and there[kind] and there[other] and (kind != other or there[kind] > 1)
    ]
    ways: dict[int, list[tuple[int, ...]]] = {0: [()], 1: singles, 2: pairs}
    types = [LayerType(code) for code in ((forced,) if forced else codes)]
    return tuple(
        (int(kind), kernel, way)
        for kind in types
        if not (first and kind is LayerType.PREVIOUS_INPUT)
        for kernel in KERNELS[kind]
        for way in ways[PREDECESSORS[kind]]
    )


def abstract_action_of(layers: Sequence[Layer], layer: Layer) -> Key:
    """Return the abstract action that a next layer belongs to."""
    loose = loose_ends(layers)
    way = [
        LAST if source == layer.index - 1 else LOOSE if source in loose else USED
        for source in layer.predecessors
    ]
    return (int(layer.type), layer.kernel, tuple(sorted(way)))


def draw_layer(layers: Sequence[Layer], abstract_action: Key, random: Random) -> Layer:
    """Draw a layer of an abstract action, each with the same probability."""
    layer_type, kernel, way = cast(tuple[int, int, tuple[int, ...]], abstract_action)
    index = len(layers) + 1
    by_relation = [list(indices) for indices in relations(index, loose_ends(layers))]
    sources: list[int] = []
    for relation in way:
        sources.append(pick(by_relation[relation], random))
        by_relation[relation].remove(sources[-1])
    pred1, pred2 = (*sorted(sources), 0, 0)[:2]
    return Layer(index, LayerType(layer_type), kernel, pred1, pred2)


def value_keys(state: Key, abstract_action: Key) -> tuple[Key, Key]:
    """Return the names of an abstract action's values, the coarse and the fine."""
    index, last, *_ = state
    return (("L0", index, abstract_action[:2]), ("L1", index, last, abstract_action))


def features(layers: Sequence[Layer], layer: Layer) -> tuple[Key, ...]:
    """Return the features of a next layer that may explain the reward.

    They are: its operation; its operation as the first, second, third or a later one of its kind,
    since each further one of a kind is worth less; its operation on the result of each of the
    operations that it takes; and its index, for the length. All but the last are independent of
    its index.
    """
    operation = (int(layer.type), layer.kernel)
    kind, kernel = layer.type, layer.kernel
    before = min(
        sum([earlier.type is kind and earlier.kernel == kernel for earlier in layers]), _KINDS
    )
    edges = [("edge", _result(layers, source), operation) for source in layer.predecessors]
    return (
        ("operation", operation),
        ("occurrence", operation, before),
        ("index", layer.index),
        *edges,
    )


def _result(layers: Sequence[Layer], source: int) -> tuple[int, int]:
    """Return the operation whose result a layer passes on; (0, 0) is the block's input."""
    while source:
        layer = layers[source - 1]
        if not is_folded(layer):
            return int(layer.type), layer.kernel
        source = layer.pred1
    return 0, 0
