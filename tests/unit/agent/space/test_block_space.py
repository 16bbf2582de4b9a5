"""The legal layers after every prefix, and how one of them is drawn."""

from collections import Counter
from random import Random

import pytest
from agent_spaces import EVERY_LAYER, make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.layer_types import PAPERS
from blockqnn.block.nsc import KERNELS, Block, Layer, LayerType
from blockqnn.errors import InvalidBlock
from blockqnn.space.protocol import RandomStep, draw_candidate, draw_part, pick

EXEMPLARS = [
    "(1,4,0,0,0)(2,1,1,1,0)(3,1,3,2,0)(4,1,1,1,0)(5,1,5,4,0)(6,6,0,3,5)(7,2,3,1,0)(8,1,1,7,0)"
    "(9,6,0,6,8)(10,7,0,0,0)",
    "(1,4,0,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,5,0,1,3)(5,7,0,0,0)",
]
PAPER = make_space(23)
randoms = st.randoms(use_true_random=False)
steps = st.sampled_from(["TypeFirst", "Flat"])


@pytest.mark.parametrize("code", EXEMPLARS)
def test_the_exemplars_of_figure_2_round_trip(code: str) -> None:
    block = Block.parse(code)
    assert str(block) == code
    assert PAPER.decode(PAPER.encode(block)) == block


@settings(deadline=None)
@given(randoms, steps, st.integers(2, 30))
def test_every_random_block_is_legal_and_round_trips(
    random: Random, step: RandomStep, limit: int
) -> None:
    space = make_space(limit)
    block = space.decode(draw_candidate(space, random, step))  # Block checks every rule of the code
    assert len(block) <= limit
    assert Block.parse(str(block)) == block
    assert space.decode(space.encode(block)) == block


SPACES = [
    (PAPERS, {1, 2, 3, 4, 5, 6, 7}),
    (EVERY_LAYER, {1, 2, 3, 4, 5, 6, 7, 11, 12, 13}),
    (("SeparableConvolution", "Concat"), {6, 7, 11}),
]


@pytest.mark.parametrize(("layers", "codes"), SPACES, ids=["papers", "every", "few"])
@pytest.mark.parametrize("index", range(1, 8))
def test_exactly_the_legal_layers_are_generated(
    index: int, layers: tuple[str, ...], codes: set[int]
) -> None:
    prefix = [Layer(before, LayerType.IDENTITY, 0, before - 1, 0) for before in range(1, index)]
    candidates = [
        Layer(index, layer_type, kernel, pred1, pred2)
        for layer_type in map(LayerType, codes)
        for kernel in KERNELS[layer_type]
        for pred1 in range(index + 1)
        for pred2 in range(index + 1)
    ]
    space = make_space(8, layers=layers)
    offered = {space.layer(number) for number in space.choices([1] * (index - 1)).numbers}
    assert offered == {layer for layer in candidates if _legal(prefix, layer)}


def _legal(prefix: list[Layer], layer: Layer) -> bool:
    end = Layer(layer.index + 1, LayerType.TERMINAL, 0, 0, 0)
    try:
        Block((*prefix, layer, *([] if layer.type is LayerType.TERMINAL else [end])))
    except InvalidBlock:
        return False
    return True


def test_the_first_layer_is_free_and_the_last_forced() -> None:
    first = {str(PAPER.layer(number)) for number in PAPER.choices(()).numbers}
    assert first == {
        *("(1,1,1,0,0)", "(1,1,3,0,0)", "(1,1,5,0,0)", "(1,2,1,0,0)", "(1,2,3,0,0)"),
        *("(1,3,1,0,0)", "(1,3,3,0,0)", "(1,4,0,0,0)", "(1,7,0,0,0)"),
    }
    assert [str(PAPER.layer(number)) for number in PAPER.choices([1] * 22).numbers] == [
        "(23,7,0,0,0)"
    ]


def test_choices_by_type_are_all_choices() -> None:
    for index in range(1, 24):
        choices = PAPER.choices([1] * (index - 1))
        assert [number for numbers in choices.by_type for number in numbers] == [*choices.numbers]
        for numbers in choices.by_type:
            assert len({PAPER.layer(number).type for number in numbers}) == 1


@pytest.mark.parametrize(("step", "share"), [("TypeFirst", 1 / 7), ("Flat", 1 / 31)])
def test_how_likely_a_random_layer_is_the_terminal(step: RandomStep, share: float) -> None:
    # At index 4: 3 x 8 layers of one predecessor, 3 adds, 3 concats, the terminal: 31 layers.
    choices = PAPER.choices([1] * 3)
    assert len(choices) == 31
    random = Random(0)
    drawn = Counter(draw_part(choices, random, step) for _ in range(20_000))
    assert drawn[choices.by_type[-1][0]] / 20_000 == pytest.approx(share, rel=0.1)
    assert set(drawn) == set(choices.numbers)


def test_a_block_of_a_larger_space_is_refused() -> None:
    space = make_space(4)
    with pytest.raises(InvalidBlock, match=r"has 5 layers.*maxLayers 4"):
        space.encode(Block.parse(EXEMPLARS[1]))


def test_what_a_seed_draws_never_changes() -> None:
    simple = PAPER.decode(draw_candidate(PAPER, Random("0:5"), "TypeFirst"))
    assert str(simple) == "(1,2,1,0,0)(2,4,0,1,0)(3,3,3,2,0)(4,7,0,0,0)"
    flat = PAPER.decode(draw_candidate(PAPER, Random("0:2"), "Flat"))
    assert str(flat) == (
        "(1,2,3,0,0)(2,1,1,1,0)(3,4,0,1,0)(4,2,1,3,0)(5,2,3,2,0)(6,3,3,4,0)(7,2,3,4,0)"
        "(8,1,1,1,0)(9,7,0,0,0)"
    )
    assert [pick(range(100), Random(seed)) for seed in range(5)] == [84, 13, 95, 23, 23]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), steps, st.integers(2, 12))
def test_blocks_start_with_an_identity_where_they_must(
    seed: int, step: RandomStep, limit: int
) -> None:
    random = Random(seed)
    space = make_space(limit, startWithIdentity=True)
    candidate = draw_candidate(space, random, step)
    mutant = space.mutate(candidate, random)
    for variant in (candidate, mutant):
        assert str(space.decode(variant)).startswith("(1,4,0,0,0)")
        for position, number in enumerate(variant):
            prefix = variant[:position]
            actions = space.abstract_actions(space.state(prefix))
            assert space.abstract_action(prefix, number) in actions
            assert all(
                space.abstract_action(prefix, other) in actions
                for other in space.choices(prefix).numbers
            )


def test_another_first_layer_is_refused_where_blocks_start_with_an_identity() -> None:
    space = make_space(4, startWithIdentity=True)
    with pytest.raises(InvalidBlock, match=r"starts with \(1,1,3,0,0\).*startWithIdentity"):
        space.encode(Block.parse("(1,1,3,0,0)(2,7,0,0,0)"))
