"""The decision: from what is observed to what to do. Pure, total and deterministic.

The order of a trial's traces is always: annotation, then history, then deletion of the Job. Each
pass does at most the next step, from what it sees, so a crash anywhere is followed by the same
steps again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from blockqnn.contract import Outcome
from blockqnn_operator.core.archiving import record_of
from blockqnn_operator.core.events import Event, events_of
from blockqnn_operator.core.ledger import Ledger, OpenTrial, Stage, survey
from blockqnn_operator.core.observation import Observed, TrialJob
from blockqnn_operator.core.records import TrialRecord
from blockqnn_operator.core.retention import NOTHING_TO_CLEAN, Cleanup, clean_up
from blockqnn_operator.core.state import SearchState


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now; every part may be empty, and each is safe to do twice."""

    ledger: Ledger
    create: tuple[OpenTrial, ...] = ()
    """Trials whose Jobs are to be created."""
    annotate: tuple[OpenTrial, ...] = ()
    """Trials whose Pods report a result that must become their Jobs' annotation."""
    archive: tuple[TrialRecord, ...] = ()
    """Records to append to the history, in trial order."""
    cleanup: Cleanup = NOTHING_TO_CLEAN
    """Jobs to label and to delete; their records are in the history."""
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    """Seconds after which to look again although nothing may have happened."""


def plan(observed: Observed, state: SearchState) -> Plan:
    """Decide what to do about a search."""
    ledger = survey(observed, state)
    archive = _to_archive(ledger, state)
    return Plan(
        ledger=ledger,
        create=_to_create(ledger, state),
        annotate=tuple(trial for trial in ledger.trials if trial.to_annotate),
        archive=archive,
        cleanup=clean_up(_own(observed, ledger.leftovers), state),
        events=events_of(ledger, state, archive),
        requeue_after=_look_again(observed, ledger),
    )


def too_many_failures(ledger: Ledger, state: SearchState) -> bool:
    """Say whether more trials have failed than the search tolerates."""
    failed = state.archive.outcomes[Outcome.FAILED] + ledger.outcomes()[Outcome.FAILED]
    return failed > state.settings.failure_policy.max_failed_trials


def _to_create(ledger: Ledger, state: SearchState) -> tuple[OpenTrial, ...]:
    if state.settings.suspend or too_many_failures(ledger, state):
        return ()
    free = state.settings.parallelism - len(ledger.at(Stage.RUNNING))
    return tuple(ledger.at(Stage.UNSTARTED)[: max(free, 0)])


def _to_archive(ledger: Ledger, state: SearchState) -> tuple[TrialRecord, ...]:
    """Return the records of the iterations that are over, in order, without a gap.

    The last iteration counts as over when the budget ends in its middle.
    """
    size, budget = state.settings.agent.batch_size, state.settings.budget.trials
    known: dict[int, TrialRecord] = {}
    complete: list[TrialRecord] = []
    pending: list[TrialRecord] = []
    for trial in ledger.trials:
        if trial.stage is not Stage.OVER:
            break
        record = record_of(trial, state, known)
        known[record.trial] = record
        pending.append(record)
        if (trial.number + 1) % size == 0 or trial.number + 1 == budget:
            complete += pending
            pending = []
    return tuple(complete)


def _own(observed: Observed, jobs: Sequence[TrialJob]) -> list[TrialJob]:
    return [job for job in jobs if job.owner_uid == observed.search.uid]


def _look_again(observed: Observed, ledger: Ledger) -> float | None:
    moments = [trial.judgement.wait_until for trial in ledger.trials]
    waits = [(moment - observed.now).total_seconds() for moment in moments if moment]
    return max(min(waits), 0.1) if waits else None
