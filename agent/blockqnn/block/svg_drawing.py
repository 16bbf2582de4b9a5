"""Pictures of a block for documents: in the language of Graphviz, and as SVG.

Both show the block's input at the top, next to the previous block's input if a layer is that input;
every layer below all of its sources; and the output, with the concatenation of loose ends, at the
bottom. The terminal computes nothing and is left out.
"""

from collections import defaultdict
from typing import NamedTuple

from blockqnn.block.nsc import Block, Layer, LayerType
from blockqnn.block.text_drawing import layer_name

_COLOURS = {
    LayerType.CONVOLUTION: "#c6dbef",
    LayerType.MAX_POOLING: "#fdd0a2",
    LayerType.AVERAGE_POOLING: "#fdd0a2",
    LayerType.IDENTITY: "#f0f0f0",
    LayerType.ADD: "#c7e9c0",
    LayerType.CONCAT: "#dadaeb",
    LayerType.BARE_CONVOLUTION: "#c6dbef",
    LayerType.RELU: "#fcbba1",
    LayerType.BATCH_NORM: "#ccece6",
    LayerType.SEPARABLE_CONVOLUTION: "#9ecae1",
    LayerType.BOTTLENECK: "#deebf7",
    LayerType.PREVIOUS_INPUT: "#ffffff",
}
_ENDS_COLOUR = "#ffffff"
_LINE_COLOUR = "#555555"


def dot_drawing(block: Block) -> str:
    """Draw a block in the language of Graphviz: `dot -Tsvg` makes a picture of it.

    Returns:
        A directed graph with the nodes `input`, `1` to the last layer before the terminal, and
        `output`; it ends with a newline.
    """
    lines = [
        "digraph block {",
        '  node [shape=box, style="rounded,filled", fontname="sans-serif"];',
        f'  input [shape=oval, fillcolor="{_ENDS_COLOUR}"];',
    ]
    for layer in block.body:
        label = f"{layer.index}: {layer_name(layer)}"
        lines.append(f'  {layer.index} [label="{label}", fillcolor="{_COLOURS[layer.type]}"];')
    lines.append(
        f'  output [shape=oval, label="{_output_name(block)}", fillcolor="{_ENDS_COLOUR}"];'
    )
    lines += [
        f"  {source or 'input'} -> {layer.index};"
        for layer in block.body
        for source in layer.predecessors
    ]
    lines += [f"  {end or 'input'} -> output;" for end in block.loose_ends]
    return "\n".join([*lines, "}", ""])


class _Box(NamedTuple):
    """A node of the picture; x and y are those of its centre, in pixels."""

    x: float
    y: float
    label: str
    colour: str


_BOX_WIDTH, _BOX_HEIGHT = 116, 28
_COLUMN, _ROW = 132, 56
_MARGIN = 12


def svg_drawing(block: Block) -> str:
    """Draw a block as a picture in Scalable Vector Graphics.

    Returns:
        One `svg` element with a title, without an XML declaration, so that it can stand in a file
        or in a page; it ends with a newline.
    """
    boxes = _place(block)
    width = max(box.x for box in boxes) + _COLUMN / 2 + _MARGIN
    height = max(box.y for box in boxes) + _BOX_HEIGHT / 2 + _MARGIN
    output = len(boxes) - 1
    edges = [(source, layer.index) for layer in block.body for source in layer.predecessors]
    edges += [(end, output) for end in block.loose_ends]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" font-family="sans-serif" '
        'font-size="12" text-anchor="middle">',
        f"<title>{block}</title>",
        *(_draw_edge(boxes[source], boxes[target]) for source, target in edges),
        *(_draw_box(box, number in (0, output)) for number, box in enumerate(boxes)),
    ]
    return "\n".join([*lines, "</svg>", ""])


def _place(block: Block) -> list[_Box]:
    """Place the input, the layers and the output: rows by depth, each row centred."""
    depths = [0]
    for layer in block.body:
        depths.append(max([1 + depths[source] for source in layer.predecessors], default=0))
    depths.append(1 + max(depths[end] for end in block.loose_ends))
    rows: dict[int, list[int]] = defaultdict(list)
    for number, depth in enumerate(depths):
        rows[depth].append(number)
    widest = max(len(row) for row in rows.values())
    labels = ["input", *(_label(layer) for layer in block.body), _output_name(block)]
    colours = [_ENDS_COLOUR, *(_COLOURS[layer.type] for layer in block.body), _ENDS_COLOUR]
    boxes = []
    for number, depth in enumerate(depths):
        column = rows[depth].index(number) + (widest - len(rows[depth]) + 1) / 2
        y = _MARGIN + _BOX_HEIGHT / 2 + _ROW * depth
        boxes.append(_Box(_MARGIN + _COLUMN * column, y, labels[number], colours[number]))
    return boxes


def _label(layer: Layer) -> str:
    return f"{layer.index}: {layer_name(layer)}"


def _output_name(block: Block) -> str:
    ends = len(block.loose_ends)
    return f"output: concat of {ends}" if ends > 1 else "output"


def _draw_edge(source: _Box, target: _Box) -> str:
    """Draw a line that bends aside where it would run behind boxes of the rows in between."""
    top, bottom = source.y + _BOX_HEIGHT / 2, target.y - _BOX_HEIGHT / 2
    aside = _COLUMN * 0.6 if source.x == target.x and bottom - top > _ROW else 0.0
    third = (bottom - top) / 3
    return (
        f'<path d="M{source.x:g} {top:g}C{source.x + aside:g} {top + third:.1f} '
        f'{target.x + aside:g} {bottom - third:.1f} {target.x:g} {bottom:g}" fill="none" '
        f'stroke="{_LINE_COLOUR}"/>'
    )


def _draw_box(box: _Box, is_end: bool) -> str:
    left, top = box.x - _BOX_WIDTH / 2, box.y - _BOX_HEIGHT / 2
    round_by = _BOX_HEIGHT / 2 if is_end else 4
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" '
        f'rx="{round_by:g}" fill="{box.colour}" stroke="{_LINE_COLOUR}"/>'
        f'<text x="{box.x:g}" y="{box.y + 4:g}" fill="#000000">{box.label}</text>'
    )
