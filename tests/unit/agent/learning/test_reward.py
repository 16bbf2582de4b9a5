"""The redefined reward, worked out by hand."""

from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.nsc import Block
from blockqnn.learning.reward import floor_reward, redefined_reward
from blockqnn.network.spec import NetworkSpec
from blockqnn.settings.search import RewardSettings

PAPER = RewardSettings(macs_weight=1, density_weight=8)
NETWORK = NetworkSpec(filters=(32, 64, 128), repeats=4, output_projection=True)
SHORTCUT = Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,5,0,1,3)(5,7,0,0,0)")
CHAIN = Block.parse("(1,1,1,0,0)(2,7,0,0,0)")


def test_the_shortcut_block_by_hand() -> None:
    # Two 3x3 convolutions of 32 channels are 18 times a 1x1; 5 edges over 4 nodes.
    # 100 x 0.5 - 1 x ln 18 - 8 x ln 1.25 = 50 - 2.8904 - 1.7851 = 45.3245
    assert redefined_reward(SHORTCUT, 0.5, PAPER, NETWORK) == pytest.approx(45.3245, abs=1e-4)
    assert floor_reward(SHORTCUT, PAPER, NETWORK) == pytest.approx(-4.6755, abs=1e-4)


def test_the_output_projection_costs_where_there_is_one() -> None:
    # A 1x1 convolution and its input, side by side: the projection from 64 to 32 is 2 units more.
    wide = Block.parse("(1,4,0,0,0)(2,1,1,1,0)(3,4,0,1,0)(4,7,0,0,0)")
    literal = NETWORK.model_copy(update={"output_projection": False})
    only_macs = RewardSettings(macs_weight=1, density_weight=0)
    assert redefined_reward(wide, 0, only_macs, NETWORK) == pytest.approx(-log(3))
    assert redefined_reward(wide, 0, only_macs, literal) == 0


@pytest.mark.parametrize(
    "code", ["(1,7,0,0,0)", "(1,2,3,0,0)(2,7,0,0,0)", "(1,1,1,0,0)(2,7,0,0,0)"]
)
def test_no_convolution_costs_as_much_as_the_smallest(code: str) -> None:
    assert redefined_reward(Block.parse(code), 0.25, PAPER, NETWORK) == 25


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(-10, 10), st.floats(-10, 10))
def test_weights_are_signed(accuracy: float, macs_weight: float, density_weight: float) -> None:
    settings = RewardSettings(macs_weight=macs_weight, density_weight=density_weight)
    reward = redefined_reward(SHORTCUT, accuracy, settings, NETWORK)
    expected = 100 * accuracy - macs_weight * log(18) - density_weight * log(1.25)
    assert reward == pytest.approx(expected)


@settings(deadline=None)
@given(st.integers(1, 512))
def test_the_unit_takes_the_width_out(width: int) -> None:
    network = NETWORK.model_copy(update={"filters": (width,)})
    assert redefined_reward(SHORTCUT, 0.5, PAPER, network) == pytest.approx(
        redefined_reward(SHORTCUT, 0.5, PAPER, NETWORK)
    )
