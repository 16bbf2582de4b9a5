"""The epsilon schedule of the papers, and the same at other lengths."""

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.errors import InvalidSettings
from blockqnn.settings.epsilon_schedule import (
    PAPERS_SCHEDULE,
    EpsilonStage,
    epsilon_at,
    learning_iterations,
    scaled,
)

schedules = st.lists(
    st.builds(EpsilonStage, epsilon=st.floats(0, 1), iterations=st.integers(1, 200)),
    min_size=1,
    max_size=12,
    unique_by=lambda stage: stage.epsilon,
)
lengths = st.integers(1, 2000)


def boundaries(stages: list[EpsilonStage], short: tuple[EpsilonStage, ...]) -> list[int]:
    """End of each stage in the shortened schedule, which may lack some of them."""
    lasts = {stage.epsilon: stage.iterations for stage in short}
    return list(accumulate(lasts.get(stage.epsilon, 0) for stage in stages))


def test_the_table_of_the_papers() -> None:
    assert sum(stage.iterations for stage in PAPERS_SCHEDULE) == 178
    firsts = [0, 95, 102, 109, 116, 126, 136, 146, 156, 166]
    values = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert [epsilon_at(PAPERS_SCHEDULE, first) for first in firsts] == values
    assert [epsilon_at(PAPERS_SCHEDULE, first - 1) for first in firsts[1:]] == values[:-1]


def test_beyond_its_end_the_last_stage_goes_on() -> None:
    assert epsilon_at(PAPERS_SCHEDULE, 177) == 0.1
    assert epsilon_at(PAPERS_SCHEDULE, 178) == epsilon_at(PAPERS_SCHEDULE, 10_000) == 0.1


@settings(deadline=None)
@given(schedules, lengths)
def test_a_scaled_schedule_keeps_sum_order_and_shares(
    stages: list[EpsilonStage], iterations: int
) -> None:
    short = scaled(stages, iterations)
    assert sum(stage.iterations for stage in short) == iterations
    order = [stage.epsilon for stage in stages]
    places = [order.index(stage.epsilon) for stage in short]
    assert places == sorted(places)
    assert places[0] == 0
    if iterations > 1:
        assert places[-1] == len(stages) - 1
    total = sum(stage.iterations for stage in stages)
    shares = [end * iterations / total for end in accumulate(stage.iterations for stage in stages)]
    for end, share in zip(boundaries(stages, short), shares, strict=True):
        assert abs(end - share) < 1


@settings(deadline=None)
@given(schedules, lengths)
def test_a_longer_schedule_has_no_earlier_boundary(
    stages: list[EpsilonStage], iterations: int
) -> None:
    shorter = boundaries(stages, scaled(stages, iterations))
    longer = boundaries(stages, scaled(stages, iterations + 1))
    assert all(shorter_share <= other for shorter_share, other in zip(shorter, longer, strict=True))


def test_scaling_to_its_own_length_changes_nothing() -> None:
    assert scaled(PAPERS_SCHEDULE, 178) == PAPERS_SCHEDULE


def test_the_papers_schedule_at_ten_iterations() -> None:
    assert [(stage.epsilon, stage.iterations) for stage in scaled(PAPERS_SCHEDULE, 10)] == [
        *((1.0, 5), (0.9, 1), (0.7, 1), (0.5, 1), (0.3, 1), (0.1, 1)),
    ]


@pytest.mark.parametrize(("stages", "iterations"), [((), 5), (PAPERS_SCHEDULE, 0)])
def test_nothing_cannot_be_scaled(stages: tuple[EpsilonStage, ...], iterations: int) -> None:
    with pytest.raises(InvalidSettings, match="cannot be scaled"):
        scaled(stages, iterations)


@given(schedules, lengths)
def test_iterations_learn_that_are_below_epsilon_1(
    stages: list[EpsilonStage], iterations: int
) -> None:
    below = [epsilon_at(stages, iteration) < 1 for iteration in range(iterations)]
    assert learning_iterations(stages, iterations) == sum(below)
