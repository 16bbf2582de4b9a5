"""What the operator tells Prometheus.

Two kinds. What a search has reached is *derived* at each scrape from its history and its status, so
that a restart makes no counter jump back and a deleted search leaves no series behind. What the
process does is counted as it happens. No series is labelled by trial.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from blockqnn.contract import Outcome
from blockqnn_operator import __version__
from blockqnn_operator.api.status import BlockSearchStatus, Phase
from blockqnn_operator.core.records import TrialRecord
from blockqnn_operator.core.state import SearchState

TRIAL_BUCKETS = (5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
"""Seconds of a trial: from a test's to the default time limit of two hours."""

LATENCY_BUCKETS = (0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
"""Seconds until a Pod runs or a result is collected; Kubernetes gives times in whole seconds."""

RECONCILE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Seconds of one pass: milliseconds of computing and a few requests."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a search at the moment of a scrape."""

    namespace: str
    name: str
    state: SearchState | None
    status: BlockSearchStatus | None


class Metrics:
    """Every metric of the operator, over one registry.

    Args:
        searches: finds the searches at each scrape.
        queue_depth: finds how many searches wait for a worker.
        registry: where the metrics are registered; a fresh one for each test.
    """

    def __init__(
        self,
        searches: Callable[[], Iterable[Measured]],
        queue_depth: Callable[[], int],
        registry: CollectorRegistry,
    ) -> None:
        self.registry = registry
        self._trial_duration = Histogram(
            "blockqnn_trial_duration_seconds",
            "Time that trials took, from the start of the trainer to its end.",
            ("namespace", "search"),
            buckets=TRIAL_BUCKETS,
            registry=registry,
        )
        self._launch_latency = Histogram(
            "blockqnn_trial_launch_latency_seconds",
            "Time from the creation of a trial's Job to the start of its trainer.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._collection_latency = Histogram(
            "blockqnn_result_collection_latency_seconds",
            "Time from the end of a trainer to its result being annotated on the Job.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._reconcile_duration = Histogram(
            "blockqnn_reconcile_duration_seconds",
            "Time that one pass over one search took.",
            buckets=RECONCILE_BUCKETS,
            registry=registry,
        )
        self._reconcile_errors = Counter(
            "blockqnn_reconcile_errors",
            "Passes that ended with an error and are tried again.",
            registry=registry,
        )
        self._api_requests = Counter(
            "blockqnn_api_requests",
            "Requests to the API server; code 0 for one that got no answer.",
            ("verb", "code"),
            registry=registry,
        )
        depth = Gauge("blockqnn_queue_depth", "Searches that wait for a worker.", registry=registry)
        depth.set_function(queue_depth)
        registry.register(_Searches(searches))

    def serve(self, port: int) -> None:
        """Serve the metrics on a port of all interfaces, from a thread of its own."""
        start_http_server(port, registry=self.registry)

    @contextmanager
    def reconciling(self) -> Iterator[None]:
        """Measure one pass."""
        start = time.perf_counter()
        try:
            yield
        except Exception:
            self._reconcile_errors.inc()
            raise
        finally:
            self._reconcile_duration.observe(time.perf_counter() - start)

    def requested(self, verb: str, code: int) -> None:
        """Count a request to the API server."""
        self._api_requests.labels(verb, str(code)).inc()

    def collected(self, launched: float | None, collected: float | None) -> None:
        """Take note of a result: how long its Job took to start, and the result to be collected."""
        if launched is not None:
            self._launch_latency.observe(max(launched, 0))
        if collected is not None:
            self._collection_latency.observe(max(collected, 0))

    def archived(self, namespace: str, search: str, records: Iterable[TrialRecord]) -> None:
        """Take note of trials that have entered the history."""
        for record in records:
            if record.seconds is not None:
                self._trial_duration.labels(namespace, search).observe(record.seconds.total)

    def forget(self, namespace: str, search: str) -> None:
        """Drop the series of a search that is gone."""
        self._trial_duration.remove_by_labels({"namespace": namespace, "search": search})


_LABELS = ("namespace", "search")


class _Searches(Collector):
    """Derives the metrics of the searches at each scrape."""

    def __init__(self, searches: Callable[[], Iterable[Measured]]) -> None:
        self._searches = searches

    def describe(self) -> Iterable[Metric]:
        """Return nothing: what is derived is not collected at registration."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all searches as they are now."""
        build = InfoMetricFamily("blockqnn_build", "The version of the operator.")
        build.add_metric((), {"version": __version__})
        yield build
        measured = [search for search in self._searches() if search.status is not None]
        yield from _of_progress(measured)
        yield from _of_learning(measured)
        yield _phases(measured)


def _of_progress(measured: list[Measured]) -> Iterator[Metric]:
    trials = CounterMetricFamily(
        "blockqnn_trials", "Trials whose outcome is known.", labels=(*_LABELS, "outcome")
    )
    running = GaugeMetricFamily(
        "blockqnn_trials_running", "Trials whose Job has no result yet.", labels=_LABELS
    )
    budget = GaugeMetricFamily(
        "blockqnn_trials_budget", "Trials that the search may propose.", labels=_LABELS
    )
    gpu = CounterMetricFamily(
        "blockqnn_gpu_seconds", "Accelerator time of the trials in the history.", labels=_LABELS
    )
    parallelism = GaugeMetricFamily(
        "blockqnn_parallelism", "Trials that may run at the same time.", labels=_LABELS
    )
    for search in measured:
        labels = (search.namespace, search.name)
        counts = search.status.trials if search.status else None
        for outcome in Outcome:
            value = getattr(counts, outcome.lower()) if counts else 0
            trials.add_metric((*labels, outcome), value)
        running.add_metric(labels, counts.running if counts else 0)
        if search.state is not None:
            budget.add_metric(labels, search.state.settings.budget.trials)
            parallelism.add_metric(labels, search.state.settings.parallelism)
            gpu.add_metric(labels, search.state.archive.gpu_seconds)
    yield from (trials, running, budget, parallelism, gpu)


def _of_learning(measured: list[Measured]) -> Iterator[Metric]:
    epsilon = GaugeMetricFamily(
        "blockqnn_epsilon", "Share of random choices in the present iteration.", labels=_LABELS
    )
    iteration = GaugeMetricFamily(
        "blockqnn_iteration", "Iterations that are in the history.", labels=_LABELS
    )
    accuracy = GaugeMetricFamily(
        "blockqnn_best_accuracy_ratio", "Validation accuracy of the best block.", labels=_LABELS
    )
    reward = GaugeMetricFamily(
        "blockqnn_best_reward", "Reward of the best block, in percent.", labels=_LABELS
    )
    mean = GaugeMetricFamily(
        "blockqnn_iteration_mean_reward",
        "Mean reward of the latest iteration in the history, in percent.",
        labels=_LABELS,
    )
    for search in measured:
        labels, status = (search.namespace, search.name), search.status
        if status is None or search.state is None:
            continue
        iteration.add_metric(labels, status.iteration)
        if status.epsilon is not None:
            epsilon.add_metric(labels, status.epsilon)
        if status.best is not None:
            accuracy.add_metric(labels, status.best.accuracy)
            reward.add_metric(labels, status.best.reward)
        rewards = _latest_rewards(search.state)
        if rewards:
            mean.add_metric(labels, sum(rewards) / len(rewards))
    yield from (epsilon, iteration, accuracy, reward, mean)


def _latest_rewards(state: SearchState) -> list[float]:
    size = state.settings.agent.batch_size
    start = max((len(state.archive) - 1) // size * size, 0)
    return [r.reward for r in state.archive.records[start:] if r.reward is not None]


def _phases(measured: list[Measured]) -> Metric:
    phases = GaugeMetricFamily(
        "blockqnn_search_phase",
        "1 for the phase of the search, else 0.",
        labels=(*_LABELS, "phase"),
    )
    for search in measured:
        for phase in Phase:
            value = float(search.status is not None and search.status.phase is phase)
            phases.add_metric((search.namespace, search.name, phase), value)
    return phases
