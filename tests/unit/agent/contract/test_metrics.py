"""Metrics: each is declared once, and results, records, tables and the reward follow."""

from typing import Annotated

import pytest
from operator_builders import A, make_record, make_result
from pydantic import Field

from blockqnn.contract.finalist import FinalistResult
from blockqnn.contract.message import Outcome
from blockqnn.contract.metrics import METRICS, Measured, Metric, column_name, read_metric
from blockqnn.contract.trial import Seconds, TrialResult
from blockqnn.learning.reward import floor_reward, redefined_reward, reward
from blockqnn.network.spec import NetworkSpec
from blockqnn.settings.search import RewardSettings
from blockqnn_cli.trials import COLUMNS, SORTS

RESULT = make_result(parameters=10, macs=20, seconds=Seconds(total=1.5))


def test_a_result_gives_what_was_measured_by_name() -> None:
    assert RESULT.metrics == {
        "accuracy": RESULT.accuracy,
        "parameters": 10,
        "macs": 20,
        "seconds": 1.5,
    }


def test_what_was_not_measured_is_absent() -> None:
    failed = make_result(outcome=Outcome.FAILED, reason="Error")
    assert failed.metrics.keys() <= {"seconds"}
    assert read_metric(make_record(0, A, seconds=None), "seconds") is None


@pytest.mark.parametrize("model", [TrialResult, FinalistResult])
def test_each_field_of_a_measurement_is_a_metric_with_a_description(
    model: type[TrialResult | FinalistResult],
) -> None:
    for name, field in Measured.model_fields.items():
        assert name in METRICS
        assert field.description
        assert model.model_fields[name].description == field.description


def test_a_further_metric_is_written_at_the_top_level_when_it_was_measured() -> None:
    """As if one line were added to `Measured`."""

    class Extended(Measured):
        latency: Annotated[float | None, Field(ge=0), Metric("latency", float, "s", "lower")] = None

    assert list(Extended.model_fields) == [*Measured.model_fields, "latency"]
    result = Extended(latency=0.25)
    assert result.model_dump_json(exclude_none=True) == '{"latency":0.25}'


def test_every_metric_is_a_column_of_its_kind_and_a_sort_key() -> None:
    record = make_record(0, A, parameters=10, macs=20, seconds=Seconds(total=1.5))
    for name, metric in METRICS.items():
        column = COLUMNS[column_name(name)]
        assert column.kind is metric.kind
        assert column.of(record) == read_metric(record, name)
        assert column_name(name) in SORTS


def test_a_reward_is_a_function_of_the_metrics() -> None:
    settings = RewardSettings(macs_weight=1, density_weight=8)
    network = NetworkSpec(filters=(32,), repeats=1, output_projection=True)
    metrics = {"accuracy": 0.5, "parameters": 10, "seconds": 3.0}
    assert reward(A, metrics, settings, network) == redefined_reward(A, 0.5, settings, network)
    assert reward(A, {"macs": 20}, settings, network) == floor_reward(A, settings, network)
