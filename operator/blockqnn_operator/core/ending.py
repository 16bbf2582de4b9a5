"""Whether a search's own trials are over, after which its finalists are trained. Pure."""

from blockqnn_operator.core.budget import spent
from blockqnn_operator.core.ledger import Ledger, Stage
from blockqnn_operator.core.observation import Observed
from blockqnn_operator.core.planning import drained, last_wanted
from blockqnn_operator.core.state import SearchState


def is_over(observed: Observed, state: SearchState, ledger: Ledger) -> bool:
    """Say whether a part of the budget is spent, nothing runs, and every result is stored.

    Args:
        observed: what is seen of the search.
        state: its history, with what was archived in this pass.
        ledger: the open trials, as they were before this pass.
    """
    left = without_archived(ledger, state)
    if spent(observed, state, left) is None:
        return False
    pending = bool(left.trials) and left.trials[0].stage is Stage.OVER
    return drained(left, last_wanted(observed, state, left)) and not pending


def without_archived(ledger: Ledger, state: SearchState) -> Ledger:
    """Return the open trials without those that have entered the history since."""
    archived = len(state.archive)
    return Ledger(tuple(trial for trial in ledger.trials if trial.number >= archived), ())
