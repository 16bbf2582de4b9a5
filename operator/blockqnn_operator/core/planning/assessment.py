"""Decides whether a search wants trials, and whether its trials are over. Pure."""

from blockqnn.contract.message import Outcome
from blockqnn_api.history.replay import SearchState
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.budget import NO_TRIAL, spent
from blockqnn_operator.core.planning.open_trials import OpenTrial, OpenTrials, Stage


def too_many_failures(open_trials: OpenTrials, state: SearchState) -> bool:
    """Return whether more trials have failed than the search tolerates."""
    failed = state.archive.outcomes[Outcome.FAILED] + open_trials.outcomes()[Outcome.FAILED]
    return failed > state.settings.failure_policy.max_failed_trials


def last_wanted(observed: Observed, state: SearchState, open_trials: OpenTrials) -> int | None:
    """Return the last trial that must still end; None while trials are started.

    A suspended or failed search starts none. When a budget is reached, the trials that were started
    still run to their end, even one whose Job was lost on the way, since the history has no gaps;
    but in a search that must stop at once, only those up to the one that reached the goal.
    """
    if state.settings.suspend or too_many_failures(open_trials, state):
        return NO_TRIAL
    reached = spent(observed, state, open_trials)
    if reached is None:
        return None
    if state.settings.suspend_policy == "Stop":
        return reached.trial
    return max((trial.number for trial in open_trials.trials if trial.job), default=NO_TRIAL)


def drained(open_trials: OpenTrials, last: int | None) -> bool:
    """Return whether nothing runs or is to be started, given the last trial that is wanted."""
    if last is None or open_trials.at(Stage.RUNNING):
        return False
    return not any(trial.number <= last for trial in open_trials.at(Stage.UNSTARTED))


def wanted(open_trials: OpenTrials, last: int | None) -> tuple[OpenTrial, ...]:
    """Return the trials that are to be started, given the last that is wanted."""
    return tuple(t for t in open_trials.at(Stage.UNSTARTED) if last is None or t.number <= last)


def is_over(observed: Observed, state: SearchState, open_trials: OpenTrials) -> bool:
    """Return whether a part of the budget is spent, nothing runs, and every result is stored.

    Args:
        observed: the snapshot of the search.
        state: its history, with what was archived in this pass.
        open_trials: the open trials, as they were before this pass.
    """
    unarchived = without_archived(open_trials, state)
    if spent(observed, state, unarchived) is None:
        return False
    pending = bool(unarchived.trials) and unarchived.trials[0].stage is Stage.OVER
    return drained(unarchived, last_wanted(observed, state, unarchived)) and not pending


def without_archived(open_trials: OpenTrials, state: SearchState) -> OpenTrials:
    """Return the open trials without those that have entered the history since."""
    archived = len(state.archive)
    return OpenTrials(tuple(trial for trial in open_trials.trials if trial.number >= archived), ())
