"""The picture of a block in points: boxes for its layers, and curves for their results.

It shows the block's input at the top, next to the previous block's input if a layer is that input;
every layer below all of its sources; and the output, with the concatenation of loose ends, at the
bottom. The terminal computes nothing and is left out.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from blockqnn.block.layout import Point, lay_out_in_ranks
from blockqnn.block.nsc import Block, LayerType
from blockqnn.block.text_drawing import layer_name

FONT_SIZE = 12
BOX_HEIGHT = 26.0
MARGIN = 6.0

_LETTER_WIDTH = 0.62 * FONT_SIZE
"""Mean width of a letter of the names in DejaVu Sans, which is wider than most."""

_PADDING = 9.0
_NARROWEST_BOX = 58.0

_LEAST_RANK_GAP, _MOST_RANK_GAP = 22.0, 52.0
_SLOPE = 0.14
"""Height that an edge has between two ranks for each point that it runs sideways."""


class Box(NamedTuple):
    """A node of the picture."""

    node: int
    label: str
    type: LayerType | None
    """None for the input and the output."""
    x: float
    """Of its centre."""
    y: float
    width: float
    height: float


class Wire(NamedTuple):
    """The curve of an edge, from the lower side of its source to the upper side of its target."""

    source: int
    target: int
    points: tuple[Point, ...]
    """A start, then three points for each cubic Bézier curve: two controls and an end."""


class Picture(NamedTuple):
    """Boxes and wires on a canvas, whose upper left corner is at (0, 0)."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    """One for each node: the input, the layers in order, and the output."""
    wires: tuple[Wire, ...]


def block_picture(block: Block) -> Picture:
    """Return the picture of a block."""
    labels = _labels(block)
    widths = [_box_width(label) for label in labels]
    layout = lay_out_in_ranks(block, widths)
    lines = [edge.points for edge in layout.edges]
    centres = _rank_centres(lines)
    types = [None, *(layer.type for layer in block.body), None]
    boxes = tuple(
        Box(node, label, kind, MARGIN + x, centres[int(rank)], width, BOX_HEIGHT)
        for node, (label, kind, (x, rank), width) in enumerate(
            zip(labels, types, layout.nodes, widths, strict=True)
        )
    )
    wires = tuple(
        Wire(edge.source, edge.target, _curve(edge.points, centres)) for edge in layout.edges
    )
    rights = [box.x + box.width / 2 for box in boxes]
    rights += [point.x for wire in wires for point in wire.points]
    height = centres[-1] + BOX_HEIGHT / 2 + MARGIN
    return Picture(max(rights) + MARGIN, height, boxes, wires)


def _labels(block: Block) -> list[str]:
    ends = len(block.loose_ends)
    output = f"output: concat of {ends}" if ends > 1 else "output"
    return ["input", *(f"{layer.index}: {layer_name(layer)}" for layer in block.body), output]


def _box_width(label: str) -> float:
    return max(_NARROWEST_BOX, round(len(label) * _LETTER_WIDTH + 2 * _PADDING))


def _rank_centres(lines: Sequence[Sequence[Point]]) -> list[float]:
    """Return the y of each rank: further apart where edges run far sideways between two."""
    reach: dict[int, float] = {}
    for points in lines:
        for upper, lower in itertools.pairwise(points):
            rank = int(upper.y)
            reach[rank] = max(reach.get(rank, 0.0), abs(upper.x - lower.x))
    centres = [MARGIN + BOX_HEIGHT / 2]
    for rank in range(len(reach)):
        gap = min(max(_SLOPE * reach[rank], _LEAST_RANK_GAP), _MOST_RANK_GAP)
        centres.append(centres[-1] + BOX_HEIGHT + gap)
    return centres


def _curve(points: Sequence[Point], centres: Sequence[float]) -> tuple[Point, ...]:
    """Bend between ranks alone, and run straight down where boxes stand."""
    start, *_ = points
    curve = [Point(MARGIN + start.x, centres[int(start.y)] + BOX_HEIGHT / 2)]
    for lower in points[1:]:
        upper = curve[-1]
        x, top = MARGIN + lower.x, centres[int(lower.y)] - BOX_HEIGHT / 2
        middle = (upper.y + top) / 2
        curve += [Point(upper.x, middle), Point(x, middle), Point(x, top)]
        if lower is not points[-1]:
            curve += [Point(x, top), Point(x, top + BOX_HEIGHT), Point(x, top + BOX_HEIGHT)]
    return tuple(curve)


def path_data(points: Sequence[Point]) -> str:
    """Write the points of a wire as the data of an SVG path."""
    start, *curves = [f"{point.x:.1f},{point.y:.1f}".replace(".0", "") for point in points]
    parts = [" ".join(curves[i : i + 3]) for i in range(0, len(curves), 3)]
    return f"M{start}C{'C'.join(parts)}"
