"""Widths of the results of a block's layers, as functions of those of its input and its stage."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from blockqnn.block.nsc import CONVOLUTIONS, Layer, LayerType, loose_ends

_Sum = tuple[int, int, int, int]
"""Multiples of the widths of the block's input, of its stage, of the stage's bottlenecks, and of
the previous block's input."""

Width = frozenset[_Sum]
"""A number of channels as a function of those widths: the largest of some sums of them."""

Ends = dict[Width, list[int]]
"""The indices of the loose ends of each width, in ascending order."""

_INPUT: Width = frozenset({(1, 0, 0, 0)})
STAGE: Width = frozenset({(0, 1, 0, 0)})
_BOTTLENECK: Width = frozenset({(0, 0, 1, 0)})
_PREVIOUS: Width = frozenset({(0, 0, 0, 1)})


def widths_of(body: Sequence[Layer]) -> list[Width]:
    """Return the widths of the input and of each layer."""
    widths = [_INPUT]
    for layer in body:
        width = widths[layer.pred1]
        if layer.type in CONVOLUTIONS:
            width = _BOTTLENECK if layer.type is LayerType.BOTTLENECK else STAGE
        elif layer.type is LayerType.PREVIOUS_INPUT:
            width = _PREVIOUS
        elif layer.type is LayerType.ADD:
            width = _largest(width | widths[layer.pred2])
        elif layer.type is LayerType.CONCAT:
            width = _largest(
                {_add(first, second) for first in width for second in widths[layer.pred2]}
            )
        widths.append(width)
    return widths


def ends_by_width(body: Sequence[Layer]) -> Ends:
    """Return the indices of the loose ends of each width, the widest last."""
    widths = widths_of(body)
    by_width: Ends = {}
    for end in loose_ends(body):
        by_width.setdefault(widths[end], []).append(end)
    return dict(sorted(by_width.items(), key=lambda item: sorted(item[0], reverse=True)))


def _add(first: _Sum, second: _Sum) -> _Sum:
    return (first[0] + second[0], first[1] + second[1], first[2] + second[2], first[3] + second[3])


def _largest(sums: AbstractSet[_Sum]) -> Width:
    """Remove the sums that are never larger than another one."""
    return frozenset(
        [
            candidate
            for candidate in sums
            if not any(
                candidate[0] <= a and candidate[1] <= b and candidate[2] <= c and candidate[3] <= d
                for a, b, c, d in sums
                if (a, b, c, d) != candidate
            )
        ]
    )
