"""A block as a picture: boxes for its layers, lines for their results."""

import itertools
from collections.abc import Sequence

from blockqnn.block.nsc import Block
from blockqnn.block.text_drawing import layer_name
from blockqnn_cli.report.graph_layout import INPUT, lay_out
from blockqnn_cli.report.svg import Markup, element, number, picture

COLUMN, ROW = 112.0, 46.0
"""The room of a layer: its box and the space around it."""

BOX_WIDTH, BOX_HEIGHT = 100.0, 25.0

MARGIN = 4.0

SMALLEST = 0.62
"""Smallest scale of a drawing: names of layers must stay readable, and wide blocks scroll."""


def drawing(block: Block, identity: str, title: str, scale: float = 1.0) -> Markup:
    """Draw a block from its input at the top to its output at the bottom.

    Args:
        block: any block.
        identity: names the picture within the page.
        title: title of the picture.
        scale: its size where there is room, from :data:`SMALLEST` to 1.
    """
    layout = lay_out(block)

    def place(x: float, y: float) -> tuple[float, float]:
        return MARGIN + x * COLUMN, MARGIN + y * ROW + BOX_HEIGHT / 2

    lines = [
        element("path", class_="wire", d=_wire([place(*point) for point in points]))
        for points in layout.lines
    ]
    boxes = [_box(block, node, *place(x, y)) for node, (x, y) in sorted(layout.places.items())]
    breadth = 2 * MARGIN + layout.width * COLUMN
    height = 2 * MARGIN + (layout.rows - 1) * ROW + BOX_HEIGHT
    return picture(
        identity,
        title,
        in_words(block),
        (breadth, height),
        *lines,
        *boxes,
        class_="block",
        style=f"max-width:{number(scale * breadth)}px;min-width:{number(SMALLEST * breadth)}px",
    )


def width(block: Block) -> float:
    """Return the full width of a block's drawing."""
    return 2 * MARGIN + lay_out(block).width * COLUMN


def in_words(block: Block) -> str:
    """Describe the layers of a block and their inputs, for those who cannot see the picture."""
    parts = [
        f"{layer.index} {layer_name(layer)}" + _sources(layer.predecessors) for layer in block.body
    ]
    ends = ", ".join(_source(end) for end in block.loose_ends)
    return "; ".join([*parts, f"output of {ends}."])


def _sources(indices: Sequence[int]) -> str:
    return f" of {' and '.join(map(_source, indices))}" if indices else ""


def _source(index: int) -> str:
    return "the input" if index == INPUT else str(index)


def _box(block: Block, node: int, x: float, y: float) -> Markup:
    name, style = _look(block, node)
    return element(
        "g",
        element(
            "rect", class_=f"box {style}", x=x - BOX_WIDTH / 2, y=y - BOX_HEIGHT / 2,
            width=BOX_WIDTH, height=BOX_HEIGHT, rx=6,
        ),
        element("text", name, class_="box-name", x=x, y=y + 4, text_anchor="middle"),
    )  # fmt: skip


def _look(block: Block, node: int) -> tuple[str, str]:
    if node == INPUT:
        return "input", "end"
    if node == len(block):
        return ("concat, output" if len(block.loose_ends) > 1 else "output"), "end"
    layer = block.layers[node - 1]
    return layer_name(layer), f"type-{layer.type.value}"


def _wire(points: Sequence[tuple[float, float]]) -> str:
    """Write a smooth line that leaves and reaches every point from straight above."""
    text = f"M{number(points[0][0])},{number(points[0][1])}"
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        middle = number((y1 + y2) / 2)
        text += f"C{number(x1)},{middle} {number(x2)},{middle} {number(x2)},{number(y2)}"
    return text
