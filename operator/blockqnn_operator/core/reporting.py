"""The status of a search: derived from its history and its open trials. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from heapq import nsmallest
from typing import Any

from pydantic import ValidationError

from blockqnn.contract.message import Outcome
from blockqnn_operator.api.advice import advise
from blockqnn_operator.api.status import (
    LONGEST_MESSAGE,
    MOST_TOP,
    BestBlock,
    BlockSearchStatus,
    Condition,
    ConditionType,
    History,
    Phase,
    PredictorStatus,
    Reason,
    TrialCounts,
)
from blockqnn_operator.core.archiving import record_of, reward_of
from blockqnn_operator.core.budget import Spent, ends_at, spent, started_at
from blockqnn_operator.core.ending import is_over, without_archived
from blockqnn_operator.core.finalists.reporting import FinalistReport
from blockqnn_operator.core.ledger import Ledger, Stage
from blockqnn_operator.core.observation import Observed, read_time, write_time
from blockqnn_operator.core.planning import last_wanted, too_many_failures, wanted
from blockqnn_operator.core.preparation import Preparation, prepare
from blockqnn_operator.core.records import TrialRecord
from blockqnn_operator.core.state import SearchState, best

DIGITS = 6
"""Decimal places of the status' numbers: more would be noise in ``kubectl get``."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that kept the plan from being carried out, to be reported as a condition."""

    reason: Reason
    message: str


def report(
    observed: Observed,
    state: SearchState,
    ledger: Ledger,
    problems: Sequence[Problem] = (),
    note: str = "",
    finalists: FinalistReport | None = None,
) -> BlockSearchStatus:
    """Return the status of a search that runs, or has run.

    Args:
        observed: what the decision was made from.
        state: the history and the agent, with what was archived in this pass.
        ledger: the open trials, as they were before this pass.
        problems: what went wrong in carrying out the plan.
        note: a clause about what running trials wait for, if anything.
        finalists: how far the finalists are; None where there are none to be.
    """
    archived = len(state.archive)
    left = without_archived(ledger, state)
    open_trials = left.trials
    counts = _counts(state, [t.outcome for t in open_trials if t.outcome])
    running = left.running_jobs
    budget = state.settings.budget.trials
    reached = spent(observed, state, left)
    last = last_wanted(observed, state, left)
    over = is_over(observed, state, ledger)
    preparation = prepare(observed, state, wanted=bool(wanted(left, last)))
    failed = too_many_failures(left, state) or preparation.failed
    phase = _phase(state, finalists, over=over, failed=failed)
    trials = TrialCounts(total=sum(counts.values()), running=running, **counts)
    top = [
        _best_block(record) for record in best([*state.archive.top, *_open_records(ledger, state)])
    ]
    before = previous_status(observed)
    iteration = _next_iteration(state)
    message = _message(phase, trials, state, reached, preparation, note)
    if over and finalists is not None and reached is not None:
        message = f"{reached.message} {finalists.summary}"[:LONGEST_MESSAGE]
    status = BlockSearchStatus(
        observed_generation=observed.search.generation,
        phase=phase,
        message=message,
        start_time=write_time(started_at(observed, state)),
        iteration=iteration,
        epsilon=round(state.agent.epsilon(min(iteration, _last_iteration(state))), DIGITS),
        progress=f"{trials.total}/{budget}",
        trials=trials,
        gpu_seconds=round(state.archive.gpu_seconds, 1),
        best=_winner(state, finalists) or (top[0] if top else None),
        top=tuple(top),
        history=History(shards=len(state.shards), records=archived),
        predictor=_predictor(state),
        finalists=finalists.status if finalists else None,
    )
    timed = _with_times(status, before, observed, state, over=over)
    facts = _conditions(phase, message, state, reached if over else None, preparation)
    if finalists is not None:
        _add_finalists(facts, finalists, phase, over=over)
    facts[ConditionType.DEGRADED] = _degraded(state, ledger, problems, preparation, finalists)
    return with_conditions(_advised(timed, observed, state), facts, observed)


def _advised(
    status: BlockSearchStatus, observed: Observed, state: SearchState
) -> BlockSearchStatus:
    """Add to the message that the search hardly learns, where it does and nothing is worse."""
    advice = advise(observed.search.spec, state.settings)
    if advice is None or status.phase is Phase.FAILED:
        return status
    message = f"{status.message} {advice.message}"[:LONGEST_MESSAGE]
    return status.model_copy(update={"message": message})


def report_stopped(observed: Observed, problem: Problem) -> BlockSearchStatus:
    """Return the status of a search that cannot run at all; what is known of it stays."""
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


def previous_status(observed: Observed) -> BlockSearchStatus | None:
    """Read the status that the object has; None when it has none that can be read."""
    try:
        return BlockSearchStatus.model_validate(observed.search.status)
    except ValidationError:
        return None


def dump(status: BlockSearchStatus) -> dict[str, Any]:
    """Return the status as the API server takes it."""
    return status.model_dump(mode="json", exclude_none=True)


Facts = dict[ConditionType, tuple[bool, Reason, str]]


def with_conditions(
    status: BlockSearchStatus, facts: Facts, observed: Observed
) -> BlockSearchStatus:
    """Return the status with conditions that say when each last changed."""
    before = previous_status(observed)
    known = {condition.type: condition for condition in before.conditions} if before else {}
    conditions = []
    for kind, (value, reason, message) in facts.items():
        previous = known.get(kind)
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


def _counts(state: SearchState, open_outcomes: Sequence[Outcome]) -> dict[str, int]:
    counts = dict(state.archive.outcomes)
    for outcome in open_outcomes:
        counts[outcome] += 1
    return {outcome.lower(): counts[outcome] for outcome in Outcome}


def _phase(
    state: SearchState, finalists: FinalistReport | None, *, over: bool, failed: bool
) -> Phase:
    if over and (finalists is None or finalists.finished):
        return Phase.COMPLETE
    # The failures of trials are the past once the budget is spent.
    if finalists.stopped if over and finalists else failed:
        return Phase.FAILED
    if state.settings.suspend:
        return Phase.SUSPENDED
    return Phase.TRAINING_FINALISTS if over else Phase.RUNNING


def _open_records(ledger: Ledger, state: SearchState) -> list[TrialRecord]:
    """Return the records of the best of the succeeded trials that are not in the history yet.

    Several hundred trials may be over: only those that may be shown are made records.
    """
    succeeded = [
        trial
        for trial in ledger.trials
        if trial.number >= len(state.archive)
        and trial.stage is Stage.OVER
        and trial.outcome is Outcome.SUCCEEDED
    ]
    leaders = nsmallest(MOST_TOP, succeeded, key=lambda t: -(reward_of(t, state) or 0.0))
    return [record_of(trial, state, {}) for trial in leaders]


def _best_block(record: TrialRecord) -> BestBlock:
    return BestBlock(
        trial=record.trial,
        block=record.block,
        accuracy=round(record.accuracy or 0.0, DIGITS),
        reward=round(record.reward or 0.0, DIGITS),
        parameters=record.parameters,
        macs=record.macs,
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
    found = _best_block(state.archive.records[finalists.winner.trial])
    return found.model_copy(update={"converged_accuracy": round(finalists.winner.mean, DIGITS)})


def _next_iteration(state: SearchState) -> int:
    """Return the lowest iteration that is not over; that the budget cuts short counts as over."""
    archived, size = len(state.archive), state.settings.agent.batch_size
    over = archived >= state.settings.budget.trials
    return -(-archived // size) if over else archived // size


def _last_iteration(state: SearchState) -> int:
    return max(-(-state.settings.budget.trials // state.settings.agent.batch_size) - 1, 0)


def _message(
    phase: Phase,
    trials: TrialCounts,
    state: SearchState,
    reached: Spent | None,
    preparation: Preparation,
    note: str,
) -> str:
    policy = state.settings.failure_policy
    if reached is not None:
        return (
            reached.message if phase is Phase.COMPLETE else f"{reached.message} {_running(trials)}."
        )
    if phase is Phase.FAILED and preparation.failed:
        return f"The dataset is not ready: {preparation.message}"
    if phase is Phase.FAILED:
        return (
            f"{trials.failed} trials failed, more than the {policy.max_failed_trials} of "
            "spec.failurePolicy.maxFailedTrials; the Events and the Jobs' logs say why. Raise it "
            "to go on."
        )
    if phase is Phase.SUSPENDED:
        return f"Suspended by spec.suspend; {_running(trials)}."
    if not preparation.ready:
        return f"Trials wait for the dataset: {preparation.message}"
    return f"{_running(trials)}{note}."


def _running(trials: TrialCounts) -> str:
    return "1 trial is running" if trials.running == 1 else f"{trials.running} trials are running"


def _with_times(
    status: BlockSearchStatus,
    before: BlockSearchStatus | None,
    observed: Observed,
    state: SearchState,
    *,
    over: bool,
) -> BlockSearchStatus:
    now = observed.now
    if status.phase is Phase.COMPLETE:
        ended = before.completion_time if before and before.completion_time else write_time(now)
        return status.model_copy(update={"completion_time": ended})
    if over:
        # What is left are finalists, of which the rate of trials tells nothing.
        return status
    estimate = before.estimated_completion_time if before else None
    if estimate is None or before is None or before.iteration != status.iteration:
        estimate = _estimate(status, observed, state)
    return status.model_copy(update={"estimated_completion_time": estimate})


def _estimate(status: BlockSearchStatus, observed: Observed, state: SearchState) -> str | None:
    """Extrapolate the rate so far: rough, but every figure it needs is in the status."""
    done, end = len(state.archive), ends_at(observed, state)
    if not done or not status.start_time:
        return write_time(end) if end else None
    elapsed = (observed.now - read_time(status.start_time)).total_seconds()
    left = state.settings.budget.trials - done
    estimate = observed.now + timedelta(seconds=elapsed / done * left)
    return write_time(min(estimate, end) if end else estimate)


def _conditions(
    phase: Phase,
    message: str,
    state: SearchState,
    reached: Spent | None,
    preparation: Preparation,
) -> Facts:
    complete, failed = phase is Phase.COMPLETE, phase is Phase.FAILED
    why = reached.reason if reached else Reason.BUDGET_LEFT
    failure = Reason.DATASET_NOT_READY if preparation.failed else Reason.TOO_MANY_FAILURES
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


def _add_finalists(facts: Facts, finalists: FinalistReport, phase: Phase, *, over: bool) -> None:
    """Say how far the finalists are, and let what depends on them say so."""
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


def _degraded(
    state: SearchState,
    ledger: Ledger,
    problems: Sequence[Problem],
    preparation: Preparation,
    finalists: FinalistReport | None,
) -> tuple[bool, Reason, str]:
    if problems:
        return True, problems[0].reason, problems[0].message
    if preparation.failed or preparation.hindered:
        return True, Reason.DATASET_NOT_READY, preparation.message
    if finalists is not None and finalists.hindered:
        return True, Reason.FINALISTS_NOT_READY, finalists.message
    for trial in ledger.trials:
        if trial.judgement.invalid:
            return True, Reason.RESULT_INVALID, f"Trial {trial.number}: {trial.judgement.invalid}"
    waiting = _waiting(ledger)
    if waiting is not None:
        return (True, *waiting)
    failed = [t for t in ledger.trials if t.outcome is Outcome.FAILED and t.verdict]
    if failed and failed[-1].verdict:
        return True, Reason.TRIALS_FAILED, _failure(failed[-1].number, failed[-1].verdict.message)
    # One failure must not mark a search of days for ever: the latest iteration is what counts.
    latest = state.archive.records[-state.settings.agent.batch_size :]
    stored = [record for record in latest if record.outcome is Outcome.FAILED]
    if stored:
        return True, Reason.TRIALS_FAILED, _failure(stored[-1].trial, stored[-1].message)
    return False, Reason.AS_EXPECTED, "Every trial of late has ended with a result."


def _waiting(ledger: Ledger) -> tuple[Reason, str] | None:
    """Say what Jobs that exist wait for; None when they do not."""
    queued = [t for t in ledger.at(Stage.RUNNING) if t.job and t.job.suspended]
    if queued:
        return Reason.QUEUED, _queued(len(queued))
    unplaced = [trial.judgement.unplaced for trial in ledger.trials if trial.judgement.unplaced]
    if unplaced:
        return Reason.UNSCHEDULABLE, _unplaced(unplaced)
    podless = [trial.job.name for trial in ledger.trials if trial.job and trial.judgement.podless]
    if podless:
        return Reason.PODS_MISSING, _podless(podless)
    return None


def _queued(count: int) -> str:
    jobs = "1 Job is suspended and waits" if count == 1 else f"{count} Jobs are suspended and wait"
    return f"{jobs} to be admitted by a queue, such as Kueue's."


def _podless(jobs: Sequence[str]) -> str:
    has = "1 Job has" if len(jobs) == 1 else f"{len(jobs)} Jobs have"
    return (
        f"{has} no Pod, such as {jobs[0]}: kubectl describe job says whether a quota or a webhook "
        "refuses it; without a word there, the controller of Jobs does not run."
    )


def _unplaced(words: Sequence[str]) -> str:
    pods = "1 Pod waits" if len(words) == 1 else f"{len(words)} Pods wait"
    return f"{pods} for a node: {words[0]}"


def _failure(trial: int, message: str) -> str:
    return f"The latest failed trial is {trial}: {message}"
