"""A block in the language of Graphviz and as SVG."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from random import Random

import pytest
from agent_spaces import make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.dot_drawing import dot_drawing
from blockqnn.block.nsc import Block
from blockqnn.block.picture import block_picture, path_data
from blockqnn.block.svg_drawing import svg_drawing

SHORTCUT = Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,5,0,1,3)(5,7,0,0,0)")
SVG = "{http://www.w3.org/2000/svg}"

blocks = st.builds(
    lambda seed, step: make_space(23).random_block(Random(seed), step),
    st.integers(0, 2**32),
    st.sampled_from(["TypeFirst", "Flat"]),
)


def test_the_shortcut_of_figure_2_in_the_language_of_graphviz() -> None:
    lines = dot_drawing(SHORTCUT).splitlines()
    assert [re.sub(r", pos=.*", "", line) for line in lines if "label=" in line] == [
        '  input [shape=oval, label="input", fillcolor="#ffffff"',
        '  1 [label="1: identity", fillcolor="#f0f0f0"',
        '  2 [label="2: conv 3x3", fillcolor="#c6dbef"',
        '  3 [label="3: conv 3x3", fillcolor="#c6dbef"',
        '  4 [label="4: add", fillcolor="#c7e9c0"',
        '  output [shape=oval, label="output", fillcolor="#ffffff"',
    ]
    assert [line.partition(" [")[0].strip() for line in lines if "->" in line] == [
        "input -> 1", "1 -> 2", "2 -> 3", "1 -> 4", "3 -> 4", "4 -> output",
    ]  # fmt: skip


def test_a_terminal_alone_joins_input_and_output() -> None:
    block = Block.parse("(1,7,0,0,0)")
    assert "  input -> output " in dot_drawing(block)
    assert len(ElementTree.fromstring(svg_drawing(block)).findall(f"{SVG}path")) == 1


def test_loose_ends_are_concatenated() -> None:
    block = Block.parse("(1,1,3,0,0)(2,1,1,1,0)(3,2,3,1,0)(4,7,0,0,0)")
    dot = dot_drawing(block)
    assert 'label="output: concat of 2"' in dot
    assert "  2 -> output " in dot
    assert "  3 -> output " in dot
    assert "output: concat of 2" in svg_drawing(block)


@settings(deadline=None, max_examples=30)
@given(blocks)
def test_svg_and_graphviz_draw_the_same_layout(block: Block) -> None:
    picture = block_picture(block)
    drawn = ElementTree.fromstring(svg_drawing(block))
    assert [text.text for text in drawn.findall(f"{SVG}text")] == [
        box.label for box in picture.boxes
    ]
    assert [
        (float(box.attrib["x"]), float(box.attrib["y"])) for box in drawn.findall(f"{SVG}rect")
    ] == [
        pytest.approx((box.x - box.width / 2, box.y - box.height / 2), abs=0.06)
        for box in picture.boxes
    ]
    assert [path.attrib["d"] for path in drawn.findall(f"{SVG}path")] == [
        path_data(wire.points) for wire in picture.wires
    ]
    dot = dot_drawing(block)
    centres = re.findall(r'label=.* pos="([\d.]+),([\d.]+)"', dot)
    assert [(float(x), picture.height - float(y)) for x, y in centres] == [
        pytest.approx((box.x, box.y), abs=0.06) for box in picture.boxes
    ]
    assert dot.count(" -> ") == len(picture.wires)


def test_the_title_is_the_code() -> None:
    assert ElementTree.fromstring(svg_drawing(SHORTCUT)).findtext(f"{SVG}title") == str(SHORTCUT)


@pytest.mark.parametrize("draw", [dot_drawing, svg_drawing])
def test_a_drawing_ends_with_one_newline(draw: Callable[[Block], str]) -> None:
    assert draw(SHORTCUT).endswith("\n")
    assert not draw(SHORTCUT).endswith("\n\n")
