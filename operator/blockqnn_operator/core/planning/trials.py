"""Plans the next steps of a search from what is observed. Pure, total and deterministic.

A trial always leaves its traces in this order: annotation, then history, then deletion of the Job.
Each pass does at most the next step, from what it sees, so the same steps follow again after a
crash anywhere.
"""

from dataclasses import dataclass, replace

from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_operator.core.jobs.trial import job_name, trial_template_hash
from blockqnn_operator.core.judging.pod_start import never_ran
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.archiving import record_of
from blockqnn_operator.core.planning.assessment import SearchAssessment
from blockqnn_operator.core.planning.events import Event, events_of, replacements
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.open_trials import OpenTrial, OpenTrials, group_of
from blockqnn_operator.core.planning.retention import NOTHING_TO_CLEAN, Cleanup, clean_up


@dataclass(frozen=True, slots=True)
class Plan:
    """Next steps of a search; every part may be empty, and each is safe to do twice."""

    assessment: SearchAssessment
    """The facts that the plan is made from; the Job of their ``preparation`` is created, too."""
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
    """Seconds until the next look, even if nothing happens before."""


def plan(observed: Observed, state: SearchState, assessment: SearchAssessment) -> Plan:
    """Decide what to do about a search.

    Args:
        observed: the snapshot of the search.
        state: its settings and history.
        assessment: what holds of it, by both.
    """
    open_trials, preparation = assessment.open_trials, assessment.preparation
    archive = _to_archive(assessment, state)
    cleanup = clean_up(open_trials.leftovers, state)
    stopped = _to_stop(observed, assessment, state)
    outdated = _outdated(observed, assessment, state)
    return Plan(
        assessment=assessment,
        create=_to_create(observed, assessment, state) if preparation.ready else (),
        annotate=tuple(trial for trial in open_trials.trials if trial.to_annotate),
        archive=archive,
        cleanup=replace(
            cleanup, delete=(*cleanup.delete, *stopped, *outdated, *preparation.delete)
        ),
        events=(*events_of(open_trials, state, archive), *replacements(outdated)),
        requeue_after=_look_again(observed, assessment),
    )


def _to_create(
    observed: Observed, assessment: SearchAssessment, state: SearchState
) -> tuple[tuple[OpenTrial, ...], ...]:
    """Return the trials to be started now, those of each Job together.

    Which trials may share a Job depends on their numbers alone, so that the same Jobs come out
    again after a crash. A trial whose Job is there and cannot be read is not started anew.
    """
    groups: dict[tuple[int, int, int], list[OpenTrial]] = {}
    for trial in assessment.wanted:
        group = group_of(trial.proposal, state)[0]
        groups.setdefault((trial.proposal.iteration, group, trial.attempt), []).append(trial)
    free = state.settings.parallelism - assessment.open_trials.running_jobs
    startable = [tuple(group) for group in groups.values()][: max(free, 0)]
    search = observed.search.name
    return tuple(
        trials
        for trials in startable
        if not observed.hides(job_name(search, trials[0].number, trials[0].attempt))
    )


def _to_stop(
    observed: Observed, assessment: SearchAssessment, state: SearchState
) -> tuple[str, ...]:
    """Return the running Jobs that are no longer needed.

    Jobs of trials beyond a lowered budget are never needed, nor those that a later attempt has
    replaced; those of open trials, once no more are started, by the user's choice. A Job that has
    ended, or reports just now, is left to be collected.
    """
    open_trials, last = assessment.open_trials, assessment.last_wanted
    end = max(state.settings.budget.trials, len(state.archive))
    beyond = [
        job.name
        for job in observed.own(observed.jobs)
        if all(part.trial >= end for part in job.parts) and not job.is_over
    ]
    beyond += _replaced(observed, open_trials)
    if last is None or state.settings.suspend_policy != "Stop":
        return tuple(beyond)
    running = dict.fromkeys(
        trial.job.name
        for trial in open_trials.at(Stage.RUNNING)
        if trial.job and trial.number > last and not trial.job.condition
    )
    # A Job with something to be collected, or with a trial that is wanted, is left to its end.
    for trial in open_trials.trials:
        kept = trial.to_annotate or trial.stage is Stage.OVER or trial.number <= last
        if trial.job and (kept or (trial.part and trial.part.result)):
            running.pop(trial.job.name, None)
    return (*beyond, *running)


def _replaced(observed: Observed, open_trials: OpenTrials) -> list[str]:
    """Return the running Jobs of trials that have a Job of a later attempt."""
    attempts = {trial.number: trial.job.attempt for trial in open_trials.trials if trial.job}
    return [
        job.name
        for job in observed.own(observed.jobs)
        if not (job.shared or job.is_over) and attempts.get(job.part.trial, 0) > job.attempt
    ]


def _outdated(
    observed: Observed, assessment: SearchAssessment, state: SearchState
) -> tuple[str, ...]:
    """Return the Jobs whose Pods have never run and would be others by today's spec.

    They get another Job: a spec that is corrected because Pods cannot start must reach them.
    """
    if assessment.last_wanted is not None:
        return ()
    current = trial_template_hash(state.settings)
    jobs = {
        trial.job.name: trial.job
        for trial in assessment.open_trials.at(Stage.RUNNING)
        if trial.job and trial.job.template_hash not in ("", current) and not trial.to_annotate
    }
    pods = observed.pods_by_job() if jobs else {}
    return tuple(name for name, job in jobs.items() if never_ran(job, pods[name]))


def _to_archive(assessment: SearchAssessment, state: SearchState) -> tuple[TrialRecord, ...]:
    """Return the records of the iterations that are over, in order, without a gap.

    The last iteration counts as over when the budget ends in its middle; so does one in which no
    more trials are started and none runs: the history then ends before the first trial without a
    result.
    """
    size, budget = state.settings.agent.batch_size, state.settings.budget.trials
    records: dict[int, TrialRecord] = {}
    complete: list[TrialRecord] = []
    pending: list[TrialRecord] = []
    for trial in assessment.open_trials.trials:
        if trial.stage is not Stage.OVER:
            break
        record = record_of(trial, state, records)
        records[record.trial] = record
        pending.append(record)
        if (trial.number + 1) % size == 0 or trial.number + 1 == budget:
            complete += pending
            pending = []
    if assessment.drained:
        complete += pending
    return tuple(complete)


def _look_again(observed: Observed, assessment: SearchAssessment) -> float | None:
    moments = [trial.assessment.wait_until for trial in assessment.open_trials.trials]
    moments += [assessment.preparation.wait_until, assessment.open_trials.wait_until]
    if assessment.ends_at is not None and assessment.ends_at > observed.now:
        moments.append(assessment.ends_at)
    waits = [(moment - observed.now).total_seconds() for moment in moments if moment]
    return max(min(waits), 0.1) if waits else None
