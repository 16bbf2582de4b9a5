"""Fit of the reward to trainings to convergence: a true effect is found, and chance is not.

The blocks are random ones, their early accuracies are made up, and so is how the final accuracy
goes with them.
"""

from dataclasses import replace
from functools import cache
from itertools import islice
from random import Random

import numpy
import pytest
from benchmarks.reproduction.reward_fit import (
    AAAI,
    CVPR,
    NO_WEIGHTS,
    Answer,
    Estimate,
    answers,
    finalists,
    fit_weights,
    judge,
)
from benchmarks.table.converged import Converged
from benchmarks.table.random_blocks import different_blocks
from benchmarks.table.recipe import NETWORK
from benchmarks.table.space import make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.learning.calibration import Finalist, calibrate, rank_correlation
from blockqnn.learning.reward import redefined_reward
from blockqnn.settings.search import RewardSettings

RESAMPLES = 40


@cache
def blocks() -> list[Block]:
    return list(islice(different_blocks(make_space(), "TypeFirst", 5), 66))


def make_blocks(
    seed: int, macs: float = 0.0, density: float = 0.0, noise: float = 1.0, early: float = 1.0
) -> list[Finalist]:
    """Return blocks whose final accuracy is a reward of the early one, with noise, in percent.

    Args:
        seed: of the early accuracies and of the noise.
        macs: the true weight of ln(MACs).
        density: the true weight of ln(density).
        noise: the standard deviation of the final accuracy beside that.
        early: how much of the early accuracy goes into the final one.
    """
    random = Random(seed)
    weights = RewardSettings(macs_weight=macs, density_weight=density)
    made = []
    for block in blocks():
        accuracy = random.gauss(0.55, 0.04)
        reward = redefined_reward(block, early * accuracy, weights, NETWORK)
        made.append(Finalist(block, accuracy, (20 + reward + random.gauss(0, noise)) / 100))
    return made


def numbers(answer: Answer) -> list[float]:
    """All values and errors but those of the weights."""
    agreements = (answer.early, answer.cvpr, answer.aaai, answer.fitted)
    return [
        number
        for agreement in agreements
        for estimate in (
            agreement.spearman,
            agreement.pearson,
            agreement.spearman_gain,
            agreement.pearson_gain,
        )
        for number in estimate
    ]


def test_a_cost_that_the_final_accuracy_falls_with_is_found() -> None:
    answer = judge(make_blocks(1, macs=2.0), RESAMPLES)
    assert answer.calibration.macs is not None
    assert answer.calibration.density is not None
    assert answer.calibration.macs.low < 2.0 < answer.calibration.macs.high
    assert answer.calibration.macs.sign == 1
    assert answer.calibration.density.sign == 0
    assert answer.fitted.spearman_gain.exceeds_chance
    assert answer.fitted.pearson_gain.exceeds_chance
    assert answer.fitted.spearman.value > 0.9


def test_a_cost_that_the_final_accuracy_rises_with_is_found_too() -> None:
    """The weights may have either sign; the papers' then do harm, and no gain is claimed."""
    answer = judge(make_blocks(2, macs=-2.0), RESAMPLES)
    assert answer.calibration.macs is not None
    assert answer.calibration.macs.sign == -1
    assert answer.fitted.spearman_gain.exceeds_chance
    assert answer.cvpr.spearman_gain.value < 0
    assert not answer.cvpr.spearman_gain.exceeds_chance
    assert not answer.aaai.spearman_gain.exceeds_chance


def test_the_papers_weights_gain_where_they_are_the_truth() -> None:
    answer = judge(make_blocks(3, CVPR.macs_weight, CVPR.density_weight), RESAMPLES)
    assert answer.cvpr.spearman_gain.exceeds_chance
    assert answer.cvpr.pearson_gain.exceeds_chance
    assert answer.cvpr.spearman.value > answer.aaai.spearman.value


def test_no_gain_is_claimed_where_the_early_accuracy_is_all_that_counts() -> None:
    claims = sum(
        judge(make_blocks(seed, noise=4.0), RESAMPLES).fitted.spearman_gain.exceeds_chance
        for seed in range(5)
    )
    assert claims <= 1


def test_no_gain_is_claimed_of_noise() -> None:
    judged = [judge(make_blocks(seed, early=0.0), RESAMPLES) for seed in range(5)]
    assert sum(agreement.fitted.spearman_gain.exceeds_chance for agreement in judged) <= 1
    assert sum(agreement.early.spearman.exceeds_chance for agreement in judged) <= 1
    assert all(abs(agreement.fitted.spearman.value) < 0.4 for agreement in judged)


def test_standard_errors_are_the_spread_over_other_blocks() -> None:
    judged = [judge(make_blocks(seed, noise=4.0), RESAMPLES) for seed in range(8)]
    for spread, reported_errors in (
        (
            [agreement.early.pearson.value for agreement in judged],
            [agreement.early.pearson.error for agreement in judged],
        ),
        (
            [agreement.cvpr.pearson_gain.value for agreement in judged],
            [agreement.cvpr.pearson_gain.error for agreement in judged],
        ),
    ):
        assert numpy.mean(reported_errors) == pytest.approx(numpy.std(spread), rel=0.6)


def test_the_correlations_are_those_of_the_product() -> None:
    some = make_blocks(4, macs=1.0)
    answer = judge(some, RESAMPLES)
    final = [finalist.converged for finalist in some]
    for settings_of, agreement in ((CVPR, answer.cvpr), (AAAI, answer.aaai)):
        rewards = [
            redefined_reward(finalist.block, finalist.early, settings_of, NETWORK)
            for finalist in some
        ]
        assert agreement.spearman.value == pytest.approx(rank_correlation(rewards, final))
        assert agreement.pearson.value == pytest.approx(numpy.corrcoef(rewards, final)[0, 1])
    assert answer.early.spearman.value == pytest.approx(answer.calibration.early_correlation)
    assert answer.cvpr.spearman.value == pytest.approx(answer.calibration.reward_correlation)


def test_the_fitted_weights_are_those_of_the_product() -> None:
    some = make_blocks(6, macs=1.5, density=-3.0)
    product = calibrate(some, CVPR, NETWORK)
    assert product.macs is not None
    assert product.density is not None

    def added(settings_of: RewardSettings) -> numpy.ndarray:
        return numpy.array(
            [redefined_reward(finalist.block, 0, settings_of, NETWORK) for finalist in some]
        )

    fitted = fit_weights(
        numpy.array([100 * finalist.early for finalist in some]),
        added(RewardSettings(macs_weight=-1, density_weight=0)),
        added(RewardSettings(macs_weight=0, density_weight=-1)),
        numpy.array([100 * finalist.converged for finalist in some]),
    )
    assert fitted == pytest.approx((product.macs.value, product.density.value))


def test_nothing_is_fitted_where_a_better_early_accuracy_makes_a_worse_final_one() -> None:
    random = numpy.random.default_rng(0)
    early, macs, density = random.normal(size=(3, 40))
    assert fit_weights(early, macs, density, -early) == NO_WEIGHTS
    assert fit_weights(early, macs, macs, early) == NO_WEIGHTS
    assert fit_weights(early, macs, density, early - 2 * macs + density) == pytest.approx((2, -1))


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_order_of_the_blocks_does_not_matter(seed: int, random: Random) -> None:
    some = make_blocks(seed, macs=1.0)
    shuffled = random.sample(some, len(some))
    assert judge(shuffled, 10) == judge(some, 10)


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 1000), st.floats(0.3, 1.0), st.floats(-0.05, 0.05), st.floats(-0.05, 0.05))
def test_correlations_do_not_depend_on_the_level_of_accuracies_nor_on_the_final_ones_scale(
    seed: int, scale: float, final_shift: float, early_shift: float
) -> None:
    some = make_blocks(seed, macs=1.0)
    moved = [
        Finalist(
            finalist.block, finalist.early + early_shift, scale * finalist.converged + final_shift
        )
        for finalist in some
    ]
    assert numbers(judge(moved, 10)) == pytest.approx(numbers(judge(some, 10)), abs=1e-6)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.floats(-3, 3), st.floats(-10, 10))
def test_a_reward_without_noise_is_found_whatever_its_weights(
    seed: int, macs: float, density: float
) -> None:
    answer = judge(make_blocks(seed, macs, density, noise=0.0), 2)
    assert answer.fitted.pearson.value == pytest.approx(1.0)
    assert answer.early.spearman_gain == Estimate(0.0, 0.0)


def make_trainings() -> list[Converged]:
    return [
        Converged(
            canonical_hash(finalist.block), str(finalist.block), 2, "Succeeded", 60,
            finalist.converged, finalist.converged + 0.09, finalist.early, 1.0, (),
        )
        for finalist in make_blocks(7)
    ]  # fmt: skip


def test_the_final_accuracy_is_the_share_of_all_images_that_were_measured_on() -> None:
    (training,) = make_trainings()[:1]
    message = {
        images: finalists([training], images)[0].converged
        for images in ("both", "validation", "test")
    }
    assert message["validation"] == training.validation_accuracy
    assert message["test"] == training.test_accuracy
    right = 1250 * training.validation_accuracy + 1000 * training.test_accuracy
    assert message["both"] == pytest.approx(right / 2250)


def test_blocks_that_could_not_be_trained_are_left_out() -> None:
    first, *rest = make_trainings()
    failed = replace(first, outcome="Infeasible", validation_accuracy=0.0, test_accuracy=0.0)
    assert finalists([failed, *rest], "both") == finalists(rest, "both")


def test_the_best_are_judged_alone_too() -> None:
    trainings = make_trainings()
    best = {training.hash for training in trainings[:30]}
    judged = answers(trainings, best, "test", resamples=2)
    assert (judged["all"].blocks, judged["best"].blocks) == (66, 30)
    assert judged["best"] == judge(finalists(trainings[:30], "test"), 2)


def test_too_few_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="19 blocks are too few"):
        judge(make_blocks(0)[:19])
