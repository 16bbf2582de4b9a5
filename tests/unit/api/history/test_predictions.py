"""Predictions beside results."""

import pytest
from operator_builders import make_record, make_settings

from blockqnn_api.history.predictions import Predictions
from blockqnn_api.history.trial_record import TrialRecord


def record(trial: int, reward: float | None, predicted: float | None = None) -> TrialRecord:
    return make_record(trial, reward=reward, iteration=trial // 4).model_copy(
        update={"predicted": predicted, "reward": reward}
    )


def predictions(*records: TrialRecord) -> Predictions:
    predicted = Predictions()
    for record in records:
        predicted.add(record)
    return predicted


FIRST = [record(trial, reward) for trial, reward in enumerate([10.0, 20.0, 30.0, 40.0])]


def test_a_reward_is_measured_by_the_trials_before_its_iteration() -> None:
    predicted = predictions(
        *FIRST, record(4, 35.0, 0.9), record(5, 5.0, 0.2), record(6, 20.0, 0.5), record(7, 90.0)
    )
    assert predicted.predicted == [0.9, 0.2, 0.5]
    assert predicted.measured == [0.75, 0.0, 0.375]
    later = predictions(
        *FIRST, *(record(trial, 50.0) for trial in range(4, 8)), record(8, 45.0, 1.1)
    )
    assert later.measured == [0.5]


def test_the_correlation_is_of_ranks() -> None:
    predicted = predictions(*FIRST, record(4, 35.0, 0.9), record(5, 5.0, 0.2), record(6, 20.0, 0.5))
    assert predicted.rank_correlation == 1.0
    predicted.add(record(7, 50.0, 0.1))
    assert predicted.rank_correlation == pytest.approx(-0.2)


def test_too_few_trials_have_no_correlation() -> None:
    assert predictions().rank_correlation is None
    assert predictions(*FIRST, record(4, 35.0, 0.9)).rank_correlation is None


def test_trials_without_a_reward_or_a_prediction_do_not_count() -> None:
    predicted = predictions(*FIRST, record(4, None, 0.9), record(5, 5.0))
    assert len(predicted) == 0


def test_a_predictor_is_filled_in_where_a_search_wants_one() -> None:
    settings = make_settings(agent={"predictor": {"warmup": 8}, "duplicates": "Redraw"})
    assert settings.agent.predictor is not None
    assert settings.agent.predictor.model_dump() == {
        "candidates": 10,
        "mutated": 0.5,
        "optimism": 3.0,
        "keepRandom": 0.0,
        "warmup": 8,
    }
