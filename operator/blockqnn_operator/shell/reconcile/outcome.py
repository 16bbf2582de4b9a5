"""A pass over one search: what came of its plan, and the Events that follow."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from blockqnn_api.events import EventReason
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.events import Event, deleted_jobs
from blockqnn_operator.core.planning.open_trials import OpenTrial
from blockqnn_operator.core.planning.trials import Plan
from blockqnn_operator.core.reporting.conditions import Problem
from blockqnn_operator.shell.reconcile.state import ReconcileState


@dataclass(slots=True)
class Outcome:
    """Parts of its plans that a pass has carried out, and the reason why others had to wait."""

    created: list[Sequence[OpenTrial]] = field(default_factory=list)
    """The trials of each Job that did not exist before."""
    problems: list[Problem] = field(default_factory=list)
    note: str = ""
    """A clause about what running trials wait for, if anything."""
    acted: bool = False
    """It has changed what holds of the search or its finalists."""
    cut_short: bool = False
    """More Jobs are to be created at once, in the next pass."""


def events_of_pass(
    observed: Observed, decided: Plan, outcome: Outcome, memory: ReconcileState
) -> tuple[Event, ...]:
    """Return the events of what the API server did beside its answers.

    They are its warnings, its return to an earlier state, and the Jobs that existed at the last
    pass and had to be created again.
    """
    events = deleted_jobs(observed.search, outcome.created, memory.seen_jobs, observed.now)
    seen = {trial.job.name for trial in decided.assessment.open_trials.trials if trial.job}
    memory.seen_jobs = seen.difference(decided.cleanup.delete)
    return (*events, *_events_of_warnings(memory.warnings), *_events_of_restoring(memory))


def _events_of_restoring(memory: ReconcileState) -> tuple[Event, ...]:
    before, memory.restored = memory.restored, None
    if before is None or memory.state is None or before == len(memory.state.archive):
        return ()
    records = len(memory.state.archive)
    event = Event(
        f"{EventReason.HISTORY_RESTORED}/{before}/{records}",
        "Warning",
        EventReason.HISTORY_RESTORED,
        f"The API server went back to an earlier state: the history has {records} trials, where it "
        f"had {before}. The search goes on from there.",
    )
    return (event,)


def _events_of_warnings(warnings: Iterable[str]) -> tuple[Event, ...]:
    """Return the events of the API server's warnings, one for each text."""
    return tuple(
        Event(
            f"{EventReason.API_SERVER_WARNING}/{hashlib.sha256(words.encode()).hexdigest()[:16]}",
            "Warning",
            EventReason.API_SERVER_WARNING,
            f"The API server warns about a Job: {words}",
        )
        for words in sorted(warnings)
    )
