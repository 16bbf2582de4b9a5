"""Pictures of a block in text: its layers and the sources of their inputs."""

from collections import defaultdict
from collections.abc import Iterable

from blockqnn.block.layout import Layout, lay_out_in_lines
from blockqnn.block.nsc import Block, Layer, LayerType

_NAMES = {
    LayerType.CONVOLUTION: "conv",
    LayerType.MAX_POOLING: "max pool",
    LayerType.AVERAGE_POOLING: "avg pool",
    LayerType.IDENTITY: "identity",
    LayerType.ADD: "add",
    LayerType.CONCAT: "concat",
    LayerType.TERMINAL: "terminal",
    LayerType.BARE_CONVOLUTION: "conv",
    LayerType.RELU: "ReLU",
    LayerType.BATCH_NORM: "batch norm",
    LayerType.SEPARABLE_CONVOLUTION: "sep conv",
    LayerType.BOTTLENECK: "bottleneck",
    LayerType.PREVIOUS_INPUT: "previous input",
}

_WIDEST_NAME = len("max pool 3x3")
"""Width of the column of names, unless a block has a wider name."""

_LEFT, _RIGHT, _UP, _DOWN = 1, 2, 4, 8
_JOINTS = {
    _LEFT | _RIGHT: "─",
    _UP | _DOWN: "│",
    _UP | _RIGHT: "└",
    _UP | _LEFT: "┘",
    _UP | _DOWN | _RIGHT: "├",
    _UP | _DOWN | _LEFT: "┤",
    _UP | _LEFT | _RIGHT: "┴",
    _UP | _DOWN | _LEFT | _RIGHT: "┼",
}
"""The sign for a cell, by the sides from which lines reach its middle."""

_MOST_LISTED = 3
"""Most loose ends that the output's line lists; if there are more, only the rails show them."""


def type_name(layer_type: LayerType) -> str:
    """Name a type of layers as the papers' figures do, such as ``conv`` or ``add``."""
    return _NAMES[layer_type]


def layer_name(layer: Layer) -> str:
    """Name a layer as the papers' figures do, such as ``conv 3x3`` or ``add``."""
    name = type_name(layer.type)
    return f"{name} {layer.kernel}x{layer.kernel}" if layer.kernel else name


def text_drawing(block: Block) -> str:
    """Draw a block for a terminal, one line for each layer, from the input down to the output.

    Each result runs down its own rail until its last use; a line that passes behind a rail does not
    touch it. The shortcut block of CVPR 2018, Fig. 2::

        ○        input
        ●     1  identity
        ├─●   2  conv 3x3      of 1
        │ ●   3  conv 3x3      of 2
        ●─┘   4  add           of 1 and 3
        ○        output

    Returns:
        Lines of Unicode text without a newline at the end. Two columns for each result that is in
        use at once, and 33 for the names, 35 for the widest: at most 80 for a block of 23 layers of
        the papers' types.
    """
    pictures = _draw_lines(lay_out_in_lines(block))
    names = ["input", *(layer_name(layer) for layer in block.body), "output"]
    indices = ["", *(str(layer.index) for layer in block.body), ""]
    notes = ["", *(_sources_note(layer) for layer in block.body), _output_note(block)]
    width = max(map(len, pictures))
    widest = max([_WIDEST_NAME, *map(len, names)])
    return "\n".join(
        f"{picture:<{width}}  {index:>2}  {name:<{widest}}  {note}".rstrip()
        for picture, index, name, note in zip(pictures, indices, names, notes, strict=True)
    )


def _sources_note(layer: Layer) -> str:
    sources = layer.predecessors
    return f"of {_listed(sources)}" if sources and layer.index > 1 else ""


def _output_note(block: Block) -> str:
    ends = block.loose_ends
    if len(ends) > _MOST_LISTED:
        return f"concat of {len(ends)} layers"
    return f"concat of {_listed(ends)}" if len(ends) > 1 else ""


def _listed(indices: Iterable[int]) -> str:
    *others, last = (str(index) for index in indices)
    return f"{', '.join(others)} and {last}" if others else last


def _draw_lines(layout: Layout) -> list[str]:
    """Draw each line of a layout: a sign for each column, and the lines between them."""
    columns = 1 + max(int(node.x) for node in layout.nodes)
    sides: list[dict[int, int]] = [defaultdict(int) for _ in layout.nodes]
    reaches = [[int(node.x)] for node in layout.nodes]
    for edge in layout.edges:
        column = int(edge.points[0].x)
        reaches[edge.target].append(column)
        for line in range(edge.source, edge.target):
            sides[line][column] |= _DOWN
            sides[line + 1][column] |= _UP
    drawn = []
    for line, node in enumerate(layout.nodes):
        first, last = min(reaches[line]), max(reaches[line])
        for column in reaches[line]:
            sides[line][column] |= (_LEFT if column > first else 0) | (
                _RIGHT if column < last else 0
            )
        cells = [
            _JOINTS.get(sides[line][column] or _crossed(column, first, last), " ")
            for column in range(columns)
        ]
        cells[int(node.x)] = "○" if line in (0, len(layout.nodes) - 1) else "●"
        gaps = ["─" if first <= column < last else " " for column in range(columns)]
        drawn.append("".join(map("".join, zip(cells, gaps, strict=True))).rstrip())
    return drawn


def _crossed(column: int, first: int, last: int) -> int:
    return _LEFT | _RIGHT if first < column < last else 0
