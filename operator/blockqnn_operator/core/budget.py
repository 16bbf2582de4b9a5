"""When a search has had enough: its trials, its time, its GPUs, or an accuracy that is enough.

A budget decides only after which trial the history ends, never what is in it: trials are started in
order, and what is proposed depends on whole iterations. So a search that is cut short in the middle
of one, and whose budget is raised later, goes on exactly as if it had never been cut.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from blockqnn_operator.api.durations import seconds
from blockqnn_operator.api.status import Reason
from blockqnn_operator.core.ledger import Ledger, OpenTrial, Stage
from blockqnn_operator.core.observation import Observed, read_time
from blockqnn_operator.core.state import SearchState

SECONDS_PER_HOUR = 3600

NO_TRIAL = -1
"""A number that is less than that of every trial."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Why no more trials are started."""

    reason: Reason
    message: str
    trial: int = NO_TRIAL
    """The open trial that brought the result; the history must come to it."""


def started_at(observed: Observed, state: SearchState) -> datetime:
    """Say when the search started; of one whose status was lost, when it was created."""
    text = observed.search.status.get("startTime")
    if text:
        return read_time(text)
    return observed.search.created_at if len(state.archive) else observed.now


def ends_at(observed: Observed, state: SearchState) -> datetime | None:
    """Say when the time of the search is up; None when it may take for ever."""
    duration = state.settings.budget.duration
    if duration is None:
        return None
    return started_at(observed, state) + timedelta(seconds=seconds(duration))


def spent(observed: Observed, state: SearchState, ledger: Ledger) -> Spent | None:
    """Say which part of the budget is used up; None while there is something left of each.

    The order is that in which a finished search must not change its mind: what a result has
    reached stays so, whereas time goes on.
    """
    return (
        _goal(state, ledger)
        or _trials(state)
        or _gpu_hours(state, ledger)
        or _duration(observed, state)
    )


def _over(state: SearchState, ledger: Ledger) -> Iterator[OpenTrial]:
    """Yield the trials whose result is durable but not in the history yet."""
    archived = len(state.archive)
    return (t for t in ledger.trials if t.number >= archived and t.stage is Stage.OVER)


def _goal(state: SearchState, ledger: Ledger) -> Spent | None:
    target = state.settings.budget.target_accuracy
    if target is None:
        return None
    reached = [(state.archive.best_accuracy, NO_TRIAL)]
    reached += [(_accuracy(trial), trial.number) for trial in _over(state, ledger)]
    enough = [(accuracy, trial) for accuracy, trial in reached if accuracy >= target]
    if not enough:
        return None
    accuracy, trial = enough[0]
    return Spent(
        Reason.GOAL_REACHED,
        f"A trial reached an accuracy of {accuracy:.4f}; spec.budget.targetAccuracy is "
        f"{target:g}. Raise it, or take it away, to go on.",
        trial,
    )


def _accuracy(trial: OpenTrial) -> float:
    result = trial.verdict.result if trial.verdict else None
    return (result.accuracy or 0.0) if result else 0.0


def _trials(state: SearchState) -> Spent | None:
    trials = state.settings.budget.trials
    if len(state.archive) < trials:
        return None
    return Spent(Reason.BUDGET_SPENT, f"All {trials} trials of the budget are done.")


def _gpu_hours(state: SearchState, ledger: Ledger) -> Spent | None:
    most = state.settings.budget.gpu_hours
    if most is None:
        return None
    used = state.archive.gpu_seconds + sum(
        trial.job.gpus * trial.verdict.result.seconds.total
        for trial in _over(state, ledger)
        if trial.job and trial.verdict and trial.verdict.result
    )
    if used < most * SECONDS_PER_HOUR:
        return None
    return Spent(
        Reason.GPU_HOURS_SPENT,
        f"The trials took {used / SECONDS_PER_HOUR:.2f} GPU hours; spec.budget.gpuHours is "
        f"{most:g}. Raise it to go on.",
    )


def _duration(observed: Observed, state: SearchState) -> Spent | None:
    end = ends_at(observed, state)
    if end is None or observed.now < end:
        return None
    return Spent(
        Reason.DURATION_SPENT,
        f"The {state.settings.budget.duration} of spec.budget.duration have passed since the "
        "search started. Raise it to go on.",
    )
