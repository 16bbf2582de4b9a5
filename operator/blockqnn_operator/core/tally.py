"""What the trials of a search add up to, for those who count them from outside. Pure.

The sums over the history are kept and only ever extended, so that looking at a search of ten
thousand trials every few seconds costs what has come since. What the open trials add is counted
anew each time.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, quantiles

from blockqnn.contract.message import Outcome
from blockqnn_operator.core.ledger import Ledger, Stage
from blockqnn_operator.core.records import TrialRecord
from blockqnn_operator.core.starting import CANNOT_START
from blockqnn_operator.core.state import SearchState

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
"""Why a trial has no accuracy, as this project's trainer, the operator and Kubernetes say it."""

OTHER_REASON = "Other"
"""Stands for every reason that is not known: a trainer of one's own may give any, and a metric must
not have one series for each."""

STATISTICS = ("minimum", "lower quartile", "median", "upper quartile", "maximum")


@dataclass(slots=True)
class Distribution:
    """How many values there are up to each of some bounds, and their sum.

    Args:
        bounds: in ascending order; a value counts where it is at most the bound.
    """

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Take in a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


Reasons = Counter[tuple[Outcome, str]]


@dataclass(slots=True)
class Tally:
    """The sums over the records of a search's history."""

    state: SearchState
    counted: int = 0
    """How many of its records are in the sums."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Reasons = field(default_factory=Counter)
    retries: int = 0
    gpu_seconds: float = 0.0
    gpu_seconds_saved: float = 0.0
    """Accelerator time that cached trials would have taken."""
    random_rewards: int = 0
    """How many trials with a reward were chosen at random: those of iterations with epsilon 1."""
    random_reward_total: float = 0.0
    durations: Distribution = field(default_factory=lambda: Distribution(DURATION_BOUNDS))
    accuracies: Distribution = field(default_factory=lambda: Distribution(ACCURACY_BOUNDS))

    def catch_up(self) -> None:
        """Take in what has entered the history since the last time."""
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
    """What the trials add that are not in the history yet."""

    outcomes: Counter[Outcome]
    reasons: Reasons
    retries: int
    running: int
    """Trials that train: one for each Job with a trial that has no outcome yet."""
    gpus: int
    """Accelerators of those Jobs."""


def count_open(ledger: Ledger | None, archived: int) -> Open:
    """Count the open trials.

    Args:
        ledger: the open trials as last surveyed; None when they are not known.
        archived: how many trials are in the history by now; the ledger may be older.
    """
    trials = [t for t in (ledger.trials if ledger else ()) if t.number >= archived]
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
    known = KNOWN_REASONS.get(outcome)
    if known is None:
        return []
    return [(outcome, reason if reason in known else OTHER_REASON)]


def latest_iteration(state: SearchState) -> Sequence[TrialRecord]:
    """Return the records of the latest iteration in the history, in trial order."""
    size, records = state.settings.agent.batch_size, state.archive.records
    return records[max(len(records) - 1, 0) // size * size :]


def mean_reward(records: Sequence[TrialRecord]) -> float | None:
    """Return the mean reward of those records that have one, in percent."""
    rewards = [record.reward for record in records if record.reward is not None]
    return fmean(rewards) if rewards else None


def accuracy_statistics(records: Sequence[TrialRecord]) -> dict[str, float]:
    """Return the extremes and quartiles of the accuracies, by name; empty where there is none."""
    values = [record.accuracy for record in records if record.accuracy is not None]
    if not values:
        return {}
    middle = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return dict(zip(STATISTICS, (min(values), *middle, max(values)), strict=True))
