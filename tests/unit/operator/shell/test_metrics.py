"""Metrics of a search: from its history and its open trials, at each scrape."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import (
    BLOCKS,
    UID,
    A,
    B,
    C,
    D,
    failed,
    infeasible,
    make_job,
    make_observed,
    make_record,
    make_state,
    succeeded,
)
from operator_plans import status_of
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from blockqnn.contract.message import Outcome
from blockqnn_api.history.replay import SearchState
from blockqnn_api.status import BestFinalist, FinalistsStatus
from blockqnn_operator.core.planning.assessment import assess
from blockqnn_operator.core.reporting.search_totals import Distribution, accuracy_statistics
from blockqnn_operator.shell.metrics.operator import Metrics
from blockqnn_operator.shell.metrics.search import Measured, SearchMetrics

LOST = {"outcome": Outcome.FAILED, "reason": "BackoffLimitExceeded"}
TOO_BIG = {"outcome": Outcome.INFEASIBLE, "reason": "OutOfMemory"}


def measured_search(state: SearchState, *jobs: Any, uid: str = UID) -> Measured:
    """A search as the operator knows it after a pass over these Jobs."""
    observed = make_observed(*jobs)
    open_trials = assess(observed, state).open_trials
    return Measured("lab", "digits", uid, state, open_trials, status_of(observed, state))


def scrape(metrics: SearchMetrics) -> dict[str, dict[tuple[str, ...], float]]:
    """Samples by name and by their labels' values beyond namespace and search."""
    samples: dict[str, dict[tuple[str, ...], float]] = {}
    for family in metrics.collect():
        for sample in family.samples:
            assert (sample.labels["namespace"], sample.labels["search"]) == ("lab", "digits")
            more = tuple(v for k, v in sample.labels.items() if k not in ("namespace", "search"))
            samples.setdefault(sample.name, {})[more] = sample.value
    return samples


def test_a_search_that_has_just_begun_has_every_series_at_zero() -> None:
    samples = scrape(SearchMetrics(lambda: [measured_search(make_state())]))
    assert samples["blockqnn_trials_total"] == {(outcome,): 0 for outcome in Outcome}
    assert samples["blockqnn_trials_without_accuracy_total"]["Infeasible", "OutOfMemory"] == 0
    assert samples["blockqnn_trials_without_accuracy_total"]["Failed", "Other"] == 0
    assert samples["blockqnn_trial_retries_total"] == {(): 0}
    assert samples["blockqnn_trial_duration_seconds_count"] == {(): 0}
    assert samples["blockqnn_gpu_seconds_total"] == {(): 0}
    assert samples["blockqnn_search_phase"]["Running",] == 1
    assert sum(samples["blockqnn_search_phase"].values()) == 1
    assert "blockqnn_iteration_mean_reward" not in samples, "there is no mean of nothing"
    assert "blockqnn_iteration_layers" not in samples
    info = {(UID, "CVPR2018", "QLearning", "digits"): 1}
    assert samples["blockqnn_search_info"] == info


def test_the_history_and_the_open_trials_are_counted_together() -> None:
    records = [
        make_record(0, A, accuracy=0.2, reward=20.0),
        make_record(1, B, **TOO_BIG, reward=0.0),
        make_record(2, C, **LOST, attempt=2),
        make_record(3, A, outcome=Outcome.CACHED, accuracy=0.2, reward=20.0, shared_with=0,
                    seconds=None, gpus=0),
    ]  # fmt: skip
    state = make_state((A, B, C, A, D, *BLOCKS[4:]), records)
    samples = scrape(
        SearchMetrics(lambda: [measured_search(state, failed(4, D), make_job(5, BLOCKS[4]))])
    )
    assert samples["blockqnn_trials_total"] == {
        ("Succeeded",): 1, ("Infeasible",): 1, ("Failed",): 2, ("Cached",): 1
    }  # fmt: skip
    reasons = samples["blockqnn_trials_without_accuracy_total"]
    assert reasons["Failed", "BackoffLimitExceeded"] == 1
    assert reasons["Failed", "Other"] == 1, "a trainer's own reasons make no series of their own"
    assert reasons["Infeasible", "OutOfMemory"] == 1
    assert sum(reasons.values()) == 3
    assert samples["blockqnn_trial_retries_total"] == {(): 2}
    assert samples["blockqnn_trials_running"] == {(): 1}
    assert samples["blockqnn_gpus_in_use"] == {(): 1}
    assert samples["blockqnn_gpu_seconds_total"] == {(): 30}
    assert samples["blockqnn_gpu_seconds_saved_total"] == {(): 10}
    assert samples["blockqnn_trial_duration_seconds_sum"] == {(): 30}
    assert samples["blockqnn_trial_accuracy_ratio_bucket"]["0.15",] == 0
    assert samples["blockqnn_trial_accuracy_ratio_bucket"]["0.2",] == 2
    assert samples["blockqnn_iteration_mean_reward"] == {(): pytest.approx(40 / 3)}
    assert samples["blockqnn_iteration_layers"] == {
        (): pytest.approx(sum(len(block.body) for block in (A, B, C, A)) / 4)
    }
    assert samples["blockqnn_random_mean_reward"] == {(): pytest.approx(40 / 3)}
    assert samples["blockqnn_iteration_accuracy_ratio"]["median",] == 0.2


def test_a_restarted_operator_tells_the_same() -> None:
    records = [make_record(i, block, accuracy=0.1 * i) for i, block in enumerate(BLOCKS[:4])]
    jobs = (succeeded(4, BLOCKS[4]), infeasible(5, BLOCKS[5]))
    state = make_state(BLOCKS, records[:2])
    living = SearchMetrics(lambda: [measured_search(state, *jobs)])
    scrape(living)
    state.extend(records[2:])
    restarted = SearchMetrics(lambda: [measured_search(make_state(BLOCKS, records), *jobs)])
    assert scrape(living) == scrape(restarted)


def test_an_old_survey_counts_no_trial_twice() -> None:
    """A scrape may come after a trial entered the history and before the next survey."""
    state = make_state(
        BLOCKS, [make_record(i, BLOCKS[i]) for i in range(3)], agent={"batchSize": 3}
    )
    before = measured_search(state, succeeded(3, BLOCKS[3]))
    metrics = SearchMetrics(lambda: [before])
    assert scrape(metrics)["blockqnn_trials_total"]["Succeeded",] == 4
    state.extend([make_record(3, BLOCKS[3], iteration=1)])
    assert scrape(metrics)["blockqnn_trials_total"]["Succeeded",] == 4


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_no_counter_goes_back_though_jobs_with_results_are_deleted(ended: list[int]) -> None:
    """A trial whose ended Job is deleted before its iteration is over is trained again."""
    state = make_state(BLOCKS, agent={"batchSize": 8})
    now: list[Measured] = []
    metrics = SearchMetrics(lambda: now)
    last = -1.0
    for count in ended:
        now[:] = [measured_search(state, *(failed(i, BLOCKS[i]) for i in range(count)))]
        samples = scrape(metrics)
        counted = samples["blockqnn_trials_total"]["Failed",]
        assert counted == samples["blockqnn_trials_without_accuracy_total"]["Failed", "Other"]
        assert counted >= last
        last = counted
    assert last == max(ended)


def test_a_search_that_is_gone_leaves_nothing_and_its_successor_starts_anew() -> None:
    measured = [measured_search(make_state(), failed(0, A))]
    metrics = SearchMetrics(lambda: measured)
    assert scrape(metrics)["blockqnn_trials_total"]["Failed",] == 1
    measured[:] = [measured_search(make_state(), uid="another")]
    assert scrape(metrics)["blockqnn_trials_total"]["Failed",] == 0
    measured.clear()
    assert scrape(metrics) == {}


def test_while_the_history_is_read_anew_the_counters_stay() -> None:
    before = measured_search(make_state(BLOCKS, [make_record(0, A), make_record(1, B)]))
    measured = [before]
    metrics = SearchMetrics(lambda: measured)
    counted_trials = scrape(metrics)["blockqnn_trials_total"]
    measured[:] = [replace(before, state=None, open_trials=None)]
    assert scrape(metrics)["blockqnn_trials_total"] == counted_trials
    unread = SearchMetrics(lambda: measured)
    assert "blockqnn_trials_total" not in scrape(unread), "what is not known is not told as zero"
    assert "blockqnn_search_phase" in scrape(unread)


@given(st.lists(st.floats(0, 10, allow_nan=False)))
def test_a_distribution_counts_each_value_once_where_it_belongs(values: list[float]) -> None:
    distribution = Distribution((1.0, 2.0, 5.0))
    for value in values:
        distribution.add(value)
    for index, bound in enumerate(distribution.bounds):
        assert sum(distribution.counts[: index + 1]) == sum(value <= bound for value in values)
    assert sum(distribution.counts) == len(values)
    assert distribution.total == pytest.approx(sum(values))


def test_the_statistics_of_an_iteration_are_its_extremes_and_quartiles() -> None:
    records = [make_record(i, A, accuracy=accuracy) for i, accuracy in enumerate((0.1, 0.5, 0.3))]
    assert accuracy_statistics(records) == pytest.approx(
        {
            "minimum": 0.1,
            "lower quartile": 0.2,
            "median": 0.3,
            "upper quartile": 0.4,
            "maximum": 0.5,
        }
    )
    assert set(accuracy_statistics(records[:1]).values()) == {0.1}
    assert accuracy_statistics([]) == {}


def test_no_series_is_labelled_by_trial_and_all_are_there_from_the_start() -> None:
    metrics = Metrics(lambda: [measured_search(make_state())], lambda: 3, CollectorRegistry())
    families: list[Metric] = list(metrics.registry.collect())
    labels = {label for f in families for sample in f.samples for label in sample.labels}
    assert labels <= {
        "namespace", "search", "outcome", "reason", "statistic", "phase", "condition", "le",
        "verb", "code", "version", "python", "uid", "preset", "algorithm", "dataset",
    }  # fmt: skip
    value = metrics.registry.get_sample_value
    assert value("blockqnn_queue_depth") == 3
    assert value("blockqnn_reconcile_errors_total") == 0
    assert value("blockqnn_api_requests_total", {"verb": "POST", "code": "201"}) == 0
    with pytest.raises(ValueError, match="broken"), metrics.reconciling():
        raise ValueError("broken")
    metrics.requested("POST", 201)
    metrics.collected(None, -0.5)
    assert value("blockqnn_reconcile_errors_total") == 1
    assert value("blockqnn_reconcile_duration_seconds_count") == 1
    assert value("blockqnn_api_requests_total", {"verb": "POST", "code": "201"}) == 1
    assert value("blockqnn_trial_launch_latency_seconds_count") == 0
    assert value("blockqnn_result_collection_latency_seconds_sum") == 0


def test_finalists_have_series_where_a_search_asks_for_them() -> None:
    plain = measured_search(make_state())
    assert "blockqnn_finalists" not in scrape(SearchMetrics(lambda: [plain]))
    best = BestFinalist(trial=3, block=str(A), accuracy=0.93, seeds=2)
    finalists_status = FinalistsStatus(
        total=6, running=2, succeeded=2, infeasible=1, failed=1, records=3, gpu_seconds=7200.0,
        best=best,
    )  # fmt: skip
    assert plain.status is not None
    status = plain.status.model_copy(update={"finalists": finalists_status})
    samples = scrape(SearchMetrics(lambda: [replace(plain, status=status, finalist_gpus=4)]))
    assert samples["blockqnn_finalists_wanted"] == {(): 6}
    assert samples["blockqnn_finalists_running"] == {(): 2}
    assert samples["blockqnn_finalists"] == {("Succeeded",): 2, ("Infeasible",): 1, ("Failed",): 1}
    assert samples["blockqnn_best_converged_accuracy_ratio"] == {(): 0.93}
    assert samples["blockqnn_gpus_in_use"] == {(): 4}
    assert samples["blockqnn_finalist_gpu_seconds_total"] == {(): 7200}
    assert samples["blockqnn_gpu_seconds_total"] == {(): 0}, "only what the budget counts"
