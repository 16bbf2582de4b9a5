"""The closed forms of MACs and parameters equal what torch counts on the trainer's network."""

from random import Random

import pytest
from agent_spaces import EVERY_LAYER, make_space
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from blockqnn.network.cost import network_macs, network_parameters
from blockqnn.network.spec import NetworkSpec
from blockqnn.space.block_space import Space
from blockqnn.space.protocol import RandomStep, draw_candidate

pytest.importorskip("torch", reason="torch is not installed (extra: trainer)")

from blockqnn_trainer.network.network import build_network, count_macs, count_parameters

SPACES = [
    make_space(14),
    make_space(14, convolution="Separate"),
    make_space(14, layers=EVERY_LAYER),
]
networks = st.fixed_dictionaries(
    {
        "filters": st.lists(st.integers(1, 9), min_size=1, max_size=3),
        "repeats": st.integers(1, 3),
        "outputProjection": st.booleans(),
    }
).map(NetworkSpec.model_validate)
shapes = st.tuples(st.integers(1, 3), st.integers(4, 9), st.integers(4, 9))


@settings(deadline=None, max_examples=40)
@given(
    st.randoms(use_true_random=False),
    st.sampled_from(["TypeFirst", "Flat"]),
    networks,
    shapes,
    st.integers(2, 12),
    st.sampled_from(SPACES),
)
def test_counts_equal_those_of_torch(
    random: Random,
    step: RandomStep,
    network: NetworkSpec,
    shape: tuple[int, int, int],
    classes: int,
    space: Space,
) -> None:
    block = space.decode(draw_candidate(space, random, step))
    parameters = network_parameters(block, network, shape, classes)
    assume(parameters < 2_000_000)  # without projection, widths multiply from block to block
    built = build_network(block, network, shape, classes)
    assert count_parameters(built) == parameters
    assert count_macs(built, shape) == network_macs(block, network, shape, classes)
