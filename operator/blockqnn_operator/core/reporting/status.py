"""The status of a search: derived from its history and its open trials. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from heapq import nsmallest
from typing import Any

from blockqnn.contract.message import Outcome
from blockqnn_api.advice import advise
from blockqnn_api.history.replay import SearchState, best
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.objects import read_time, write_time
from blockqnn_api.status import (
    LONGEST_MESSAGE,
    MOST_TOP,
    BestBlock,
    BlockSearchStatus,
    ConditionType,
    History,
    Phase,
    PredictorStatus,
    Reason,
    TrialCounts,
)
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.archiving import record_of, reward_of
from blockqnn_operator.core.planning.assessment import SearchAssessment
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.open_trials import OpenTrials
from blockqnn_operator.core.reporting.conditions import (
    Facts,
    Problem,
    add_finalists,
    conditions_of,
    degraded_condition,
    previous_status,
    with_conditions,
)
from blockqnn_operator.core.reporting.finalists import FinalistReport

DIGITS = 6
"""Decimal places of the status' numbers: more would be noise in ``kubectl get``."""


def report(
    observed: Observed,
    state: SearchState,
    assessment: SearchAssessment,
    problems: Sequence[Problem] = (),
    note: str = "",
    finalists: FinalistReport | None = None,
) -> BlockSearchStatus:
    """Return the status of a search that runs, or has run.

    Args:
        observed: the snapshot of the search.
        state: its settings and history.
        assessment: what holds of it, by both.
        problems: what went wrong in carrying out the plan.
        note: a clause about what running trials wait for, if anything.
        finalists: the report on the finalists; None where none are wanted.
    """
    open_trials, over = assessment.open_trials, assessment.over
    reached = assessment.spent
    counts = _counts(state, [t.outcome for t in open_trials.trials if t.outcome])
    phase = _phase(state, finalists, assessment)
    trials = TrialCounts(total=sum(counts.values()), running=open_trials.running_jobs, **counts)
    top = [
        _best_block(record)
        for record in best([*state.archive.top, *_open_records(open_trials, state)])
    ]
    before = previous_status(observed)
    iteration = _next_iteration(state)
    message = _message(phase, trials, state, assessment, note)
    if over and finalists is not None and reached is not None and assessment.has_result:
        message = f"{reached.message} {finalists.summary}"[:LONGEST_MESSAGE]
    status = BlockSearchStatus(
        observed_generation=observed.search.generation,
        phase=phase,
        message=message,
        start_time=write_time(assessment.started_at),
        iteration=iteration,
        epsilon=round(state.agent.epsilon(min(iteration, _last_iteration(state))), DIGITS),
        progress=f"{trials.total}/{state.settings.budget.trials}",
        trials=trials,
        gpu_seconds=round(state.archive.gpu_seconds, 1),
        best=_winner(state, finalists) or (top[0] if top else None),
        top=tuple(top),
        history=History(shards=len(state.shards), records=len(state.archive)),
        predictor=_predictor(state),
        finalists=finalists.status if finalists else None,
    )
    timed = _with_times(status, before, observed, state, assessment)
    facts = conditions_of(phase, message, state, assessment)
    if finalists is not None:
        add_finalists(facts, finalists, phase, over=over)
    facts[ConditionType.DEGRADED] = degraded_condition(state, assessment, problems, finalists)
    return with_conditions(_advised(timed, observed, state), facts, observed)


def _advised(
    status: BlockSearchStatus, observed: Observed, state: SearchState
) -> BlockSearchStatus:
    """Add a note to the message if the search hardly learns, unless it has failed."""
    advice = advise(observed.search.spec, state.settings)
    if advice is None or status.phase is Phase.FAILED:
        return status
    message = f"{status.message} {advice.message}"[:LONGEST_MESSAGE]
    return status.model_copy(update={"message": message})


def report_stopped(observed: Observed, problem: Problem) -> BlockSearchStatus:
    """Return the status of a search that cannot run at all; the rest of its status stays."""
    before = previous_status(observed)
    kept = before.model_dump(by_alias=False) if before else {}
    status = BlockSearchStatus.model_validate(
        kept
        | {
            "observed_generation": observed.search.generation,
            "phase": Phase.FAILED,
            "message": problem.message[:LONGEST_MESSAGE],
            "completion_time": None,
            "estimated_completion_time": None,
        }
    )
    facts: Facts = {
        ConditionType.COMPLETE: (False, Reason.BUDGET_LEFT, problem.message),
        ConditionType.PROGRESSING: (False, problem.reason, problem.message),
        ConditionType.FAILED: (True, problem.reason, problem.message),
    }
    return with_conditions(status, facts, observed)


def report_hindered(observed: Observed, problem: Problem) -> BlockSearchStatus:
    """Return the status of a search that a pass could not bring further; all else of it stays."""
    status = previous_status(observed) or BlockSearchStatus(
        observed_generation=observed.search.generation,
        phase=Phase.RUNNING,
        message=problem.message[:LONGEST_MESSAGE],
    )
    facts: Facts = {ConditionType.DEGRADED: (True, problem.reason, problem.message)}
    degraded = with_conditions(status, facts, observed).conditions
    others = (c for c in status.conditions if c.type is not ConditionType.DEGRADED)
    return status.model_copy(update={"conditions": (*others, *degraded)})


def dump(status: BlockSearchStatus) -> dict[str, Any]:
    """Return the status as the API server takes it."""
    return status.model_dump(mode="json", exclude_none=True)


def _counts(state: SearchState, open_outcomes: Sequence[Outcome]) -> dict[str, int]:
    counts = dict(state.archive.outcomes)
    for outcome in open_outcomes:
        counts[outcome] += 1
    return {outcome.lower(): counts[outcome] for outcome in Outcome}


def _phase(
    state: SearchState, finalists: FinalistReport | None, assessment: SearchAssessment
) -> Phase:
    over = assessment.over
    failed = (
        assessment.too_many_failures
        or assessment.first_trials_failed
        or assessment.preparation.failed
    )
    if over and assessment.has_result:
        if finalists is None or finalists.finished:
            return Phase.COMPLETE
        # The failures of trials no longer matter once the budget is spent.
        failed = finalists.stopped
    if failed or (over and not assessment.has_result):
        return Phase.FAILED
    if state.settings.suspend:
        return Phase.SUSPENDED
    return Phase.TRAINING_FINALISTS if over else Phase.RUNNING


def _open_records(open_trials: OpenTrials, state: SearchState) -> list[TrialRecord]:
    """Return the records of the best of the succeeded trials that are not in the history yet.

    Several hundred trials may be over: only those that may be shown become records.
    """
    succeeded = [
        trial
        for trial in open_trials.trials
        if trial.stage is Stage.OVER and trial.outcome is Outcome.SUCCEEDED
    ]
    leaders = nsmallest(MOST_TOP, succeeded, key=lambda t: -(reward_of(t, state) or 0.0))
    return [record_of(trial, state, {}) for trial in leaders]


def _best_block(record: TrialRecord) -> BestBlock:
    return BestBlock(
        trial=record.trial,
        block=record.block,
        accuracy=round(record.accuracy or 0.0, DIGITS),
        reward=round(record.reward or 0.0, DIGITS),
        **record.measurements,
    )


def _predictor(state: SearchState) -> PredictorStatus | None:
    if state.settings.agent.predictor is None:
        return None
    predictions = state.archive.predictions
    correlation = predictions.rank_correlation
    return PredictorStatus(
        trials=len(predictions),
        rank_correlation=None if correlation is None else round(correlation, DIGITS),
    )


def _winner(state: SearchState, finalists: FinalistReport | None) -> BestBlock | None:
    """Return the best block by its complete training; None until that is settled."""
    if finalists is None or finalists.winner is None:
        return None
    block = _best_block(state.archive.records[finalists.winner.trial])
    return block.model_copy(update={"converged_accuracy": round(finalists.winner.mean, DIGITS)})


def _next_iteration(state: SearchState) -> int:
    """Return the lowest iteration that is not over; one cut short by the budget counts as over."""
    archived, size = len(state.archive), state.settings.agent.batch_size
    over = archived >= state.settings.budget.trials
    return -(-archived // size) if over else archived // size


def _last_iteration(state: SearchState) -> int:
    return max(-(-state.settings.budget.trials // state.settings.agent.batch_size) - 1, 0)


def _message(
    phase: Phase,
    trials: TrialCounts,
    state: SearchState,
    assessment: SearchAssessment,
    note: str,
) -> str:
    reached, preparation = assessment.spent, assessment.preparation
    policy = state.settings.failure_policy
    if phase is Phase.FAILED and assessment.over and not assessment.has_result and reached:
        return (
            f"{reached.message} No trial has an accuracy: {trials.failed} failed, "
            f"{trials.infeasible} were infeasible. {_WHY_FAILED}"
        )
    if phase is Phase.FAILED and assessment.first_trials_failed:
        return (
            f"The first {assessment.first_trials_failed} trials failed, so no others are started. "
            f"{_WHY_FAILED} Correct the cause and create the search again."
        )
    if reached is not None:
        return (
            reached.message if phase is Phase.COMPLETE else f"{reached.message} {_running(trials)}."
        )
    if phase is Phase.FAILED and preparation.failed:
        return f"The dataset is not ready: {preparation.message}"
    if phase is Phase.FAILED:
        return (
            f"{trials.failed} trials failed, more than the {policy.max_failed_trials} of "
            f"spec.failurePolicy.maxFailedTrials. {_WHY_FAILED} Raise it to continue."
        )
    if phase is Phase.SUSPENDED:
        return f"Suspended by spec.suspend; {_running(trials)}."
    if not preparation.ready:
        return f"Trials are waiting for the dataset: {preparation.message}"
    return f"{_running(trials)}{note}."


_WHY_FAILED = "The Events and the Jobs' logs give the reasons."


def _running(trials: TrialCounts) -> str:
    return "1 trial is running" if trials.running == 1 else f"{trials.running} trials are running"


def _with_times(
    status: BlockSearchStatus,
    before: BlockSearchStatus | None,
    observed: Observed,
    state: SearchState,
    assessment: SearchAssessment,
) -> BlockSearchStatus:
    now = observed.now
    if status.phase is Phase.COMPLETE:
        ended = before.completion_time if before and before.completion_time else write_time(now)
        return status.model_copy(update={"completion_time": ended})
    if assessment.over:
        # Only finalists are left, and the rate of trials says nothing about them.
        return status
    estimate = before.estimated_completion_time if before else None
    if estimate is None or before is None or before.iteration != status.iteration:
        estimate = _estimate(status, observed, state, assessment.ends_at)
    return status.model_copy(update={"estimated_completion_time": estimate})


def _estimate(
    status: BlockSearchStatus, observed: Observed, state: SearchState, end: datetime | None
) -> str | None:
    """Extrapolate the rate so far: rough, but every figure it needs is in the status."""
    done = len(state.archive)
    if not done or not status.start_time:
        return write_time(end) if end else None
    elapsed = (observed.now - read_time(status.start_time)).total_seconds()
    remaining = state.settings.budget.trials - done
    estimate = observed.now + timedelta(seconds=elapsed / done * remaining)
    return write_time(min(estimate, end) if end else estimate)
