"""Budget of a search: its trials, its time, its GPU hours, or an accuracy that is enough.

A budget decides only after which trial the history ends, never what is in it: trials are started in
order, and proposals depend on whole iterations. So a search that stops in the middle of an
iteration, and whose budget is raised later, goes on exactly as if it had never stopped.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from blockqnn_api.durations import seconds
from blockqnn_api.errors import ObjectUnreadable
from blockqnn_api.history.replay import SearchState
from blockqnn_api.object_fields import Fields
from blockqnn_api.status import Reason
from blockqnn_operator.core.judging.trial import TrialVerdict
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.open_trials import OpenTrial, OpenTrials

SECONDS_PER_HOUR = 3600

NO_TRIAL = -1
"""A number that is less than that of every trial."""


@dataclass(frozen=True, slots=True)
class BudgetExhausted:
    """Reason why no more trials are started."""

    reason: Reason
    message: str
    trial: int = NO_TRIAL
    """The open trial that brought the result; the history must include it."""


def started_at(observed: Observed, state: SearchState) -> datetime:
    """Return when the search started; if its status was lost, when it was created."""
    try:
        began = Fields(observed.search.status).time("startTime")
    except ObjectUnreadable:
        began = None
    if began is not None:
        return began
    return observed.search.created_at if len(state.archive) else observed.now


def ends_at(observed: Observed, state: SearchState) -> datetime | None:
    """Return when the time of the search is up; None when it has no limit."""
    duration = state.settings.budget.duration
    if duration is None:
        return None
    return started_at(observed, state) + timedelta(seconds=seconds(duration))


def spent(
    observed: Observed, state: SearchState, open_trials: OpenTrials
) -> BudgetExhausted | None:
    """Return the part of the budget that is used up; None while some of each part is left.

    The order keeps a finished search from changing its reason: what a result has reached stays so,
    whereas time goes on.
    """
    return (
        _goal(state, open_trials)
        or _trials(state)
        or _gpu_hours(state, open_trials)
        or _duration(observed, state)
    )


def _goal(state: SearchState, open_trials: OpenTrials) -> BudgetExhausted | None:
    target = state.settings.budget.target_accuracy
    if target is None:
        return None
    reached = [(state.archive.best_accuracy, NO_TRIAL)]
    reached += [(_accuracy(trial), trial.number) for trial in open_trials.at(Stage.OVER)]
    enough = [(accuracy, trial) for accuracy, trial in reached if accuracy >= target]
    if not enough:
        return None
    accuracy, trial = enough[0]
    return BudgetExhausted(
        Reason.GOAL_REACHED,
        f"A trial reached an accuracy of {accuracy:.4f}; spec.budget.targetAccuracy is "
        f"{target:g}. Raise or remove it to continue.",
        trial,
    )


def _accuracy(trial: OpenTrial) -> float:
    result = trial.verdict.result if trial.verdict else None
    return (result.accuracy or 0.0) if result else 0.0


def _trials(state: SearchState) -> BudgetExhausted | None:
    trials = state.settings.budget.trials
    if len(state.archive) < trials:
        return None
    return BudgetExhausted(Reason.BUDGET_SPENT, f"All {trials} trials of the budget have a result.")


def _gpu_hours(state: SearchState, open_trials: OpenTrials) -> BudgetExhausted | None:
    most = state.settings.budget.gpu_hours
    if most is None:
        return None
    used = state.archive.gpu_seconds + sum(
        trial.job.gpus * _seconds(trial.verdict)
        for trial in open_trials.at(Stage.OVER)
        if trial.job and trial.verdict and trial.shared_with is None
    )
    if used < most * SECONDS_PER_HOUR:
        return None
    return BudgetExhausted(
        Reason.GPU_HOURS_SPENT,
        f"The trials took {used / SECONDS_PER_HOUR:.2f} GPU hours; spec.budget.gpuHours is "
        f"{most:g}. Raise it to continue.",
    )


def _seconds(verdict: TrialVerdict) -> float:
    return verdict.result.seconds.total if verdict.result else verdict.seconds


def _duration(observed: Observed, state: SearchState) -> BudgetExhausted | None:
    end = ends_at(observed, state)
    if end is None or observed.now < end:
        return None
    return BudgetExhausted(
        Reason.DURATION_SPENT,
        f"The search has lasted for spec.budget.duration, {state.settings.budget.duration}. "
        "Raise it to continue.",
    )
