"""Totals of a search's trials, for those who count them from outside. Pure.

The sums over the history are kept and only ever extended, so that a look at a search of ten
thousand trials every few seconds costs only the records since the last one. The open trials are
counted anew each time.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, quantiles

from blockqnn.contract.message import Outcome
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_operator.core.judging.pod_start import CANNOT_START
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.open_trials import OpenTrials

DURATION_BOUNDS = (10.0, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)
"""Seconds of a trial: from a test's to four times the default time limit of two hours."""

ACCURACY_BOUNDS = tuple(round(0.05 * step, 2) for step in range(1, 21))
"""Twenty steps of five percent: fine enough to see a distribution move, and few series."""

KNOWN_REASONS: dict[Outcome, tuple[str, ...]] = {
    Outcome.INFEASIBLE: ("OutOfMemory", "NotFinite", "NeverLearned", "OverConstraint"),
    Outcome.FAILED: (
        "BackoffLimitExceeded",
        "BlockInvalid",
        "DatasetInvalid",
        "DatasetMissing",
        "DatasetTooLarge",
        "DeadlineExceeded",
        "Error",
        "Killed",
        "NetworkInvalid",
        "PodFailurePolicy",
        "ResultInvalid",
        "ResultMissing",
        "Terminated",
        *sorted(CANNOT_START),
    ),
}
"""Reasons for a missing accuracy from this project's trainer, the operator and Kubernetes."""

OTHER_REASON = "Other"
"""Stands for every unknown reason: a custom trainer may give any, and a metric must not have one
series for each."""

STATISTICS = ("minimum", "lower quartile", "median", "upper quartile", "maximum")


@dataclass(slots=True)
class Distribution:
    """Number of values up to each of some bounds, and their sum.

    Args:
        bounds: in ascending order; a value counts where it is at most the bound.
    """

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Add a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


Reasons = Counter[tuple[Outcome, str]]


@dataclass(slots=True)
class SearchTotals:
    """The sums over the records of a search's history."""

    state: SearchState
    counted: int = 0
    """Number of its records that are in the sums."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Reasons = field(default_factory=Counter)
    retries: int = 0
    gpu_seconds: float = 0.0
    gpu_seconds_saved: float = 0.0
    """Accelerator time that cached trials would have taken."""
    random_rewards: int = 0
    """Number of trials with a reward that were chosen at random, in iterations with epsilon 1."""
    random_reward_total: float = 0.0
    durations: Distribution = field(default_factory=lambda: Distribution(DURATION_BOUNDS))
    accuracies: Distribution = field(default_factory=lambda: Distribution(ACCURACY_BOUNDS))

    def catch_up(self) -> None:
        """Add the records that have entered the history since the last call."""
        for record in self.state.archive.records[self.counted :]:
            self._add(record)
            self.counted += 1

    @property
    def random_mean_reward(self) -> float | None:
        """The mean reward of the trials chosen at random, in percent."""
        return self.random_reward_total / self.random_rewards if self.random_rewards else None

    def _add(self, record: TrialRecord) -> None:
        self.outcomes[record.outcome] += 1
        self.reasons.update(_reasons(record.outcome, record.reason))
        self.retries += record.attempt
        self.gpu_seconds += record.gpu_seconds
        if record.shared_with is not None:
            self.gpu_seconds_saved += self.state.archive.records[record.shared_with].gpu_seconds
        if record.reward is not None and self.state.agent.epsilon(record.iteration) >= 1:
            self.random_reward_total += record.reward
            self.random_rewards += 1
        if record.seconds is not None:
            self.durations.add(record.seconds.total)
        if record.accuracy is not None:
            self.accuracies.add(record.accuracy)


@dataclass(frozen=True, slots=True)
class Open:
    """Totals of the trials that are not in the history yet."""

    outcomes: Counter[Outcome]
    reasons: Reasons
    retries: int
    running: int
    """Trials that train: one for each Job with a trial that has no outcome yet."""
    gpus: int
    """Accelerators of those Jobs."""


def count_open(open_trials: OpenTrials | None, archived: int) -> Open:
    """Count the open trials.

    Args:
        open_trials: the open trials as last surveyed; None when they are not known.
        archived: the number of trials in the history by now; the open trials may be older.
    """
    trials = [t for t in (open_trials.trials if open_trials else ()) if t.number >= archived]
    running = [trial.job for trial in trials if trial.stage is Stage.RUNNING and trial.job]
    jobs = {job.name: job for job in running}
    reasons: Reasons = Counter()
    for trial in trials:
        if trial.verdict is not None and trial.shared_with is None:
            reasons.update(_reasons(trial.verdict.outcome, trial.verdict.reason))
    return Open(
        outcomes=Counter(trial.outcome for trial in trials if trial.outcome),
        reasons=reasons,
        retries=sum(trial.attempt for trial in trials),
        running=len(jobs),
        gpus=sum(job.gpus for job in jobs.values()),
    )


def _reasons(outcome: Outcome, reason: str) -> list[tuple[Outcome, str]]:
    known_reasons = KNOWN_REASONS.get(outcome)
    if known_reasons is None:
        return []
    return [(outcome, reason if reason in known_reasons else OTHER_REASON)]


def latest_iteration(state: SearchState) -> Sequence[TrialRecord]:
    """Return the records of the latest iteration in the history, in trial order."""
    size, records = state.settings.agent.batch_size, state.archive.records
    return records[max(len(records) - 1, 0) // size * size :]


def mean_reward(records: Sequence[TrialRecord]) -> float | None:
    """Return the mean reward of those records that have one, in percent."""
    rewards = [record.reward for record in records if record.reward is not None]
    return fmean(rewards) if rewards else None


def mean_layers(records: Sequence[TrialRecord]) -> float | None:
    """Return the mean number of layers of the blocks, without the terminal."""
    # Each scrape asks: codes are counted, not parsed. The last layer is the terminal.
    lengths = [record.block.count("(") - 1 for record in records]
    return fmean(lengths) if lengths else None


def accuracy_statistics(records: Sequence[TrialRecord]) -> dict[str, float]:
    """Return the extremes and quartiles of the accuracies, by name; empty where there is none."""
    values = [record.accuracy for record in records if record.accuracy is not None]
    if not values:
        return {}
    middle = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return dict(zip(STATISTICS, (min(values), *middle, max(values)), strict=True))
