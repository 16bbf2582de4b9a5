"""The layers that may make the network of an unfinished block cheaper, without a projection.

Each takes loose ends, and leaves fewer or narrower ones: an add or a concat of two, or a 1x1
convolution. If there are too many sequences of them to try all, those of a few rules are tried: a
rule names kinds of reductions, the most urgent first, and takes the first that is possible.
"""

from collections.abc import Callable, Iterator, Sequence

from blockqnn.block.nsc import Layer, LayerType
from blockqnn.space.constraints.widths import STAGE, Ends, ends_by_width

Body = tuple[Layer, ...]
"""The layers of a block without its terminal; the block may be unfinished."""

_CHEAPEST = (
    (LayerType.CONVOLUTION, 1),
    (LayerType.BARE_CONVOLUTION, 1),
    (LayerType.SEPARABLE_CONVOLUTION, 3),
)
"""The types of convolutions to the width of the stage with their cheapest kernels, the cheapest
first: a space has at least one of them."""

Rule = Sequence[Callable[[Ends], tuple[int, ...] | None]]
"""Each returns the type, kernel and predecessors of a layer for some loose ends, or None."""


class Reductions:
    """The reductions of a space.

    Args:
        types: the types of layers that a block may have.
    """

    def __init__(self, types: Sequence[LayerType]) -> None:
        self.joining = [layer for layer in (LayerType.ADD, LayerType.CONCAT) if layer in types]
        """The types of layers that join two ends."""
        self.convolving = next(layer for layer in _CHEAPEST if layer[0] in types)
        """The type and the kernel of the cheapest convolution."""
        self.rules: Sequence[Rule] = (
            (self._add_alike, self._convolve_widest),
            (self._convolve_widest, self._add_alike),
            (self._concat_unlike, self._convolve_widest, self._add_alike),
            (self._add_alike, self._add_unlike),
            (self._convolve_sum, self._add_alike, self._add_unlike),
        )

    def all(self, body: Body) -> Iterator[Body]:
        """Yield a block's layers with each merger; ends of equal width are interchangeable."""
        by_width = ends_by_width(body)
        kinds = list(by_width.values())
        for index, ends in enumerate(kinds):
            for others in kinds[index:]:
                pair = sorted({ends[0], others[-1]})
                if len(pair) == 2:
                    for joining in self.joining:
                        yield _append(body, (joining, 0, *pair))
        for width, ends in by_width.items():
            if width != STAGE:
                yield _append(body, (*self.convolving, ends[0], 0))

    def next(self, rule: Rule, body: Body) -> Body | None:
        """Return a block's layers with the merger that a rule takes; None if there is none."""
        ends = ends_by_width(body)
        for merger in rule:
            layer = merger(ends)
            if layer is not None:
                return _append(body, layer)
        return None

    def _add_alike(self, ends: Ends) -> tuple[int, ...] | None:
        """Return an add of two ends of the same width, which costs nothing."""
        alike = [places for places in ends.values() if len(places) > 1]
        if not alike or LayerType.ADD not in self.joining:
            return None
        return LayerType.ADD, 0, *alike[-1][:2]

    def _add_unlike(self, ends: Ends) -> tuple[int, ...] | None:
        """Return an add of the widest end and the next."""
        if len(ends) < 2 or LayerType.ADD not in self.joining:
            return None
        return LayerType.ADD, 0, *sorted([places[0] for places in ends.values()][-2:])

    def _concat_unlike(self, ends: Ends) -> tuple[int, ...] | None:
        """Return a concat of the two widest ends without the stage's width."""
        others = [end for width, places in ends.items() if width != STAGE for end in places]
        if len(others) < 2 or LayerType.CONCAT not in self.joining:
            return None
        return LayerType.CONCAT, 0, *sorted(others[-2:])

    def _convolve_widest(self, ends: Ends) -> tuple[int, ...] | None:
        """Return a convolution of the widest end without the stage's width."""
        others = [places[0] for width, places in ends.items() if width != STAGE]
        return (*self.convolving, others[-1], 0) if others else None

    def _convolve_sum(self, ends: Ends) -> tuple[int, ...] | None:
        """Return a convolution of the widest end that is as wide as two results together."""
        sums = [
            places[0] for width, places in ends.items() if any(sum(terms) > 1 for terms in width)
        ]
        return (*self.convolving, sums[-1], 0) if sums else None


def _append(body: Body, layer: tuple[int, ...]) -> Body:
    layer_type, kernel, pred1, pred2 = layer
    return (*body, Layer(len(body) + 1, LayerType(layer_type), kernel, pred1, pred2))
