"""ReLU, convolution and batch norm as separate layers: codes, folding, costs, proposals."""

from random import Random

import pytest
from agent_spaces import COLOUR, make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.dot_drawing import dot_drawing
from blockqnn.block.graph import canonical_hash, density, fold
from blockqnn.block.layer_types import PAPERS, types_of
from blockqnn.block.nsc import Block, LayerType
from blockqnn.block.svg_drawing import svg_drawing
from blockqnn.block.text_drawing import text_drawing
from blockqnn.errors import InvalidBlock
from blockqnn.network.cost import body_cost
from blockqnn.network.spec import NetworkSpec
from blockqnn.space.protocol import RandomStep, draw_candidate

SEPARATE = make_space(convolution="Separate")
CELL = Block.parse("(1,1,3,0,0)(2,7,0,0,0)")
THREE = Block.parse("(1,9,0,0,0)(2,8,3,1,0)(3,10,0,2,0)(4,7,0,0,0)")
randoms = st.randoms(use_true_random=False)
steps = st.sampled_from(["TypeFirst", "Flat"])


def test_the_codes_of_the_two_spaces_differ_in_the_convolution_alone() -> None:
    cells, separate = set(types_of(PAPERS, "PCC")), set(types_of(PAPERS, "Separate"))
    assert cells - separate == {LayerType.CONVOLUTION}
    assert {int(layer_type) for layer_type in separate - cells} == {8, 9, 10}


@settings(max_examples=30)
@given(randoms, steps)
def test_every_separate_block_is_legal_and_mutates_within_its_space(
    random: Random, step: RandomStep
) -> None:
    candidate = draw_candidate(SEPARATE, random, step)
    for variant in (candidate, SEPARATE.mutate(candidate, random)):
        block = SEPARATE.decode(variant)
        assert Block.parse(str(block)) == block
        assert SEPARATE.encode(block) == variant
        assert {layer.type for layer in block} <= set(types_of(PAPERS, "Separate"))
    for position, number in enumerate(candidate):
        prefix = candidate[:position]
        actions = SEPARATE.abstract_actions(SEPARATE.state(prefix))
        assert SEPARATE.abstract_action(prefix, number) in actions
        drawn = SEPARATE.draw(prefix, actions[0], random)
        assert SEPARATE.abstract_action(prefix, drawn) == actions[0]


@pytest.mark.parametrize(
    ("convolution", "block", "layer"),
    [("PCC", THREE, "1,9,0,0,0"), ("Separate", CELL, "1,1,3,0,0")],
)
def test_a_block_of_the_other_space_is_refused(convolution: str, block: Block, layer: str) -> None:
    space = make_space(convolution=convolution)
    with pytest.raises(
        InvalidBlock, match=rf"has the layer \({layer}\).*convolution {convolution}"
    ):
        space.encode(block)


def test_the_three_layers_cost_what_the_cell_costs_and_are_denser_drawn() -> None:
    network = NetworkSpec(filters=(4, 8), repeats=2, output_projection=True)
    costs = [body_cost(block.body, network, COLOUR.size, COLOUR.classes) for block in (CELL, THREE)]
    assert costs[0] == costs[1]
    assert density(THREE) == 1
    assert canonical_hash(THREE) != canonical_hash(CELL)


def test_a_batch_norm_has_a_scale_and_a_shift_for_each_channel() -> None:
    network = NetworkSpec(filters=(4,), repeats=1, output_projection=False)
    norms = Block.parse("(1,10,0,0,0)(2,10,0,1,0)(3,6,0,1,2)(4,10,0,3,0)(5,7,0,0,0)")
    without = body_cost((), network, COLOUR.size, COLOUR.classes)
    # 4, 4 and 8 channels; the output is 8 wide instead of 4, which the classifier pays for.
    parameters, macs = body_cost(norms.body, network, COLOUR.size, COLOUR.classes)
    assert parameters - without.parameters == 2 * (4 + 4 + 8) + 4 * COLOUR.classes
    assert macs - without.macs == 4 * COLOUR.classes


@pytest.mark.parametrize(
    ("code", "other", "same"),
    [
        ("(1,9,0,0,0)(2,9,0,1,0)(3,7,0,0,0)", "(1,9,0,0,0)(2,7,0,0,0)", True),
        ("(1,9,0,0,0)(2,4,0,1,0)(3,9,0,2,0)(4,7,0,0,0)", "(1,9,0,0,0)(2,7,0,0,0)", True),
        ("(1,10,0,0,0)(2,10,0,1,0)(3,7,0,0,0)", "(1,10,0,0,0)(2,7,0,0,0)", False),
        (
            "(1,9,0,0,0)(2,8,1,1,0)(3,9,0,2,0)(4,7,0,0,0)",
            "(1,9,0,0,0)(2,8,1,1,0)(3,7,0,0,0)",
            False,
        ),
        ("(1,9,0,0,0)(2,7,0,0,0)", "(1,7,0,0,0)", False),
    ],
)
def test_only_a_relu_of_a_relu_does_nothing(code: str, other: str, same: bool) -> None:
    assert (canonical_hash(Block.parse(code)) == canonical_hash(Block.parse(other))) is same


def test_operations_of_all_types_have_different_labels() -> None:
    block = Block.parse(
        "(1,9,0,0,0)(2,10,0,1,0)(3,8,1,2,0)(4,8,3,3,0)(5,8,5,4,0)(6,1,1,5,0)(7,7,0,0,0)"
    )
    assert len(set(fold(block).labels)) == 7


def test_a_separate_block_is_drawn() -> None:
    assert text_drawing(THREE) == (
        "○      input\n●   1  ReLU\n●   2  conv 3x3      of 1\n●   3  batch norm    of 2\n"
        "○      output"
    )
    assert '3 [label="3: batch norm", fillcolor="#ccece6"' in dot_drawing(THREE)
    assert "2: conv 3x3" in svg_drawing(THREE)
