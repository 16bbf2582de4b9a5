"""Drawings of a block in the language of Graphviz."""

from collections.abc import Sequence

from blockqnn.block.layer_colours import ENDS_COLOUR, LAYER_COLOURS, LINE_COLOUR
from blockqnn.block.layout import Point
from blockqnn.block.nsc import Block
from blockqnn.block.picture import FONT_SIZE, Box, Picture, block_picture

_POINTS_PER_INCH = 72


def dot_drawing(block: Block) -> str:
    """Draw a block in the language of Graphviz: `dot -Tsvg` makes a picture of it.

    The layout is a part of the graph (`layout=nop2`), so the picture is that of
    :func:`blockqnn.block.svg_drawing.svg_drawing`; `dot -Glayout=dot` makes one of its own.

    Returns:
        A directed graph with the nodes `input`, `1` to the last layer before the terminal, and
        `output`; it ends with a newline.
    """
    picture = block_picture(block)
    height = picture.height
    names = ["input", *(str(layer.index) for layer in block.body), "output"]
    lines = [
        "digraph block {",
        f'  graph [layout=nop2, bb="0,0,{_number(picture.width)},{_number(height)}"];',
        '  node [shape=box, style="rounded,filled", fixedsize=true, fontname="sans-serif", '
        f'fontsize={FONT_SIZE}, color="{LINE_COLOUR}"];',
        f'  edge [arrowhead=none, color="{LINE_COLOUR}"];',
        *(f"  {names[box.node]} {_node_attributes(box, picture)};" for box in picture.boxes),
        *(
            f"  {names[wire.source]} -> {names[wire.target]} "
            f'[pos="{_spline(wire.points, height)}"];'
            for wire in picture.wires
        ),
    ]
    return "\n".join([*lines, "}", ""])


def _node_attributes(box: Box, picture: Picture) -> str:
    colour = ENDS_COLOUR if box.type is None else LAYER_COLOURS[box.type]
    shape = "shape=oval, " if box.type is None else ""
    return (
        f'[{shape}label="{box.label}", fillcolor="{colour}", '
        f'pos="{_place(Point(box.x, box.y), picture.height)}", '
        f"width={box.width / _POINTS_PER_INCH:.3f}, height={box.height / _POINTS_PER_INCH:.3f}]"
    )


def _spline(points: Sequence[Point], height: float) -> str:
    return " ".join(_place(point, height) for point in points)


def _place(point: Point, height: float) -> str:
    """Write a point as Graphviz counts: upwards from the lower left corner."""
    return f"{_number(point.x)},{_number(height - point.y)}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
