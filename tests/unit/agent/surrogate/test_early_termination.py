"""When trainings may stop themselves, and what they count as then."""

from random import Random

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.settings.search import EarlyTermination
from blockqnn.surrogate.early_termination import LearningCurves, stopping_epochs


def curves_of(seed: int, count: int, **changes: float) -> tuple[LearningCurves, numpy.ndarray]:
    """Curves of four epochs: each brings an accuracy closer to its end."""
    random = Random(seed)
    asked = EarlyTermination.model_validate({"warmup": 10, "epochs": (1, 3, 9), **changes})
    curves, rows = LearningCurves(asked), []
    for _ in range(count):
        last = random.uniform(0.1, 0.9)
        row = [last * part + random.gauss(0, 0.02) for part in (0.3, 0.6, 0.9)] + [last]
        curves.add(row, 100 * last)
        rows.append(row)
    return curves, numpy.array(rows)


def test_curves_of_twelve_epochs_are_looked_at_after_the_fourth_to_the_eighth() -> None:
    assert stopping_epochs(12) == (4, 5, 6, 7, 8)
    assert stopping_epochs(12) == EarlyTermination().epochs


@given(st.integers(1, 1000))
def test_curves_are_looked_at_between_a_third_and_two_thirds_of_a_training(epochs: int) -> None:
    looked_at = stopping_epochs(epochs)
    assert list(looked_at) == sorted(set(looked_at))
    assert all(1 <= epoch < epochs for epoch in looked_at)
    assert all(epochs / 3 - 0.5 <= epoch <= epochs * 2 / 3 + 0.5 for epoch in looked_at)
    assert bool(looked_at) == (epochs > 1)
    if epochs >= 12:
        assert len(looked_at) == 5
        assert EarlyTermination(epochs=looked_at).epochs == looked_at


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(10, 40))
def test_the_lines_are_those_of_least_squares(seed: int, count: int) -> None:
    curves, rows = curves_of(seed, count, share=0.0, deviations=2.0)
    rules = {rule.epoch: rule for rule in curves.rules(0.0)}
    assert set(rules) <= {1, 3}, "epoch 9 is beyond the end"
    for epoch, rule in rules.items():
        slope, intercept = numpy.polyfit(rows[:, epoch - 1], rows[:, -1], 1)
        assert (rule.slope, rule.intercept) == pytest.approx((slope, intercept), rel=1e-6)
        residuals = rows[:, -1] - intercept - slope * rows[:, epoch - 1]
        deviation = numpy.sqrt(residuals @ residuals / (count - 2))
        below = (rows[:, -1].max() - 2 * deviation - intercept) / slope
        assert rule.below == pytest.approx(min(below, 1.0), rel=1e-6)


def test_before_the_warm_up_nothing_stops() -> None:
    curves, _ = curves_of(1, 11, warmup=12)
    assert curves.rules(0.0) == ()
    curves.add([0.1, 0.2, 0.3, 0.4], 40.0)
    assert [rule.epoch for rule in curves.rules(0.0)] == [1, 3]


def test_a_block_whose_cost_takes_more_off_must_do_better() -> None:
    curves, _ = curves_of(1, 30)
    ordinary, dear = curves.rules(0.0), curves.rules(5.0)
    for rule, other in zip(ordinary, dear, strict=True):
        assert other.below > rule.below


def test_the_surer_one_wants_to_be_the_later_a_training_stops() -> None:
    daring, _ = curves_of(1, 30, deviations=0.0)
    careful, _ = curves_of(1, 30, deviations=3.0)
    for rule, other in zip(daring.rules(0.0), careful.rules(0.0), strict=True):
        assert rule.below > other.below
    assert curves_of(1, 30, deviations=100.0)[0].rules(0.0) == ()


def test_where_the_start_says_nothing_of_the_end_nothing_stops() -> None:
    curves = LearningCurves(EarlyTermination(warmup=10, epochs=(1, 2)))
    for number in range(20):
        curves.add([0.5, 1 - number / 20, number / 20], 5.0 * number)
    assert curves.rules(0.0) == ()
