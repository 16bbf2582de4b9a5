"""Calibration of a reward by finalists: rank correlations, fitted weights and their signs."""

from math import log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockqnn.block.graph import density
from blockqnn.block.nsc import Block
from blockqnn.errors import InvalidSettings
from blockqnn.learning.calibration import LEAST, Finalist, calibrate, rank_correlation
from blockqnn.network.cost import block_macs
from blockqnn.network.spec import NetworkSpec
from blockqnn.settings.search import RewardSettings

NETWORK = NetworkSpec(filters=(32, 64), repeats=1, output_projection=True)
PAPER = RewardSettings(macs_weight=1.0, density_weight=8.0)
BLOCKS = [
    Block.parse(code)
    for code in (
        "(1,1,1,0,0)(2,7,0,0,0)",
        "(1,1,3,0,0)(2,7,0,0,0)",
        "(1,1,5,0,0)(2,7,0,0,0)",
        "(1,1,3,0,0)(2,1,3,1,0)(3,7,0,0,0)",
        "(1,1,3,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,7,0,0,0)",
        "(1,4,0,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,5,0,1,3)(5,7,0,0,0)",
        "(1,1,3,0,0)(2,1,3,1,0)(3,5,0,1,2)(4,7,0,0,0)",
        "(1,1,3,0,0)(2,1,1,1,0)(3,6,0,1,2)(4,7,0,0,0)",
        "(1,1,5,0,0)(2,1,5,1,0)(3,5,0,1,2)(4,1,5,3,0)(5,7,0,0,0)",
        "(1,4,0,0,0)(2,1,3,1,0)(3,1,1,1,0)(4,1,5,1,0)(5,7,0,0,0)",
        "(1,1,3,0,0)(2,2,3,1,0)(3,6,0,1,2)(4,1,1,3,0)(5,5,0,3,4)(6,7,0,0,0)",
        "(1,1,1,0,0)(2,1,3,1,0)(3,1,5,1,0)(4,6,0,2,3)(5,7,0,0,0)",
    )
]


def costs(block: Block) -> tuple[float, float]:
    return log(block_macs(block, 32, True) / 32**2), log(density(block))


def finalists_of(macs_weight: float, density_weight: float, noise: float = 0.0) -> list[Finalist]:
    """Blocks whose converged accuracy is a reward with these weights, up to scale and noise."""
    random = Random(1)
    finalists = []
    for block in BLOCKS:
        early = random.uniform(0.5, 0.6)
        macs, dense = costs(block)
        reward = 100 * early - macs_weight * macs - density_weight * dense
        converged = 0.3 + 0.8 * reward / 100 + random.gauss(0, noise)
        finalists.append(Finalist(block, early, converged))
    return finalists


@pytest.mark.parametrize("weights", [(1.0, 8.0), (-4.0, 0.5), (0.3, -6.0)])
def test_weights_that_made_the_accuracies_are_found_with_their_signs(
    weights: tuple[float, float],
) -> None:
    calibration = calibrate(finalists_of(*weights), PAPER, NETWORK)
    assert calibration.macs is not None
    assert calibration.density is not None
    assert (calibration.macs.value, calibration.density.value) == pytest.approx(weights)
    assert calibration.macs.sign == (1 if weights[0] > 0 else -1)
    assert calibration.density.sign == (1 if weights[1] > 0 else -1)
    assert calibration.fitted_correlation == pytest.approx(1)
    assert calibration.note == ""


def test_the_reward_of_the_search_is_judged_as_it_was() -> None:
    right = calibrate(finalists_of(1.0, 8.0), PAPER, NETWORK)
    assert right.reward_correlation == pytest.approx(1)
    assert right.early_correlation < 1
    wrong = calibrate(finalists_of(-4.0, -8.0), PAPER, NETWORK)
    assert wrong.reward_correlation < wrong.early_correlation


def test_among_noise_the_sign_is_left_open() -> None:
    calibration = calibrate(finalists_of(0.0, 0.0, noise=0.02), PAPER, NETWORK)
    assert calibration.macs is not None
    assert calibration.density is not None
    assert calibration.macs.low < 0 < calibration.macs.high
    assert (calibration.macs.sign, calibration.density.sign) == (0, 0)


def test_the_same_finalists_give_the_same_result() -> None:
    finalists = finalists_of(1.0, 8.0, noise=0.01)
    assert calibrate(finalists, PAPER, NETWORK) == calibrate(finalists, PAPER, NETWORK)


def test_no_fit_is_made_where_there_is_none() -> None:
    against = [
        Finalist(finalist.block, finalist.early, 1 - finalist.early)
        for finalist in finalists_of(0.0, 0.0)
    ]
    calibration = calibrate(against, PAPER, NETWORK)
    assert calibration.early_correlation == pytest.approx(-1)
    assert (calibration.macs, calibration.density, calibration.fitted_correlation) == (
        None,
        None,
        None,
    )
    assert (
        "a better early accuracy does not go with a better converged accuracy" in calibration.note
    )
    alike = [Finalist(BLOCKS[0], 0.5 + i / 100, 0.6 + i / 100) for i in range(LEAST)]
    assert "do not vary independently" in calibrate(alike, PAPER, NETWORK).note


def test_too_few_finalists_are_refused() -> None:
    few = finalists_of(1.0, 8.0)[: LEAST - 1]
    with pytest.raises(InvalidSettings, match=r"There are 7 finalists .* Raise finalists.count"):
        calibrate(few, PAPER, NETWORK)


NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20)


@given(st.data())
def test_a_rank_correlation_depends_on_the_order_alone(data: st.DataObject) -> None:
    first = data.draw(NUMBERS)
    second = data.draw(st.lists(st.floats(-10, 10), min_size=len(first), max_size=len(first)))
    correlation = rank_correlation(first, second)
    assert -1 - 1e-9 <= correlation <= 1 + 1e-9
    assert rank_correlation(second, first) == pytest.approx(correlation)
    ranks = [sorted(set(second)).index(value) for value in second]
    assert rank_correlation(first, ranks) == pytest.approx(correlation)
    assert rank_correlation(first, [-rank for rank in ranks]) == pytest.approx(-correlation)
    order = [sorted(set(first)).index(value) for value in first]
    alone = 1.0 if len(set(first)) > 1 else 0.0
    assert rank_correlation(first, order) == pytest.approx(alone)


def test_equal_values_share_their_rank() -> None:
    """By hand: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4."""
    assert rank_correlation([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) == 0
    assert rank_correlation([], []) == 0
