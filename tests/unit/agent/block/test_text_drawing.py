"""Pictures of blocks, held as they were judged good by eye."""

from random import Random

from agent_spaces import make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.nsc import Block
from blockqnn.block.text_drawing import text_drawing
from blockqnn.space.protocol import RandomStep, draw_candidate

MULTI_BRANCH = """\
○          input
●       1  identity
├─●     2  conv 1x1      of 1
│ ●     3  conv 3x3      of 2
├─│─●   4  conv 1x1      of 1
│ │ ●   5  conv 5x5      of 4
│ ●─┘   6  concat        of 3 and 5
● │     7  max pool 3x3  of 1
● │     8  conv 1x1      of 7
●─┘     9  concat        of 6 and 8
○          output"""

LOOSE_ENDS = """\
○          input
●       1  max pool 3x3
├─●     2  max pool 3x3  of 1
●─┤     3  add           of 1 and 2
│ ├─●   4  conv 5x5      of 2
│ ● │   5  max pool 1x1  of 2
○─┴─┘      output        concat of 3, 4 and 5"""


def test_the_multi_branch_exemplar() -> None:
    block = Block.parse(
        "(1,4,0,0,0)(2,1,1,1,0)(3,1,3,2,0)(4,1,1,1,0)(5,1,5,4,0)(6,6,0,3,5)(7,2,3,1,0)(8,1,1,7,0)"
        "(9,6,0,6,8)(10,7,0,0,0)"
    )
    assert text_drawing(block) == MULTI_BRANCH


def test_loose_ends_meet_in_the_output() -> None:
    block = Block.parse("(1,2,3,0,0)(2,2,3,1,0)(3,5,0,1,2)(4,1,5,2,0)(5,2,1,2,0)(6,7,0,0,0)")
    assert text_drawing(block) == LOOSE_ENDS


def test_a_terminal_alone_leads_the_input_to_the_output() -> None:
    assert text_drawing(Block.parse("(1,7,0,0,0)")) == "○      input\n○      output"


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(["TypeFirst", "Flat"]))
def test_every_block_has_one_line_for_each_layer_and_fits(random: Random, step: RandomStep) -> None:
    space = make_space(23)
    block = space.decode(draw_candidate(space, random, step))
    lines = text_drawing(block).split("\n")
    assert len(lines) == len(block.body) + 2
    assert max(len(line) for line in lines) <= 80
    assert all(line == line.rstrip() for line in lines)
    for layer, line in zip(block.body, lines[1:-1], strict=True):
        assert f" {layer.index}  " in line
        assert line.count("●") == 1
