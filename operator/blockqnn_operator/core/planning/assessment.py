"""Assessment of a search: what holds of it now. Pure.

It is worked out once from a snapshot and the history, and handed to all that decide or report, so
that a pass never has two opinions about the same thing.
"""

from dataclasses import dataclass
from datetime import datetime

from blockqnn.contract.message import Outcome
from blockqnn_api.history.replay import SearchState
from blockqnn_operator.core.judging.preparation import Preparation
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.budget import (
    NO_TRIAL,
    BudgetExhausted,
    ends_at,
    spent,
    started_at,
)
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.open_trials import OpenTrial, OpenTrials, list_open_trials
from blockqnn_operator.core.planning.preparation import prepare

FIRST_TRIALS = 3
"""So many trials at least must fail at the beginning before a search stops for it."""


@dataclass(frozen=True, slots=True)
class SearchAssessment:
    """Facts about a search at one moment."""

    open_trials: OpenTrials
    started_at: datetime
    """When the search started."""
    ends_at: datetime | None
    """When the time of the search is up; None when it has no limit."""
    spent: BudgetExhausted | None
    """The part of the budget that is used up; None while some of each part is left."""
    too_many_failures: bool
    """More trials have failed than the search tolerates."""
    first_trials_failed: int
    """Number of trials at the beginning that all failed; 0 unless it is enough to stop for."""
    has_result: bool
    """At least one trial has an accuracy."""
    last_wanted: int | None
    """The last trial that must still end; None while trials are started."""
    wanted: tuple[OpenTrial, ...]
    """The trials that are to be started."""
    drained: bool
    """Nothing runs or is to be started."""
    over: bool
    """A part of the budget is spent, nothing runs, and every result is in the history."""
    preparation: Preparation
    """State of the images that the trials read, and the Job that makes them ready."""


def assess(observed: Observed, state: SearchState) -> SearchAssessment:
    """Assess a search.

    Args:
        observed: the snapshot of the search.
        state: its settings and history.
    """
    open_trials = list_open_trials(observed, state)
    exhausted = spent(observed, state, open_trials)
    outcomes = open_trials.outcomes()
    failed = state.archive.outcomes[Outcome.FAILED] + outcomes[Outcome.FAILED]
    failing = failed > state.settings.failure_policy.max_failed_trials
    succeeded = state.archive.outcomes[Outcome.SUCCEEDED] + outcomes[Outcome.SUCCEEDED]
    first_failed = 0 if succeeded else first_trials_failed(open_trials, state)
    last = last_wanted(state, open_trials, exhausted, failing=failing or first_failed > 0)
    wanted = tuple(t for t in open_trials.at(Stage.UNSTARTED) if last is None or t.number <= last)
    drained = last is not None and not wanted and not open_trials.at(Stage.RUNNING)
    return SearchAssessment(
        open_trials=open_trials,
        started_at=started_at(observed, state),
        ends_at=ends_at(observed, state),
        spent=exhausted,
        too_many_failures=failing,
        first_trials_failed=first_failed,
        has_result=succeeded > 0,
        last_wanted=last,
        wanted=wanted,
        drained=drained,
        over=is_over(open_trials, exhausted, drained=drained),
        preparation=prepare(observed, state, wanted=bool(wanted)),
    )


def first_trials_failed(open_trials: OpenTrials, state: SearchState) -> int:
    """Return how many trials at the beginning of a search without a result have all failed.

    It is 0 unless that is enough: a whole iteration, of :data:`FIRST_TRIALS` trials or more, has a
    cause that the others would meet as well, such as images that are none, or an image that does
    not start. An accuracy of any later trial shows that they do not.
    """
    first = max(state.settings.agent.batch_size, FIRST_TRIALS)
    outcomes: list[Outcome | None] = [r.outcome for r in state.archive.records[:first]]
    outcomes += [trial.outcome for trial in open_trials.trials if trial.number < first]
    failed = len(outcomes) == first and all(outcome is Outcome.FAILED for outcome in outcomes)
    return first if failed else 0


def last_wanted(
    state: SearchState,
    open_trials: OpenTrials,
    exhausted: BudgetExhausted | None,
    *,
    failing: bool,
) -> int | None:
    """Return the last trial that must still end; None while trials are started.

    A suspended or failed search starts none. When a budget is reached, the trials that were started
    still run to their end, even one whose Job was lost on the way, since the history has no gaps;
    but in a search that must stop at once, only those up to the one that reached the goal.
    """
    if state.settings.suspend or failing:
        return NO_TRIAL
    if exhausted is None:
        return None
    if state.settings.suspend_policy == "Stop":
        return exhausted.trial
    return max((trial.number for trial in open_trials.trials if trial.job), default=NO_TRIAL)


def is_over(open_trials: OpenTrials, exhausted: BudgetExhausted | None, *, drained: bool) -> bool:
    """Return whether a part of the budget is spent, nothing runs, and every result is stored."""
    unstored = bool(open_trials.trials) and open_trials.trials[0].stage is Stage.OVER
    return exhausted is not None and drained and not unstored
