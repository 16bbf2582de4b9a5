"""How wide the results of a block's layers are, whatever the widths of its input and its stage."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from blockqnn.block.nsc import CONVOLUTIONS, Layer, LayerType, loose_ends

_Sum = tuple[int, int, int, int]
"""So many times the widths of the block's input, of its stage, of the stage's bottlenecks, and of
the previous block's input."""

Width = frozenset[_Sum]
"""A number of channels as a function of those widths: the largest of some sums of them."""

Ends = dict[Width, list[int]]
"""The places of the loose ends of each width, in ascending order."""

_INPUT: Width = frozenset({(1, 0, 0, 0)})
STAGE: Width = frozenset({(0, 1, 0, 0)})
_BOTTLENECK: Width = frozenset({(0, 0, 1, 0)})
_PREVIOUS: Width = frozenset({(0, 0, 0, 1)})


def widths_of(body: Sequence[Layer]) -> list[Width]:
    """Return the widths of the input and of each layer, whatever those of input and stage are."""
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
            width = _largest({_add(one, two) for one in width for two in widths[layer.pred2]})
        widths.append(width)
    return widths


def ends_by_width(body: Sequence[Layer]) -> Ends:
    """Return the places of the loose ends of each width, the widest last."""
    widths = widths_of(body)
    found: Ends = {}
    for end in loose_ends(body):
        found.setdefault(widths[end], []).append(end)
    return dict(sorted(found.items(), key=lambda one: sorted(one[0], reverse=True)))


def _add(one: _Sum, two: _Sum) -> _Sum:
    return (one[0] + two[0], one[1] + two[1], one[2] + two[2], one[3] + two[3])


def _largest(sums: AbstractSet[_Sum]) -> Width:
    """Leave out the sums that another one is never smaller than."""
    return frozenset(
        [
            one
            for one in sums
            if not any(
                one[0] <= a and one[1] <= b and one[2] <= c and one[3] <= d
                for a, b, c, d in sums
                if (a, b, c, d) != one
            )
        ]
    )
