"""The decision: from what is observed to what to do. Pure, total and deterministic.

The order of a trial's traces is always: annotation, then history, then deletion of the Job. Each
pass does at most the next step, from what it sees, so a crash anywhere is followed by the same
steps again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from blockqnn.contract.message import Outcome
from blockqnn_operator.core.archiving import record_of
from blockqnn_operator.core.budget import NO_TRIAL, ends_at, spent
from blockqnn_operator.core.events import Event, events_of
from blockqnn_operator.core.ledger import Ledger, OpenTrial, Stage, group_of, survey
from blockqnn_operator.core.observation import Observed, TrialJob
from blockqnn_operator.core.preparation import Preparation, prepare
from blockqnn_operator.core.records import TrialRecord
from blockqnn_operator.core.retention import NOTHING_TO_CLEAN, Cleanup, clean_up
from blockqnn_operator.core.state import SearchState


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now; every part may be empty, and each is safe to do twice."""

    ledger: Ledger
    preparation: Preparation
    """Whether the images are ready, and the Job that makes them so."""
    create: tuple[tuple[OpenTrial, ...], ...] = ()
    """The trials of each Job that is to be created."""
    annotate: tuple[OpenTrial, ...] = ()
    """Trials whose Pods report a result that must become their Jobs' annotation."""
    archive: tuple[TrialRecord, ...] = ()
    """Records to append to the history, in trial order."""
    cleanup: Cleanup = NOTHING_TO_CLEAN
    """Jobs to label and to delete: their records are in the history, or they are stopped."""
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    """Seconds after which to look again although nothing may have happened."""


def plan(observed: Observed, state: SearchState) -> Plan:
    """Decide what to do about a search."""
    ledger = survey(observed, state)
    last = last_wanted(observed, state, ledger)
    archive = _to_archive(ledger, state, last)
    cleanup = clean_up(_own(observed, ledger.leftovers), state)
    stopped = _to_stop(observed, ledger, state, last)
    preparation = prepare(observed, state, wanted=bool(wanted(ledger, last)))
    return Plan(
        ledger=ledger,
        preparation=preparation,
        create=_to_create(ledger, state, last) if preparation.ready else (),
        annotate=tuple(trial for trial in ledger.trials if trial.to_annotate),
        archive=archive,
        cleanup=replace(cleanup, delete=(*cleanup.delete, *stopped, *preparation.delete)),
        events=events_of(ledger, state, archive),
        requeue_after=_look_again(observed, state, ledger, preparation),
    )


def too_many_failures(ledger: Ledger, state: SearchState) -> bool:
    """Say whether more trials have failed than the search tolerates."""
    failed = state.archive.outcomes[Outcome.FAILED] + ledger.outcomes()[Outcome.FAILED]
    return failed > state.settings.failure_policy.max_failed_trials


def last_wanted(observed: Observed, state: SearchState, ledger: Ledger) -> int | None:
    """Return the last trial that is to be brought to its end; None while trials are started.

    A suspended or failed search starts none. When a budget is reached, those that were started are
    brought to their end, one whose Job was lost on the way included, since the history has no gaps;
    but of a search that is to stop at once, only those up to the one that reached the goal.
    """
    if state.settings.suspend or too_many_failures(ledger, state):
        return NO_TRIAL
    reached = spent(observed, state, ledger)
    if reached is None:
        return None
    if state.settings.suspend_policy == "Stop":
        return reached.trial
    return max((trial.number for trial in ledger.trials if trial.job), default=NO_TRIAL)


def drained(ledger: Ledger, last: int | None) -> bool:
    """Say whether nothing runs or is to be started, given the last trial that is wanted."""
    if last is None or ledger.at(Stage.RUNNING):
        return False
    return not any(trial.number <= last for trial in ledger.at(Stage.UNSTARTED))


def wanted(ledger: Ledger, last: int | None) -> tuple[OpenTrial, ...]:
    """Return the trials that are to be started, given the last that is wanted."""
    return tuple(t for t in ledger.at(Stage.UNSTARTED) if last is None or t.number <= last)


def _to_create(
    ledger: Ledger, state: SearchState, last: int | None
) -> tuple[tuple[OpenTrial, ...], ...]:
    """Return the trials to be started now, those of each Job together.

    Which trials may share a Job depends on their numbers alone, so that the same Jobs come out
    again after a crash.
    """
    groups: dict[tuple[int, int, int], list[OpenTrial]] = {}
    for trial in wanted(ledger, last):
        group = group_of(trial.proposal, state)[0]
        groups.setdefault((trial.proposal.iteration, group, trial.attempt), []).append(trial)
    free = state.settings.parallelism - ledger.running_jobs
    return tuple(tuple(group) for group in groups.values())[: max(free, 0)]


def _to_stop(
    observed: Observed, ledger: Ledger, state: SearchState, last: int | None
) -> tuple[str, ...]:
    """Return the Jobs that are of no use any more although they run.

    Those of trials beyond a budget that was lowered never are; those of open trials, when no more
    are started, by the user's choice. What has ended, or reports just now, is left to be collected.
    """
    end = max(state.settings.budget.trials, len(state.archive))
    beyond = [
        job.name
        for job in _own(observed, observed.jobs)
        if all(part.trial >= end for part in job.parts) and not job.is_over
    ]
    if last is None or state.settings.suspend_policy != "Stop":
        return tuple(beyond)
    running = dict.fromkeys(
        trial.job.name
        for trial in ledger.at(Stage.RUNNING)
        if trial.job and trial.number > last and not trial.job.condition
    )
    # A Job with something to be collected, or with a trial that is wanted, is left to its end.
    for trial in ledger.trials:
        kept = trial.to_annotate or trial.stage is Stage.OVER or trial.number <= last
        if trial.job and (kept or trial.job.result):
            running.pop(trial.job.name, None)
    return (*beyond, *running)


def _to_archive(ledger: Ledger, state: SearchState, last: int | None) -> tuple[TrialRecord, ...]:
    """Return the records of the iterations that are over, in order, without a gap.

    The last iteration counts as over when the budget ends in its middle; so does one in which no
    more trials are started and none runs: the history then ends before the first without a result.
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
    if drained(ledger, last):
        complete += pending
    return tuple(complete)


def _own(observed: Observed, jobs: Sequence[TrialJob]) -> list[TrialJob]:
    return [job for job in jobs if job.owner_uid == observed.search.uid]


def _look_again(
    observed: Observed, state: SearchState, ledger: Ledger, preparation: Preparation
) -> float | None:
    moments = [trial.judgement.wait_until for trial in ledger.trials]
    moments.append(preparation.wait_until)
    end = ends_at(observed, state)
    if end is not None and end > observed.now:
        moments.append(end)
    waits = [(moment - observed.now).total_seconds() for moment in moments if moment]
    return max(min(waits), 0.1) if waits else None
