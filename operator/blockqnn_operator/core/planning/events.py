"""Kubernetes Events of a search: they report what happened once, not the present state.

An event's key makes it unique: the shell derives the object's name from it, so that the same event
is never reported twice, not even after a restart.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from blockqnn.contract.finalist import FinalistResult
from blockqnn.contract.message import Outcome
from blockqnn_api.advice import advise
from blockqnn_api.events import EventReason
from blockqnn_api.history.replay import SearchState, best
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.objects import SearchObject, write_time
from blockqnn_api.status import BlockSearchStatus, Condition, ConditionType, Reason
from blockqnn_api.unused_settings import unused_settings
from blockqnn_operator.core.jobs.trial import job_name
from blockqnn_operator.core.planning.open_finalists import OpenFinalist
from blockqnn_operator.core.planning.open_item import OpenItem
from blockqnn_operator.core.planning.open_trials import OpenTrial, OpenTrials


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a search."""

    key: str
    """Key that is unique within the search."""
    type: Literal["Normal", "Warning"]
    reason: str
    """Name of the event, in CamelCase."""
    message: str
    """Description of the event, in a sentence."""


def events_of(
    open_trials: OpenTrials, state: SearchState, archive: Sequence[TrialRecord]
) -> tuple[Event, ...]:
    """Return the events of the open trials and of what enters the history now."""
    events = []
    for trial in open_trials.trials:
        events += _troubles(trial)
        verdict, job = trial.verdict, trial.job
        if job:
            events += _invalid(trial, _subject(trial), f"Trial {trial.number} ({job.name})")
        if verdict and job and verdict.outcome in (Outcome.FAILED, Outcome.INFEASIBLE):
            failed = verdict.outcome is Outcome.FAILED
            events.append(
                Event(
                    f"{_subject(trial)}/{verdict.outcome}",
                    "Warning" if failed else "Normal",
                    EventReason.TRIAL_FAILED if failed else EventReason.TRIAL_INFEASIBLE,
                    f"Trial {trial.number} ({job.name}): {verdict.reason}: {verdict.message}",
                )
            )
    return (*events, *_new_best(state, archive))


def events_of_finalist(open_finalist: OpenFinalist) -> list[Event]:
    """Return the events of an open finalist."""
    job, assessment = open_finalist.job, open_finalist.assessment
    if job is None:
        return []
    who = f"{open_finalist.finalist} ({job.name})"

    def event(kind: Literal["Normal", "Warning"], reason: str, text: str) -> Event:
        return Event(f"{job.name}/{reason}", kind, reason, text)

    events = _invalid(open_finalist, job.name, who)
    result, failure = assessment.result, open_finalist.failure
    if failure:
        text = f"{who}: {failure.reason}: {failure.message}"
        events.append(event("Warning", EventReason.FINALIST_FAILED, text))
    if result and result.damaged_checkpoints:
        events.append(event("Warning", EventReason.CHECKPOINT_DAMAGED, f"{who}: {_damage(result)}"))
    if result and result.accuracy is not None:
        text = f"{who} reached {result.accuracy:.2%} accuracy."
        events.append(event("Normal", EventReason.FINALIST_TRAINED, text))
    elif result:
        text = f"{who}: {result.reason}: {result.message}"
        events.append(event("Normal", EventReason.FINALIST_INFEASIBLE, text))
    return events


def _invalid(item: OpenItem[Any, Any], subject: str, who: str) -> list[Event]:
    """Return the event that a Job's annotation, or a Pod's message, is no result."""
    if not item.assessment.invalid:
        return []
    reason = EventReason.RESULT_INVALID
    return [Event(f"{subject}/{reason}", "Warning", reason, f"{who}: {item.assessment.invalid}")]


def beginning(search: SearchObject, state: SearchState) -> tuple[Event, ...]:
    """Return the events that warn of a search's spec: each is reported once.

    A search that has a status has begun: a restarted operator does not report again that too few
    iterations learn.
    """
    return (*_few_learning_iterations(search, state), *_unused_fields(search, state))


def _few_learning_iterations(search: SearchObject, state: SearchState) -> tuple[Event, ...]:
    advice = advise(search.spec, state.settings)
    if advice is None or search.status.get("startTime"):
        return ()
    reason = EventReason.FEW_LEARNING_ITERATIONS
    return (Event(reason, "Warning", reason, advice.message),)


def _unused_fields(search: SearchObject, state: SearchState) -> tuple[Event, ...]:
    """Return the event of a search that began before fields without an effect were refused."""
    fields = unused_settings(search.spec, state.settings)
    if not fields:
        return ()
    sentence = ", ".join(f"{field.name} {field.reason}" for field in fields)
    message = f"{sentence}. The search goes on as it began; leave such fields out of a new one."
    return (Event(EventReason.UNUSED_FIELDS, "Warning", EventReason.UNUSED_FIELDS, message),)


def _troubles(trial: OpenTrial) -> list[Event]:
    """Return the events that delay a trial without deciding its outcome."""
    job = trial.job
    if job is None:
        return []
    who = f"Trial {trial.number} ({job.name})"
    events = [
        Event(
            f"{pod}/{EventReason.TRIAL_INTERRUPTED}",
            "Normal",
            EventReason.TRIAL_INTERRUPTED,
            f"{who}: Pod {pod} was interrupted: {why} Its Job starts another once it has ended.",
        )
        for pod, why in trial.assessment.interruptions
    ]
    verdict = trial.assessment.verdict
    if trial.attempt > job.attempt and verdict and not verdict.blameless:
        text = f"{who}: {verdict.message} Starting attempt {trial.attempt}."
        events.append(
            Event(
                f"{_subject(trial)}/{EventReason.TRIAL_RETRIED}",
                "Warning",
                EventReason.TRIAL_RETRIED,
                text,
            )
        )
    return events


def replacements(jobs: Sequence[str]) -> tuple[Event, ...]:
    """Return the events of Jobs that are replaced because the spec of their Pods has changed."""
    return tuple(
        Event(
            f"{name}/{EventReason.JOB_REPLACED}",
            "Normal",
            EventReason.JOB_REPLACED,
            f"Job {name} is replaced: none of its Pods has run, and the spec of its Pods has "
            "changed.",
        )
        for name in jobs
    )


def _subject(trial: OpenTrial) -> str:
    """Return the subject of an event: a trial's Job, or the trial if others share the Job."""
    if trial.job is None:
        return str(trial.number)
    return f"{trial.job.name}/{trial.number}" if trial.job.shared else trial.job.name


def _damage(result: FinalistResult) -> str:
    number = result.damaged_checkpoints
    singular = number == 1
    return (
        f"{number} checkpoint{'' if singular else 's'} on the volume could not be read and "
        f"{'was' if singular else 'were'} ignored; the training "
        f"{'continued from another' if result.resumed else 'started anew'}."
    )


def deleted_jobs(
    search: SearchObject, created: Sequence[Sequence[OpenTrial]], seen_jobs: Set[str], now: datetime
) -> tuple[Event, ...]:
    """Return the events of Jobs that somebody has deleted although their trials are not over.

    Args:
        search: the search.
        created: the trials of each Job that was created just now.
        seen_jobs: the names of Jobs that existed before.
        now: the time, by which an event differs from that of an earlier deletion.
    """
    names = (
        (trial.number, job_name(search.name, trial.number, trial.attempt)) for trial, *_ in created
    )
    return tuple(
        Event(
            f"{name}/{EventReason.JOB_DELETED}/{write_time(now)}",
            "Warning",
            EventReason.JOB_DELETED,
            f"Trial {number}: Job {name} was deleted before its result was in the history. "
            "Creating it again.",
        )
        for number, name in names
        if name in seen_jobs
    )


def _new_best(state: SearchState, archive: Sequence[TrialRecord]) -> list[Event]:
    trained = [record for record in archive if record.outcome is Outcome.SUCCEEDED]
    leader = best(trained, 1)
    if not leader or leader[0].reward is None or leader[0].accuracy is None:
        return []
    previous = state.archive.top[0].reward if state.archive.top else None
    if previous is not None and leader[0].reward <= previous:
        return []
    return [
        Event(
            f"{leader[0].trial}/{EventReason.NEW_BEST}",
            "Normal",
            EventReason.NEW_BEST,
            f"Trial {leader[0].trial} reached {leader[0].accuracy:.2%} accuracy, reward "
            f"{leader[0].reward:.2f}: {leader[0].block}",
        )
    ]


_TOLD = {
    ConditionType.COMPLETE: ("Normal", "Complete"),
    ConditionType.FAILED: ("Warning", "Failed"),
    ConditionType.SUSPENDED: ("Normal", "Suspended"),
    ConditionType.DATASET_READY: ("Normal", "DatasetReady"),
    ConditionType.FINALISTS_READY: ("Normal", "FinalistsReady"),
    ConditionType.DEGRADED: ("Warning", "Degraded"),
}


def transitions(before: Sequence[Condition], after: BlockSearchStatus) -> tuple[Event, ...]:
    """Return the events of conditions that have become true."""
    true_before = {(c.type, c.reason) for c in before if c.status == "True"}
    events = []
    for condition in after.conditions:
        entry = _TOLD.get(condition.type)
        if condition.status != "True" or entry is None or condition.reason == Reason.NOT_NEEDED:
            continue
        if (condition.type, condition.reason) in true_before:
            continue
        kind: Literal["Normal", "Warning"] = "Warning" if entry[0] == "Warning" else "Normal"
        events.append(
            Event(
                f"{condition.type}/{condition.reason}/{condition.last_transition_time}",
                kind,
                entry[1] if condition.type is not ConditionType.DEGRADED else condition.reason,
                condition.message,
            )
        )
    return tuple(events)
