"""Prometheus metrics of the operator itself: counted by the process as things happen.

The progress of a search is derived at each scrape instead (:mod:`.search`).
"""

import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from blockqnn_operator import __version__
from blockqnn_operator.shell.listening import Listeners
from blockqnn_operator.shell.metrics.search import Measured, SearchMetrics
from blockqnn_operator.shell.metrics.server import serve

LATENCY_BUCKETS = (0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
"""Seconds until a Pod runs or a result is collected. Kubernetes gives times in whole seconds; a Pod
on a full cluster waits for hours."""

RECONCILE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds of one pass: milliseconds of computing and a few requests, each of at most 30 s."""

EXPECTED_ANSWERS = (
    ("GET", 200),
    ("POST", 201),
    ("POST", 409),
    ("PATCH", 200),
    ("PUT", 200),
    ("PUT", 409),
    ("DELETE", 200),
)
"""Verbs and codes that a healthy operator sees; their series exist from the start, at 0."""


class Metrics:
    """Every metric of the operator, over one registry.

    Args:
        searches: returns the searches at each scrape.
        queue_depth: returns the number of searches that wait for a worker.
        registry: the registry of the metrics; a fresh one for each test.
    """

    def __init__(
        self,
        searches: Callable[[], Iterable[Measured]],
        queue_depth: Callable[[], int],
        registry: CollectorRegistry,
    ) -> None:
        # Prometheus itself knows when a series began; a second series for each would tell no more.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        self._launch_latency = Histogram(
            "blockqnn_trial_launch_latency_seconds",
            "Time from the creation of a trial's Job to the start of its trainer.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._collection_latency = Histogram(
            "blockqnn_result_collection_latency_seconds",
            "Time from the end of a trainer to the annotation of its result on the Job.",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self._reconcile_duration = Histogram(
            "blockqnn_reconcile_duration_seconds",
            "Duration of one pass over one search.",
            buckets=RECONCILE_BUCKETS,
            registry=registry,
        )
        self._reconcile_errors = Counter(
            "blockqnn_reconcile_errors",
            "Passes that ended with an error, after which the operator tries again.",
            registry=registry,
        )
        self._internal_errors = Counter(
            "blockqnn_internal_errors",
            "Passes that a fault of the operator ended; the search's condition Degraded quotes it.",
            registry=registry,
        )
        self._api_requests = Counter(
            "blockqnn_api_requests",
            "Requests to the API server, without watches; code 0 if there was no answer.",
            ("verb", "code"),
            registry=registry,
        )
        for verb, code in EXPECTED_ANSWERS:
            self._api_requests.labels(verb, str(code))
        depth = Gauge("blockqnn_queue_depth", "Searches that wait for a worker.", registry=registry)
        depth.set_function(queue_depth)
        build = Info(
            "blockqnn_build", "Versions of the operator, as labels; always 1.", registry=registry
        )
        build.info({"version": __version__, "python": platform.python_version()})
        registry.register(SearchMetrics(searches))
        ProcessCollector(registry=registry)

    def serve(self, listeners: Listeners) -> None:
        """Serve the metrics on sockets that listen, each from a thread of its own."""
        for listener in listeners:
            serve(listener, self.registry)

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

    def internal_error(self) -> None:
        """Count a pass that a fault of the operator has ended."""
        self._internal_errors.inc()

    def requested(self, verb: str, code: int) -> None:
        """Count a request to the API server."""
        self._api_requests.labels(verb, str(code)).inc()

    def collected(self, launched: float | None, collected: float | None) -> None:
        """Record a result: how long its Job took to start, and the result to be collected."""
        if launched is not None:
            self._launch_latency.observe(max(launched, 0))
        if collected is not None:
            self._collection_latency.observe(max(collected, 0))
