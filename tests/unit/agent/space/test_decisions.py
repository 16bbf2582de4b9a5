"""Abstract actions and states: the decisions of a block in terms that generalise."""

from collections import Counter
from random import Random

from agent_spaces import assert_abstract_actions_are_groups, make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.nsc import Block
from blockqnn.space.decisions import LAST, LOOSE, USED
from blockqnn.space.protocol import RandomStep, draw_candidate

SPACE = make_space(8)


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(["TypeFirst", "Flat"]))
def test_the_abstract_actions_are_the_groups_of_the_legal_layers(
    random: Random, step: RandomStep
) -> None:
    candidate = draw_candidate(SPACE, random, step)
    assert_abstract_actions_are_groups(SPACE, candidate, random)


def test_a_layer_of_an_abstract_action_is_drawn_evenly() -> None:
    block = Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,1,3,1,0)(4,1,3,1,0)(5,7,0,0,0)")
    prefix = SPACE.encode(block)[:-1]
    random = Random(0)
    concat = Counter(SPACE.draw(prefix, (6, 0, (LOOSE, LOOSE)), random) for _ in range(100))
    assert [str(SPACE.layer(number)) for number in concat] == ["(5,6,0,2,3)"]
    pools = Counter(SPACE.draw(prefix, (2, 3, (LOOSE,)), random) for _ in range(2000))
    assert sorted(str(SPACE.layer(number)) for number in pools) == ["(5,2,3,2,0)", "(5,2,3,3,0)"]
    assert all(900 < count < 1100 for count in pools.values())
    assert str(SPACE.layer(SPACE.draw(prefix, (5, 0, (LAST, USED)), random))) == "(5,5,0,1,4)"
