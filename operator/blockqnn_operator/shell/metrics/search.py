"""Prometheus metrics of the searches: derived anew at each scrape.

Nothing is counted here as it happens. The values come from the history and the open trials, so a
restarted operator goes on where the last one was, and a deleted search leaves no series behind. No
series is labelled by trial.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from blockqnn.contract.message import Outcome
from blockqnn_api.history.replay import SearchState
from blockqnn_api.objects import read_time
from blockqnn_api.status import BlockSearchStatus, ConditionType, FinalistsStatus, Phase
from blockqnn_operator.core.planning.open_trials import OpenTrials
from blockqnn_operator.core.reporting.search_totals import (
    KNOWN_REASONS,
    OTHER_REASON,
    Distribution,
    SearchTotals,
    accuracy_statistics,
    count_open,
    latest_iteration,
    mean_layers,
    mean_reward,
)

LABELS = ("namespace", "search")
"""Labels of every metric of a search."""

INFO_LABELS = ("uid", "preset", "algorithm", "dataset")
"""Labels that describe a search, on one metric only."""


@dataclass(frozen=True, slots=True)
class Measured:
    """State of a search at the moment of a scrape."""

    namespace: str
    name: str
    uid: str
    state: SearchState | None
    """Settings and history; None while the history is being read, or cannot be read."""
    open_trials: OpenTrials | None
    """The open trials as last surveyed."""
    status: BlockSearchStatus | None
    finalist_gpus: int = 0
    """Accelerators of its running finalists."""


@dataclass(slots=True)
class _Kept:
    """Values of a search that are kept between two scrapes."""

    uid: str
    totals: SearchTotals | None = None
    highest: dict[tuple[str, ...], float] = field(default_factory=dict)
    """The highest value of each counter that open trials add to: a trial whose Job somebody deletes
    after it ended is trained again, and a counter must not go back for it."""

    def tally_of(self, state: SearchState | None) -> SearchTotals | None:
        """Return the sums over the history; the last known ones while it is read anew."""
        if state is not None:
            if self.totals is None or self.totals.state is not state:
                self.totals = SearchTotals(state)
            self.totals.catch_up()
        return self.totals

    def at_least(self, key: tuple[str, ...], value: float) -> float:
        """Return a counter's value, never less than what it was."""
        self.highest[key] = max(value, self.highest.get(key, 0))
        return self.highest[key]


class SearchMetrics(Collector):
    """Derives the metrics of all searches at each scrape.

    Args:
        searches: returns the searches.
    """

    def __init__(self, searches: Callable[[], Iterable[Measured]]) -> None:
        self._searches = searches
        self._kept: dict[tuple[str, str], _Kept] = {}

    def describe(self) -> Iterable[Metric]:
        """Return nothing: derived metrics are not collected at registration."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all searches as they are now."""
        families = SearchFamilies()
        kept: dict[tuple[str, str], _Kept] = {}
        for search in self._searches():
            key = (search.namespace, search.name)
            previous = self._kept.get(key)
            kept[key] = previous if previous and previous.uid == search.uid else _Kept(search.uid)
            if search.status is not None:
                families.add(search, search.status, kept[key])
        self._kept = kept
        yield from families


class SearchFamilies:
    """The metrics of searches by name, filled search by search."""

    def __init__(self) -> None:
        self._info = InfoMetricFamily(
            "blockqnn_search", "Settings of the search, as labels; always 1.", labels=LABELS
        )
        self._durations = HistogramMetricFamily(
            "blockqnn_trial_duration_seconds",
            "Run times of the trainers of the trials in the history, from 10 s to 8 h.",
            labels=LABELS,
        )
        self._accuracies = HistogramMetricFamily(
            "blockqnn_trial_accuracy_ratio",
            "Validation accuracies of the trials in the history, in steps of 0.05.",
            labels=LABELS,
        )
        self._families = {
            name: kind(f"blockqnn_{name}", text, labels=(*LABELS, *labels))
            for kind, table in ((CounterMetricFamily, _COUNTERS), (GaugeMetricFamily, _GAUGES))
            for name, (text, labels) in table.items()
        }

    def __iter__(self) -> Iterator[Metric]:
        yield from (self._info, self._durations, self._accuracies, *self._families.values())

    def sample(self, name: str, labels: Iterable[str], value: float | None) -> None:
        """Add a sample of a counter or a gauge; an unknown value makes no series."""
        if value is not None:
            self._families[name].add_metric(tuple(labels), value)

    def add(self, search: Measured, status: BlockSearchStatus, kept: _Kept) -> None:
        """Add all that is known of a search."""
        labels = (search.namespace, search.name)
        self._add_status(labels, status)
        totals = kept.tally_of(search.state)
        if totals is None:
            return
        self._add_sums(labels, totals, search, kept)
        self._add_settings(labels, totals.state, search.uid)
        self._add_learning(labels, totals)

    def _add_status(self, labels: tuple[str, str], status: BlockSearchStatus) -> None:
        for phase in Phase:
            self.sample("search_phase", (*labels, phase), status.phase is phase)
        true = {condition.type for condition in status.conditions if condition.status == "True"}
        for kind in ConditionType:
            self.sample("search_condition", (*labels, kind), kind in true)
        for name, moment in (
            ("search_start_timestamp_seconds", status.start_time),
            ("search_completion_timestamp_seconds", status.completion_time),
            ("search_estimated_completion_timestamp_seconds", status.estimated_completion_time),
        ):
            self.sample(name, labels, read_time(moment).timestamp() if moment else None)
        self.sample("iteration", labels, status.iteration)
        self.sample("epsilon", labels, status.epsilon)
        if status.best is not None:
            self.sample("best_accuracy_ratio", labels, status.best.accuracy)
            self.sample("best_reward", labels, status.best.reward)
        if status.finalists is not None:
            self._add_finalists(labels, status.finalists)

    def _add_finalists(self, labels: tuple[str, str], finalists: FinalistsStatus) -> None:
        self.sample("finalists_wanted", labels, finalists.total)
        self.sample("finalists_running", labels, finalists.running)
        self.sample("finalist_gpu_seconds", labels, finalists.gpu_seconds)
        for outcome in (Outcome.SUCCEEDED, Outcome.INFEASIBLE, Outcome.FAILED):
            self.sample("finalists", (*labels, outcome), getattr(finalists, outcome.lower()))
        if finalists.best is not None:
            self.sample("best_converged_accuracy_ratio", labels, finalists.best.accuracy)

    def _add_sums(
        self, labels: tuple[str, str], totals: SearchTotals, search: Measured, kept: _Kept
    ) -> None:
        unarchived = count_open(search.open_trials, totals.counted)
        for outcome in Outcome:
            count = totals.outcomes[outcome] + unarchived.outcomes[outcome]
            self.sample("trials", (*labels, outcome), kept.at_least((outcome,), count))
        for outcome, reasons in KNOWN_REASONS.items():
            for reason in (*reasons, OTHER_REASON):
                count = totals.reasons[outcome, reason] + unarchived.reasons[outcome, reason]
                value = kept.at_least((outcome, reason), count)
                self.sample("trials_without_accuracy", (*labels, outcome, reason), value)
        retries = kept.at_least(("retries",), totals.retries + unarchived.retries)
        self.sample("trial_retries", labels, retries)
        self.sample("gpu_seconds", labels, totals.gpu_seconds)
        self.sample("gpu_seconds_saved", labels, totals.gpu_seconds_saved)
        _add_distribution(self._durations, labels, totals.durations)
        _add_distribution(self._accuracies, labels, totals.accuracies)
        self.sample("trials_running", labels, unarchived.running)
        self.sample("gpus_in_use", labels, unarchived.gpus + search.finalist_gpus)

    def _add_settings(self, labels: tuple[str, str], state: SearchState, uid: str) -> None:
        settings = state.settings
        self.sample("trials_budget", labels, settings.budget.trials)
        self.sample("parallelism", labels, settings.parallelism)
        self.sample("failed_trials_limit", labels, settings.failure_policy.max_failed_trials)
        values = (uid, settings.preset, settings.agent.algorithm, settings.dataset.name)
        self._info.add_metric(labels, dict(zip(INFO_LABELS, values, strict=True)))

    def _add_learning(self, labels: tuple[str, str], totals: SearchTotals) -> None:
        latest = latest_iteration(totals.state)
        self.sample("iteration_mean_reward", labels, mean_reward(latest))
        self.sample("iteration_layers", labels, mean_layers(latest))
        self.sample("random_mean_reward", labels, totals.random_mean_reward)
        predictions = totals.state.archive.predictions
        if totals.state.settings.agent.predictor is not None:
            self.sample("predicted_trials", labels, len(predictions))
            self.sample("prediction_rank_correlation", labels, predictions.rank_correlation)
        for statistic, value in accuracy_statistics(latest).items():
            self.sample("iteration_accuracy_ratio", (*labels, statistic), value)


_Declared = dict[str, tuple[str, tuple[str, ...]]]
"""Name without `blockqnn_` -> the meaning, and the labels besides namespace and search."""

_COUNTERS: _Declared = {
    "trials": ("Trials whose outcome is known, by outcome.", ("outcome",)),
    "trials_without_accuracy": (
        "Infeasible and failed trials, by reason; reasons of custom trainers are Other.",
        ("outcome", "reason"),
    ),
    "trial_retries": ("Further attempts at trials whose Jobs ended without a result.", ()),
    "gpu_seconds": ("GPU time of the trials in the history, which budget.gpuHours limits.", ()),
    "gpu_seconds_saved": (
        "GPU time that cached trials would have taken, had they been trained.",
        (),
    ),
    "finalist_gpu_seconds": ("GPU time of the finalists in the history.", ()),
}

_GAUGES: _Declared = {
    "trials_running": ("Trials that train now: one for each running Job.", ()),
    "trials_budget": ("Trials of the budget.", ()),
    "parallelism": ("Maximum number of trials that run at the same time.", ()),
    "failed_trials_limit": ("Maximum number of failed trials.", ()),
    "gpus_in_use": ("GPUs of the running Jobs, those of finalists included.", ()),
    "iteration": ("Iterations in the history.", ()),
    "epsilon": ("Probability of a random layer in the current iteration, from 0 to 1.", ()),
    "best_accuracy_ratio": ("Validation accuracy of the block with the highest reward.", ()),
    "best_converged_accuracy_ratio": (
        "Highest accuracy of a finalist on the search's own dataset, the mean over its seeds.",
        (),
    ),
    "finalists": ("Finalists with an outcome: Succeeded, Infeasible or Failed.", ("outcome",)),
    "finalists_running": ("Finalists whose Job has no outcome yet.", ()),
    "finalists_wanted": ("Finalists that the search asks for, as far as they are known yet.", ()),
    "best_reward": ("Reward of the best block, in percent.", ()),
    "iteration_mean_reward": (
        "Mean reward of the latest iteration in the history, in percent.",
        (),
    ),
    "iteration_layers": ("Mean number of layers of the blocks of the latest iteration.", ()),
    "random_mean_reward": (
        "Mean reward of the iterations with epsilon 1, in percent: the baseline of learning.",
        (),
    ),
    "predicted_trials": ("Trials in the history that the predictor chose.", ()),
    "prediction_rank_correlation": (
        "Spearman's correlation of predicted and measured rewards, from -1 to 1.",
        (),
    ),
    "iteration_accuracy_ratio": (
        "Minimum, quartiles and maximum of the accuracies of the latest iteration.",
        ("statistic",),
    ),
    "search_phase": ("1 for the current phase of the search, else 0.", ("phase",)),
    "search_condition": ("1 if the condition is true, else 0.", ("condition",)),
    "search_start_timestamp_seconds": ("Start of the search, in seconds since 1970.", ()),
    "search_completion_timestamp_seconds": ("Completion of the search, in seconds since 1970.", ()),
    "search_estimated_completion_timestamp_seconds": (
        "Expected completion at the rate so far, in seconds since 1970.",
        (),
    ),
}


def _add_distribution(
    family: HistogramMetricFamily, labels: tuple[str, str], values: Distribution
) -> None:
    buckets, count = [], 0
    for bound, number in zip((*values.bounds, float("inf")), values.counts, strict=True):
        count += number
        buckets.append((_bound(bound), float(count)))
    family.add_metric(labels, buckets, sum_value=values.total)


def _bound(value: float) -> str:
    return "+Inf" if value == float("inf") else str(float(value))
