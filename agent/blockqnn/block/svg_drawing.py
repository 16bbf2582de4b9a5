"""Drawings of a block as Scalable Vector Graphics, for files and documents."""

from blockqnn.block.layer_colours import ENDS_COLOUR, LAYER_COLOURS, LINE_COLOUR
from blockqnn.block.nsc import Block
from blockqnn.block.picture import FONT_SIZE, Box, Wire, block_picture, path_data


def svg_drawing(block: Block) -> str:
    """Draw a block as a picture in Scalable Vector Graphics.

    Returns:
        One `svg` element with a title, without an XML declaration, so that it can stand in a file
        or in a page; it ends with a newline.
    """
    picture = block_picture(block)
    size = f"{picture.width:.0f}", f"{picture.height:.0f}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" '
        f'width="{size[0]}" height="{size[1]}" role="img" font-family="sans-serif" '
        f'font-size="{FONT_SIZE}" text-anchor="middle">',
        f"<title>{block}</title>",
        *(_draw_wire(wire) for wire in picture.wires),
        *(_draw_box(box) for box in picture.boxes),
    ]
    return "\n".join([*lines, "</svg>", ""])


def _draw_wire(wire: Wire) -> str:
    return (
        f'<path d="{path_data(wire.points)}" fill="none" stroke="{LINE_COLOUR}" '
        'stroke-width="1.5"/>'
    )


def _draw_box(box: Box) -> str:
    colour = ENDS_COLOUR if box.type is None else LAYER_COLOURS[box.type]
    left, top = box.x - box.width / 2, box.y - box.height / 2
    round_by = box.height / 2 if box.type is None else 5
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:g}" height="{box.height:g}" '
        f'rx="{round_by:g}" fill="{colour}" stroke="{LINE_COLOUR}"/>'
        f'<text x="{box.x:.1f}" y="{box.y + 4:.1f}" fill="#000000">{box.label}</text>'
    )
