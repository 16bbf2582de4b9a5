"""A block as a picture of the page: the layout of `best -o svg` in the page's colours."""

from collections.abc import Sequence
from functools import lru_cache

from blockqnn.block.nsc import Block
from blockqnn.block.picture import Box, Wire, block_picture, path_data
from blockqnn.block.text_drawing import layer_name
from blockqnn_cli.report.svg import Markup, element, number, picture

SMALLEST = 0.62
"""Smallest scale of a drawing: names of layers must stay readable, and wide blocks scroll."""

_picture = lru_cache(maxsize=64)(block_picture)


def drawing(block: Block, identity: str, title: str, scale: float = 1.0) -> Markup:
    """Draw a block from its input at the top to its output at the bottom.

    Args:
        block: any block.
        identity: names the picture within the page.
        title: title of the picture.
        scale: its size where there is room, from :data:`SMALLEST` to 1.
    """
    drawn = _picture(block)
    return picture(
        identity,
        title,
        in_words(block),
        (drawn.width, drawn.height),
        *(_wire(wire) for wire in drawn.wires),
        *(_box(box) for box in drawn.boxes),
        class_="block",
        style=f"max-width:{number(scale * drawn.width)}px;"
        f"min-width:{number(SMALLEST * drawn.width)}px",
    )


def width(block: Block) -> float:
    """Return the full width of a block's drawing."""
    return _picture(block).width


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
    return "the input" if index == 0 else str(index)


def _wire(wire: Wire) -> Markup:
    return element("path", class_="wire", d=path_data(wire.points))


def _box(box: Box) -> Markup:
    style = "end" if box.type is None else f"type-{box.type.value}"
    return element(
        "g",
        element(
            "rect", class_=f"box {style}", x=box.x - box.width / 2, y=box.y - box.height / 2,
            width=box.width, height=box.height, rx=6,
        ),
        element("text", box.label, class_="box-name", x=box.x, y=box.y + 4, text_anchor="middle"),
    )  # fmt: skip
