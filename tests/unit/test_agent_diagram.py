"""A block in the language of Graphviz and as SVG."""

import xml.etree.ElementTree as ElementTree
from random import Random

import pytest
from agent_spaces import make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.nsc import Block
from blockqnn.block.svg_drawing import dot_drawing, svg_drawing

SHORTCUT = Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,5,0,1,3)(5,7,0,0,0)")
SVG = "{http://www.w3.org/2000/svg}"


def test_the_shortcut_of_figure_2_in_the_language_of_graphviz() -> None:
    assert dot_drawing(SHORTCUT) == (
        "digraph block {\n"
        '  node [shape=box, style="rounded,filled", fontname="sans-serif"];\n'
        '  input [shape=oval, fillcolor="#ffffff"];\n'
        '  1 [label="1: identity", fillcolor="#f0f0f0"];\n'
        '  2 [label="2: conv 3x3", fillcolor="#c6dbef"];\n'
        '  3 [label="3: conv 3x3", fillcolor="#c6dbef"];\n'
        '  4 [label="4: add", fillcolor="#c7e9c0"];\n'
        '  output [shape=oval, label="output", fillcolor="#ffffff"];\n'
        "  input -> 1;\n"
        "  1 -> 2;\n"
        "  2 -> 3;\n"
        "  1 -> 4;\n"
        "  3 -> 4;\n"
        "  4 -> output;\n"
        "}\n"
    )


def test_a_terminal_alone_joins_input_and_output() -> None:
    block = Block.parse("(1,7,0,0,0)")
    assert "  input -> output;\n" in dot_drawing(block)
    assert len(ElementTree.fromstring(svg_drawing(block)).findall(f"{SVG}path")) == 1


def test_loose_ends_are_concatenated() -> None:
    block = Block.parse("(1,1,3,0,0)(2,1,1,1,0)(3,2,3,1,0)(4,7,0,0,0)")
    dot = dot_drawing(block)
    assert 'label="output: concat of 2"' in dot
    assert "  2 -> output;\n  3 -> output;\n" in dot
    assert "output: concat of 2" in svg_drawing(block)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from(["TypeFirst", "Flat"]))
def test_every_block_is_a_picture_of_boxes_that_do_not_overlap(seed: int, step: str) -> None:
    space = make_space(23)
    block = space.random_block(Random(seed), "Flat" if step == "Flat" else "TypeFirst")
    picture = ElementTree.fromstring(svg_drawing(block))
    boxes = [
        (float(box.attrib["x"]), float(box.attrib["y"])) for box in picture.findall(f"{SVG}rect")
    ]
    assert len(boxes) == len(block) + 1
    edges = sum(len(layer.predecessors) for layer in block.body) + len(block.loose_ends)
    assert len(picture.findall(f"{SVG}path")) == edges
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    for number, (x, y) in enumerate(boxes):
        assert 0 <= x <= width - 116
        assert 0 <= y <= height - 28
        for other_x, other_y in boxes[:number]:
            assert abs(x - other_x) >= 116 or abs(y - other_y) >= 28
    assert dot_drawing(block).count(" -> ") == edges


def test_each_layer_stands_below_its_sources() -> None:
    picture = ElementTree.fromstring(svg_drawing(SHORTCUT))
    heights = [float(box.attrib["y"]) for box in picture.findall(f"{SVG}rect")]
    assert heights == sorted(heights)
    assert len(set(heights)) == len(heights)
    assert picture.findtext(f"{SVG}title") == str(SHORTCUT)


@pytest.mark.parametrize("draw", [dot_drawing, svg_drawing])
def test_a_drawing_ends_with_one_newline(draw: object) -> None:
    assert callable(draw)
    assert draw(SHORTCUT).endswith("\n")
    assert not draw(SHORTCUT).endswith("\n\n")
