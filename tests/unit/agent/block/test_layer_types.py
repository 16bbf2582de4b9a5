"""Types of layers besides the papers', and fewer of them: `space.layers`."""

from random import Random
from typing import Any

import pytest
from agent_spaces import EVERY_LAYER, assert_abstract_actions_are_groups, make_space, space_settings
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from blockqnn.block.dot_drawing import dot_drawing
from blockqnn.block.graph import canonical_hash, density
from blockqnn.block.layer_types import PAPERS, check_layers, types_of
from blockqnn.block.nsc import Block, LayerType
from blockqnn.block.svg_drawing import svg_drawing
from blockqnn.block.text_drawing import text_drawing
from blockqnn.errors import InvalidBlock, InvalidSettings
from blockqnn.network.cost import block_macs, body_cost
from blockqnn.network.spec import NetworkSpec
from blockqnn.search import Experience, Search, SearchSettings
from blockqnn.settings.presets import PRESETS
from blockqnn.space.features import encode_block
from blockqnn.space.protocol import RandomStep, draw_candidate
from blockqnn.strategies.registry import BUILT_IN

NEW = {LayerType.SEPARABLE_CONVOLUTION, LayerType.BOTTLENECK, LayerType.PREVIOUS_INPUT}
ALL_NEW = Block.parse("(1,12,1,0,0)(2,11,3,1,0)(3,13,0,0,0)(4,5,0,2,3)(5,7,0,0,0)")
"""A bottleneck, a separable convolution of it, and the previous block's input added to that."""

randoms = st.randoms(use_true_random=False)
steps = st.sampled_from(["TypeFirst", "Flat"])
some_layers = st.lists(st.sampled_from(EVERY_LAYER), min_size=1, unique=True)


def test_a_space_has_the_papers_types_unless_it_is_told_otherwise() -> None:
    assert [int(layer_type) for layer_type in types_of(PAPERS, "PCC")] == [1, 2, 3, 4, 5, 6, 7]
    assert [int(layer_type) for layer_type in types_of(PAPERS, "Separate")] == [
        8,
        9,
        10,
        2,
        3,
        4,
        5,
        6,
        7,
    ]
    assert all(tuple(PRESETS[name]["space"]["layers"]) == PAPERS for name in PRESETS)
    drawn = {layer.type for seed in range(200) for layer in drawn_block(PAPERS, seed)}
    assert drawn == set(types_of(PAPERS, "PCC"))


def drawn_block(layers: tuple[str, ...], seed: int) -> Block:
    return make_space(12, layers=layers).random_block(Random(seed), "TypeFirst")


def test_the_order_in_which_layers_are_named_means_nothing() -> None:
    turned = make_space(9, layers=EVERY_LAYER[::-1])
    space = make_space(9, layers=EVERY_LAYER)
    for seed in range(20):
        blocks = [
            either_space.random_block(Random(seed), "Flat") for either_space in (space, turned)
        ]
        assert blocks[0] == blocks[1]
        assert space.encode(blocks[0]) == turned.encode(blocks[0])


@settings(max_examples=60)
@given(randoms, steps, some_layers, st.integers(2, 12), st.booleans())
def test_every_block_has_the_layers_of_its_space_and_mutates_within_it(
    random: Random, step: RandomStep, layers: list[Any], limit: int, identity: bool
) -> None:
    try:
        check_layers(layers, "PCC", identity)
    except InvalidSettings:
        assume(False)
    space = make_space(limit, layers=layers, startWithIdentity=identity)
    candidate = draw_candidate(space, random, step)
    for _ in range(5):
        block = space.decode(candidate)  # Block checks every rule of the code
        assert Block.parse(str(block)) == block
        assert space.encode(block) == candidate
        assert {layer.type for layer in block} <= set(types_of(layers, "PCC"))
        assert_abstract_actions_are_groups(space, candidate, random)
        candidate = space.mutate(candidate, random)


def test_mutation_reaches_every_small_block_of_all_layers() -> None:
    space = make_space(4, layers=("SeparableConvolution", "Identity", "Add", "PreviousInput"))
    random = Random(0)
    candidate = space.encode(Block.parse("(1,7,0,0,0)"))
    reached = {candidate}
    for _ in range(5_000):
        changed = space.mutate(candidate, random)
        assert changed != candidate
        candidate = changed
        reached.add(candidate)
    # Three layers of one predecessor; the previous input has none and cannot come first.
    ones, twos = 3, 3 * (3 + 1)
    assert len(reached) == 1 + ones + twos + twos * (2 * 3 + 1 + 1)


@pytest.mark.parametrize("algorithm", sorted(BUILT_IN))
@pytest.mark.parametrize("preset", ["CVPR2018", "Efficient"])
def test_every_strategy_proposes_them_and_recovers(algorithm: str, preset: str) -> None:
    chosen = SearchSettings.model_validate(
        {
            "space": space_settings(8, layers=EVERY_LAYER),
            "agent": {
                **PRESETS[preset]["agent"],
                "algorithm": algorithm,
                "predictor": None,
                "batchSize": 8,
                "epsilonSchedule": [
                    {"epsilon": 1, "iterations": 2},
                    {"epsilon": 0.1, "iterations": 4},
                ],
                "evolution": {"populationSize": 10, "sampleSize": 3},
            },
            "reward": PRESETS[preset]["reward"],
            "network": PRESETS[preset]["network"],
        }
    )
    search = Search(chosen, 3)
    history: list[Experience] = []
    for iteration in range(6):
        batch = [
            Experience(
                proposal.trial,
                proposal.block,
                float(sum(layer.type in NEW for layer in proposal.block)),
            )
            for proposal in search.proposals(iteration)
        ]
        search.learn(batch)
        history += batch
    assert {layer.type for experience in history for layer in experience.block} >= NEW
    assert Search.recover(chosen, 3, history).proposals(6) == search.proposals(6)


def test_a_block_of_a_space_with_other_layers_is_refused() -> None:
    with pytest.raises(
        InvalidBlock, match=r"has the layer \(1,12,1,0,0\).*layers Convolution, Max"
    ):
        make_space(8).encode(ALL_NEW)
    with pytest.raises(
        InvalidBlock, match=r"has the layer \(1,2,3,0,0\).*layers Convolution, Add,"
    ):
        make_space(8, layers=("Convolution", "Add")).encode(Block.parse("(1,2,3,0,0)(2,7,0,0,0)"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("(1,13,0,0,0)(2,7,0,0,0)", r"\(1,13,0,0,0\) is the previous block's input; layer 1 must"),
        ("(1,4,0,0,0)(2,13,0,1,0)(3,7,0,0,0)", "previous input layer does not have; it has 0"),
        ("(1,11,1,0,0)(2,7,0,0,0)", "separable convolution layer has kernel 3 or 5"),
        ("(1,12,3,0,0)(2,7,0,0,0)", "bottleneck layer has kernel 1"),
        ("(1,14,0,0,0)(2,7,0,0,0)", r"unknown type 14; .* 13 \(previous input\)"),
    ],
)
def test_what_is_no_such_layer_is_refused(code: str, said: str) -> None:
    with pytest.raises(InvalidBlock, match=said):
        Block.parse(code)


@pytest.mark.parametrize(
    ("layers", "convolution", "identity", "said"),
    [
        (["Add", "Convolution", "Add"], "PCC", False, "names Add twice; name each type once"),
        (["Identity", "Concat"], "PCC", False, "no convolution .* only Identity, Concat, .* add "),
        (["Bottleneck"], "PCC", False, "no convolution to the width of a stage, only Bottleneck"),
        (EVERY_LAYER, "Separate", False, "SeparableConvolution and Bottleneck out, or set"),
        (["Convolution", "Bottleneck"], "Separate", False, "leave Bottleneck out"),
        (["Convolution"], "PCC", True, "no Identity, but with space.startWithIdentity"),
    ],
)
def test_layers_that_make_no_space_are_refused(
    layers: list[Any], convolution: Any, identity: bool, said: str
) -> None:
    with pytest.raises(InvalidSettings, match=said):
        check_layers(layers, convolution, identity)
    preset = PRESETS["CVPR2018"]
    space = space_settings(5, layers=layers, convolution=convolution, startWithIdentity=identity)
    chosen = {name: preset[name] for name in ("agent", "reward", "network")}
    with pytest.raises(InvalidSettings, match=said):
        Search(SearchSettings.model_validate({**chosen, "space": space}), 0)


def test_separate_layers_go_with_the_previous_input_and_without_pooling() -> None:
    layers = ("Convolution", "Identity", "Add", "PreviousInput")
    check_layers(layers, "Separate", True)  # type: ignore[arg-type]
    space = make_space(9, layers=layers, convolution="Separate")
    drawn = {layer.type for seed in range(50) for layer in space.random_block(Random(seed), "Flat")}
    assert {int(layer_type) for layer_type in drawn} == {4, 5, 7, 8, 9, 10, 13}


@pytest.mark.parametrize(
    ("code", "other", "same"),
    [
        # The previous block's input is one value, however often it is named.
        (
            "(1,4,0,0,0)(2,13,0,0,0)(3,13,0,0,0)(4,1,3,2,0)(5,1,5,3,0)(6,7,0,0,0)",
            "(1,4,0,0,0)(2,13,0,0,0)(3,1,3,2,0)(4,1,5,2,0)(5,7,0,0,0)",
            True,
        ),
        ("(1,4,0,0,0)(2,13,0,0,0)(3,7,0,0,0)", "(1,4,0,0,0)(2,4,0,1,0)(3,7,0,0,0)", False),
        (
            "(1,4,0,0,0)(2,13,0,0,0)(3,4,0,2,0)(4,7,0,0,0)",
            "(1,4,0,0,0)(2,13,0,0,0)(3,7,0,0,0)",
            True,
        ),
        ("(1,11,3,0,0)(2,7,0,0,0)", "(1,1,3,0,0)(2,7,0,0,0)", False),
        ("(1,12,1,0,0)(2,7,0,0,0)", "(1,1,1,0,0)(2,7,0,0,0)", False),
    ],
)
def test_what_is_the_same_network(code: str, other: str, same: bool) -> None:
    hashes = {canonical_hash(Block.parse(code)), canonical_hash(Block.parse(other))}
    assert (len(hashes) == 1) is same


def test_hashes_of_the_new_types_are_stored_and_so_never_change() -> None:
    assert canonical_hash(ALL_NEW) == "a16ccc94bcbf787f"


def test_the_cost_of_a_block_counted_by_hand() -> None:
    # 16 to 4 channels; 3x3 for each of 4 channels, then 4 to 16; nothing to add 16 to 16.
    assert block_macs(ALL_NEW, 16) == 16 * 4 + 9 * 4 + 4 * 16
    assert block_macs(Block.parse("(1,12,1,0,0)(2,7,0,0,0)"), 3) == 3  # at least one channel


def test_a_network_of_previous_inputs_counted_by_hand() -> None:
    network = NetworkSpec(filters=(4, 8), repeats=2, output_projection=True)
    block = Block.parse("(1,1,1,0,0)(2,13,0,0,0)(3,6,0,1,2)(4,7,0,0,0)")
    # Stem 4 wide, stages of 4, 4, 8, 8; the previous inputs are 4, 4, 4 and 4 wide.
    convolutions = 4 * 4, 4 * 4, 4 * 8, 8 * 8
    projections = (4 + 4) * 4, (4 + 4) * 4, (8 + 4) * 8, (8 + 4) * 8
    norms = 2 * (4 + 2 * 2 * 4 + 2 * 2 * 8)
    parameters, macs = body_cost(block.body, network, (3, 6, 6), 10)
    weights = 27 * 4 + sum(convolutions) + sum(projections)
    assert parameters == weights + norms + 9 * 10
    first = 27 * 4 + sum(convolutions[:2]) + sum(projections[:2])
    assert macs == 36 * first + 9 * (weights - first) + 8 * 10


def test_density_counts_the_previous_input_like_an_identity_of_it() -> None:
    # Edges: into 1, 2, 3, one into the previous input, two into the add; nodes: 1 to 4.
    assert density(ALL_NEW) == (1 + 1 + 1 + 2) / 4


def test_what_is_predicted_from() -> None:
    encoded = encode_block(ALL_NEW, None, None)
    assert {name[1:]: value for name, value in encoded.items() if name[0] == "edge"} == {
        ((0, 0), (12, 1)): 1.0,
        ((12, 1), (11, 3)): 1.0,
        ((11, 3), (5, 0)): 1.0,
        ((13, 0), (5, 0)): 1.0,
    }
    assert encoded["depth",] == 2.0  # three layers
    assert encoded["convolutions",] == pytest.approx(1.584962500721156)  # two of them


TEXT = """\
○        input
●     1  bottleneck 1x1
●     2  sep conv 3x3    of 1
│ ●   3  previous input
●─┘   4  add             of 2 and 3
○        output"""


def test_they_are_drawn() -> None:
    assert text_drawing(ALL_NEW) == TEXT
    dot = dot_drawing(ALL_NEW)
    assert '3 [label="3: previous input"' in dot
    assert "-> 3 " not in dot
    assert "  3 -> 4 " in dot
    assert "2: sep conv 3x3" in svg_drawing(ALL_NEW)


@given(randoms, steps)
def test_every_block_can_be_drawn(random: Random, step: RandomStep) -> None:
    block = make_space(23, layers=EVERY_LAYER).random_block(random, step)
    lines = text_drawing(block).split("\n")
    assert len(lines) == len(block.body) + 2
    assert svg_drawing(block).count("<rect") == len(block) + 1
    assert dot_drawing(block).count("->") == len(block.loose_ends) + sum(
        len(layer.predecessors) for layer in block.body
    )
