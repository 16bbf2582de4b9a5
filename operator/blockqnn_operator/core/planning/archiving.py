"""The record of a trial that is over."""

from collections.abc import Mapping
from typing import Any

from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import TrialResult
from blockqnn.search import Proposal
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_operator.core.planning.open_trials import OpenTrial

_PREDICTED_DIGITS = 4


def record_of(
    trial: OpenTrial, state: SearchState, open_records: Mapping[int, TrialRecord]
) -> TrialRecord:
    """Return the record of a trial that is over.

    Args:
        trial: the trial.
        state: the state of the search, with the records in its history.
        open_records: the records, by trial, that will enter the history before this one.
    """
    if trial.shared_with is not None:
        original = open_records.get(trial.shared_with)
        return _cached(trial, original or state.archive.records[trial.shared_with])
    if trial.verdict is None:
        raise ValueError(f"trial {trial.number} is not over")
    verdict, result = trial.verdict, trial.verdict.result
    return TrialRecord(
        trial=trial.number,
        attempt=trial.job.attempt if trial.job else 0,
        iteration=trial.proposal.iteration,
        block=str(trial.proposal.block),
        hash=trial.proposal.hash,
        outcome=verdict.outcome,
        reason=verdict.reason,
        message=verdict.message,
        reward=reward_of(trial, state),
        gpus=trial.job.gpus if trial.job else 0,
        **_prediction(trial.proposal),
        **_measurements(result),
    )


def _prediction(proposal: Proposal) -> dict[str, Any]:
    if proposal.expected is None:
        return {}
    value, deviation = proposal.expected
    return {
        "predicted": round(value, _PREDICTED_DIGITS),
        "predicted_deviation": round(deviation, _PREDICTED_DIGITS),
    }


def _measurements(result: TrialResult | None) -> dict[str, Any]:
    if result is None:
        return {}
    fields = (
        "accuracy",
        "curve",
        "parameters",
        "macs",
        "restarts",
        "device",
        "seconds",
        "stopped_after",
    )
    return {field: getattr(result, field) for field in fields}


def reward_of(trial: OpenTrial, state: SearchState) -> float | None:
    """Return the redefined reward; the floor for an infeasible block, none for a failed trial."""
    verdict = trial.verdict
    if verdict is None or verdict.outcome is Outcome.FAILED:
        return None
    accuracy = verdict.result.accuracy if verdict.result else None
    return state.agent.reward(trial.proposal.block, accuracy)


def _cached(trial: OpenTrial, original: TrialRecord) -> TrialRecord:
    return TrialRecord(
        trial=trial.number,
        iteration=trial.proposal.iteration,
        block=str(trial.proposal.block),
        hash=trial.proposal.hash,
        outcome=Outcome.CACHED,
        reason="SameNetwork",
        message=f"It means the same network as trial {original.trial}.",
        shared_with=original.trial,
        accuracy=original.accuracy,
        stopped_after=original.stopped_after,
        reward=original.reward,
        parameters=original.parameters,
        macs=original.macs,
    )
