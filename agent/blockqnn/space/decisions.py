"""Blocks in terms that generalise over predecessors and over lengths.

A layer is told apart by its operation and by what its predecessors are at the time: the layer
chosen last, another loose end, or a layer that is used already. These relations mean the same at
every index, so what is learned about them early in a block, or in another block, applies.
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
"""What a predecessor is: the last layer, another without a successor, one with a successor."""

_PRED1, _PRED2 = attrgetter("pred1"), attrgetter("pred2")

SITUATION = 5
"""How many parts the description of a situation has."""

_KINDS = 3
"""From the fourth of a kind of operation on they are not told apart."""

_MANY = 2
"""As many loose ends or used layers as matter to which layers are legal."""


def relations(index: int, loose: frozenset[int]) -> tuple[tuple[int, ...], ...]:
    """Return the indices of the earlier layers by what they are: last, loose or used.

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
        tuple([one for one in others if one in loose]),
        tuple([one for one in others if one not in loose]),
    )


def loose_ends(layers: Sequence[Layer]) -> frozenset[int]:
    """Return the indices of the layers of an unfinished block without a successor."""
    indices = frozenset(range(1, len(layers) + 1))
    return indices.difference(map(_PRED1, layers), map(_PRED2, layers))


def describe(layers: Sequence[Layer], forced: LayerType | None) -> Key:
    """Return what matters of an unfinished block to its next layer.

    Args:
        layers: the layers so far.
        forced: the only type of layer that is legal next, where there is only one.

    Returns:
        The next index; type and kernel of the last layer, 0 for none; how many loose ends there are
        besides it and how many used layers, 2 for more; the only legal type of
        layer, 0 where it is free.
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


def options(situation: Key, codes: tuple[int, ...]) -> tuple[Key, ...]:
    """Return the operations with the relations of their predecessors that are legal.

    Args:
        situation: what :func:`describe` returns.
        codes: the types of layers that there are.
    """
    index, _, loose, used, forced = situation
    return _options(cast(int, loose), cast(int, used), index == 1, cast(int, forced), codes)


@cache
def _options(
    loose: int, used: int, first: bool, forced: int, codes: tuple[int, ...]
) -> tuple[Key, ...]:
    there = (1, loose, used)
    singles: list[tuple[int, ...]] = [(one,) for one in (LAST, LOOSE, USED) if there[one]]
    pairs: list[tuple[int, ...]] = [
        (one, other)
        for one, other in combinations_with_replacement((LAST, LOOSE, USED), 2)
        if not first and there[one] and there[other] and (one != other or there[one] > 1)
    ]
    ways: dict[int, list[tuple[int, ...]]] = {0: [()], 1: singles, 2: pairs}
    types = [LayerType(code) for code in ((forced,) if forced else codes)]
    return tuple(
        (int(one), kernel, way)
        for one in types
        if not (first and one is LayerType.PREVIOUS_INPUT)
        for kernel in KERNELS[one]
        for way in ways[PREDECESSORS[one]]
    )


def option_of(layers: Sequence[Layer], layer: Layer) -> Key:
    """Return the option that a next layer belongs to."""
    loose = loose_ends(layers)
    way = [
        LAST if one == layer.index - 1 else LOOSE if one in loose else USED
        for one in layer.predecessors
    ]
    return (int(layer.type), layer.kernel, tuple(sorted(way)))


def draw_layer(layers: Sequence[Layer], option: Key, random: Random) -> Layer:
    """Draw a layer of an option, each with the same probability."""
    layer_type, kernel, way = cast(tuple[int, int, tuple[int, ...]], option)
    index = len(layers) + 1
    by_relation = [list(one) for one in relations(index, loose_ends(layers))]
    sources: list[int] = []
    for relation in way:
        sources.append(pick(by_relation[relation], random))
        by_relation[relation].remove(sources[-1])
    pred1, pred2 = (*sorted(sources), 0, 0)[:2]
    return Layer(index, LayerType(layer_type), kernel, pred1, pred2)


def names(situation: Key, option: Key) -> tuple[Key, Key]:
    """Return the names of an option's values, the coarse and the fine."""
    index, last, *_ = situation
    return (("L0", index, option[:2]), ("L1", index, last, option))


def features(layers: Sequence[Layer], layer: Layer) -> tuple[Key, ...]:
    """Return what a next layer may contribute to the reward.

    That is, whatever its index: its operation; its operation as the first, the second, the third or
    a later one of its kind, for the more of a kind there are the less another is worth; its
    operation on the result of each of the operations that it takes; and its index, for the length.
    """
    operation = (int(layer.type), layer.kernel)
    kind, kernel = layer.type, layer.kernel
    before = min(sum([one.type is kind and one.kernel == kernel for one in layers]), _KINDS)
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
