"""The conditions of a search, and the problems that they report. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from blockqnn.contract.message import Outcome
from blockqnn_api.errors import ObjectUnreadable
from blockqnn_api.history.replay import SearchState
from blockqnn_api.object_fields import Fields
from blockqnn_api.objects import write_time
from blockqnn_api.status import (
    LONGEST_MESSAGE,
    BlockSearchStatus,
    Condition,
    ConditionType,
    Phase,
    Reason,
)
from blockqnn_operator.core.judging.pod_start import (
    INTERRUPTED,
    PODS_MISSING,
    UNSCHEDULABLE,
    WHY_NO_POD,
)
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.assessment import SearchAssessment
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.open_trials import OpenTrials
from blockqnn_operator.core.reporting.finalists import FinalistReport


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that kept the plan from being carried out, to be reported as a condition."""

    reason: Reason
    message: str


def previous_status(observed: Observed) -> BlockSearchStatus | None:
    """Read the status of the object; None when it has none, or an unreadable one."""
    try:
        status = BlockSearchStatus.model_validate(observed.search.status)
        times = Fields(observed.search.status)
        for name in ("startTime", "completionTime", "estimatedCompletionTime"):
            times.time(name)
    except (ValidationError, ObjectUnreadable):
        return None
    return status


Facts = dict[ConditionType, tuple[bool, Reason, str]]


def with_conditions(
    status: BlockSearchStatus, facts: Facts, observed: Observed
) -> BlockSearchStatus:
    """Return the status with conditions that say when each last changed."""
    before = previous_status(observed)
    earlier = {condition.type: condition for condition in before.conditions} if before else {}
    conditions = []
    for kind, (value, reason, message) in facts.items():
        previous = earlier.get(kind)
        text = "True" if value else "False"
        unchanged = previous is not None and previous.status == text
        since = (
            previous.last_transition_time if previous and unchanged else write_time(observed.now)
        )
        conditions.append(
            Condition(
                type=kind,
                status="True" if value else "False",
                reason=reason,
                message=message[:LONGEST_MESSAGE],
                last_transition_time=since,
                observed_generation=observed.search.generation,
            )
        )
    return status.model_copy(update={"conditions": tuple(conditions)})


def conditions_of(
    phase: Phase,
    message: str,
    state: SearchState,
    assessment: SearchAssessment,
) -> Facts:
    """Return the facts behind each condition but those of finalists and of trouble."""
    complete, failed = phase is Phase.COMPLETE, phase is Phase.FAILED
    reached, preparation = assessment.spent, assessment.preparation
    why = reached.reason if reached and assessment.over else Reason.BUDGET_LEFT
    failure = _failure_reason(assessment)
    reasons = {
        Phase.COMPLETE: why,
        Phase.FAILED: failure,
        Phase.SUSPENDED: Reason.SUSPENDED,
    }
    progress = reasons.get(phase, Reason.TRIALS_RUNNING)
    suspended = state.settings.suspend
    return {
        ConditionType.PROGRESSING: (phase is Phase.RUNNING, progress, message),
        ConditionType.COMPLETE: (
            complete,
            why if complete else Reason.BUDGET_LEFT,
            message,
        ),
        ConditionType.FAILED: (
            failed,
            failure if failed else Reason.AS_EXPECTED,
            message if failed else "The search can go on.",
        ),
        ConditionType.SUSPENDED: (
            suspended,
            Reason.SUSPENDED if suspended else Reason.NOT_SUSPENDED,
            "spec.suspend is true." if suspended else "spec.suspend is false.",
        ),
        ConditionType.DATASET_READY: (
            preparation.ready,
            preparation.reason,
            preparation.message,
        ),
    }


def _failure_reason(assessment: SearchAssessment) -> Reason:
    """Return why a search has failed, if it has."""
    if assessment.over or assessment.first_trials_failed:
        return Reason.NO_RESULTS
    if assessment.preparation.failed:
        return Reason.DATASET_NOT_READY
    return Reason.TOO_MANY_FAILURES


def add_finalists(facts: Facts, finalists: FinalistReport, phase: Phase, *, over: bool) -> None:
    """Add the condition of the finalists, and update the conditions that depend on them."""
    facts[ConditionType.FINALISTS_READY] = (finalists.ready, finalists.reason, finalists.message)
    if not over or finalists.finished:
        return
    message = facts[ConditionType.PROGRESSING][2]
    unready = Reason.FINALISTS_NOT_READY
    facts[ConditionType.COMPLETE] = (False, unready, message)
    if phase is Phase.TRAINING_FINALISTS:
        facts[ConditionType.PROGRESSING] = (True, Reason.FINALISTS_RUNNING, message)
    if phase is Phase.FAILED:
        facts[ConditionType.PROGRESSING] = (False, unready, message)
        facts[ConditionType.FAILED] = (True, unready, message)


def degraded_condition(
    state: SearchState,
    assessment: SearchAssessment,
    problems: Sequence[Problem],
    finalists: FinalistReport | None,
) -> tuple[bool, Reason, str]:
    """Return whether something needs attention, and what."""
    open_trials, preparation = assessment.open_trials, assessment.preparation
    if problems:
        return True, problems[0].reason, problems[0].message
    if preparation.failed or preparation.hindered:
        return True, Reason.DATASET_NOT_READY, preparation.message
    if finalists is not None and finalists.hindered:
        return True, Reason.FINALISTS_NOT_READY, finalists.message
    for trial in open_trials.trials:
        if trial.assessment.invalid:
            return True, Reason.RESULT_INVALID, f"Trial {trial.number}: {trial.assessment.invalid}"
    waiting = _waiting(open_trials)
    if waiting is not None:
        return (True, *waiting)
    failed = [t for t in open_trials.trials if t.outcome is Outcome.FAILED and t.verdict]
    if failed and failed[-1].verdict:
        return True, Reason.TRIALS_FAILED, _failure(failed[-1].number, failed[-1].verdict.message)
    # One failure must not mark a long search for ever: only the latest iteration counts.
    latest = state.archive.records[-state.settings.agent.batch_size :]
    stored = [record for record in latest if record.outcome is Outcome.FAILED]
    if stored:
        return True, Reason.TRIALS_FAILED, _failure(stored[-1].trial, stored[-1].message)
    return False, Reason.AS_EXPECTED, "All recent trials have a result."


def _waiting(open_trials: OpenTrials) -> tuple[Reason, str] | None:
    """Return the reason why existing Jobs wait; None when none waits."""
    queued = [t for t in open_trials.at(Stage.RUNNING) if t.job and t.job.suspended]
    if queued:
        return Reason.QUEUED, _queued(len(queued))
    waiting = [(t.job, t.assessment.waiting) for t in open_trials.trials if t.job]
    troubles = [(job, trouble) for job, trouble in waiting if trouble]
    unplaced = [trouble.words for _, trouble in troubles if trouble.reason == UNSCHEDULABLE]
    if unplaced:
        return Reason.UNSCHEDULABLE, _unplaced(unplaced)
    podless = [job.name for job, trouble in troubles if trouble.reason == PODS_MISSING]
    if podless:
        return Reason.PODS_MISSING, _podless(podless)
    stalled = [f"Job {job.name}: {trouble.message}" for job, trouble in troubles]
    stalled += [trouble.message for trouble in open_trials.deletions]
    if stalled:
        reasons = [trouble.reason for _, trouble in troubles]
        reason = Reason.PODS_STALLED
        if reasons and set(reasons) == {INTERRUPTED}:
            reason = Reason.PODS_INTERRUPTED
        return reason, _first_of(stalled)
    return None


def _first_of(messages: Sequence[str]) -> str:
    others = len(messages) - 1
    if not others:
        return messages[0]
    jobs = "1 other Job is" if others == 1 else f"{others} other Jobs are"
    return f"{messages[0]} {jobs} in trouble, too."


def _queued(count: int) -> str:
    jobs, them = ("1 Job is", "it") if count == 1 else (f"{count} Jobs are", "them")
    return f"{jobs} suspended until a queue, such as Kueue's, admits {them}."


def _podless(jobs: Sequence[str]) -> str:
    has = "1 Job has" if len(jobs) == 1 else f"{len(jobs)} Jobs have"
    return f"{has} no Pod, such as {jobs[0]}. {WHY_NO_POD}"


def _unplaced(words: Sequence[str]) -> str:
    pods = "1 Pod waits" if len(words) == 1 else f"{len(words)} Pods wait"
    return f"{pods} for a node: {words[0]}"


def _failure(trial: int, message: str) -> str:
    return f"The latest failed trial is {trial}: {message}"
