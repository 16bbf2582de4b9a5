"""Section of a report on the predictor and on trainings that stopped themselves."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from cli_searches import NOW, foreseen, simulated

from blockqnn.contract.message import Outcome
from blockqnn.learning.calibration import rank_correlation
from blockqnn_cli.report.page import report
from blockqnn_cli.report.prediction_section import (
    Stopping,
    prediction_section,
    predictions,
    stopping,
)
from blockqnn_cli.report.scales import padded

SIZE = (480.0, 340.0)


def test_predictions_are_those_of_the_status() -> None:
    search = foreseen()
    predicted = predictions(search.records)
    predictor_status = search.status["predictor"]
    assert len(predicted) == predictor_status["trials"] > 50
    assert predicted.rank_correlation == pytest.approx(
        predictor_status["rankCorrelation"], abs=1e-3
    )
    assert predicted.rank_correlation == rank_correlation(predicted.predicted, predicted.measured)
    page = report(search, NOW)
    assert f"Their rank correlation is {predicted.rank_correlation:.2f}" in page
    assert f"{len(predicted)} trials chosen with the predictor" in page


def test_every_predicted_trial_has_a_dot_in_its_place() -> None:
    search = foreseen()
    predicted = predictions(search.records)
    drawn = re.search(r"<svg.*?</svg>", prediction_section(search, SIZE), re.DOTALL)
    assert drawn
    picture = ElementTree.fromstring(drawn.group())
    (dots,) = [path for path in picture.iter("path") if path.get("class") == "dot guided"]
    places = [(int(x), int(y)) for x, y in re.findall(r"M(-?\d+),(-?\d+)h0", dots.get("d") or "")]
    assert 0.5 * len(predicted) < len(places) <= len(predicted)
    assert all(52 <= x <= SIZE[0] - 12 and 26 <= y <= SIZE[1] - 44 for x, y in places)
    low, high = padded([*predicted.predicted, *predicted.measured])
    tall = max(y for _, y in places) - min(y for _, y in places)
    share = (max(predicted.measured) - min(predicted.measured)) / (high - low)
    assert tall == pytest.approx(share * (SIZE[1] - 44 - 26), abs=2)


def test_the_groups_hold_every_trial_from_least_to_most_expected() -> None:
    search = foreseen()
    rows = re.findall(
        r"<tr><td>(\d+)</td><td>(-?\d+)%</td><td>(\d+)%", prediction_section(search, SIZE)
    )
    assert len(rows) == 5
    assert sum(int(count) for count, _, _ in rows) == len(predictions(search.records))
    expected = [int(count) for _, count, _ in rows]
    assert expected == sorted(expected)


def test_saved_epochs_are_counted() -> None:
    search = foreseen()
    savings = stopping(search)
    own = [record for record in search.records if record.outcome is Outcome.SUCCEEDED]
    assert savings.trainings == len(own)
    assert savings.saved == sum(12 - len(record.curve) for record in own) > 0
    assert f"{savings.saved:,} of {12 * len(own):,} epochs were saved" in report(search, NOW)
    assert Stopping(10, 12, {2: 3, 6: 1}).saved == 36
    assert Stopping(10, 12, {2: 3, 6: 1}).share == pytest.approx(0.3)
    assert Stopping(0, 12, {}).share == 0


def test_a_search_without_either_says_nothing_of_them() -> None:
    page = report(simulated(done=56), NOW)
    assert "Predicted and measured" not in page
    assert "Trainings that stopped themselves" not in page


@pytest.mark.parametrize("done", [1, 24, 26, 33])
def test_a_search_that_has_predicted_nothing_or_little_has_a_report(done: int) -> None:
    search = foreseen()
    early = replace(search, records=search.records[:done])
    page = report(early, NOW)
    predicted = predictions(early.records)
    if not len(predicted):
        assert "The predictor has not chosen any trial yet." in page
    elif predicted.rank_correlation is None:
        assert "too few for a rank correlation" in page
    else:
        assert "Their rank correlation is" in page
    assert "ended early" in page
