"""The records of trials and finalists that are over."""

from collections.abc import Mapping
from typing import Any

from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import Seconds
from blockqnn.model import Model
from blockqnn.search import Proposal
from blockqnn_api.history.finalist_record import FinalistRecord
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_operator.core.planning.open_finalists import OpenFinalist
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
    verdict, job = trial.verdict, trial.job
    fields = {
        "trial": trial.number,
        "attempt": job.attempt if job else 0,
        "iteration": trial.proposal.iteration,
        "block": str(trial.proposal.block),
        "hash": trial.proposal.hash,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "message": verdict.message,
        "reward": reward_of(trial, state),
        "gpus": job.gpus if job else 0,
    }
    measured = _measured(verdict.result, TrialRecord)
    if verdict.result is None and verdict.seconds:
        measured["seconds"] = Seconds(total=verdict.seconds)
    return TrialRecord(**{**measured, **_prediction(trial.proposal), **fields})


def finalist_record_of(open_finalist: OpenFinalist) -> FinalistRecord:
    """Return the record of a finalist that is over."""
    result, job = open_finalist.assessment.result, open_finalist.job
    if result is None or job is None:
        raise ValueError(f"{open_finalist.finalist} is not over")
    # A result names the seed itself and the epochs that were asked for.
    fields = {
        **open_finalist.finalist._asdict(),
        "attempt": job.attempt,
        "block": job.part.block,
        "hash": job.part.block_hash,
        "epochs": result.epoch,
        "gpus": job.gpus,
    }
    return FinalistRecord(**{**_measured(result, FinalistRecord), **fields})


def _measured(result: Model | None, record: type[Model]) -> dict[str, Any]:
    """Return what a record keeps of a result: the fields that both have."""
    if result is None:
        return {}
    kept = record.model_fields.keys() & type(result).model_fields.keys() - {"version"}
    return {name: getattr(result, name) for name in kept}


def _prediction(proposal: Proposal) -> dict[str, Any]:
    if proposal.expected is None:
        return {}
    value, deviation = proposal.expected
    return {
        "predicted": round(value, _PREDICTED_DIGITS),
        "predicted_deviation": round(deviation, _PREDICTED_DIGITS),
    }


def reward_of(trial: OpenTrial, state: SearchState) -> float | None:
    """Return the redefined reward; the floor for an infeasible block, none for a failed trial."""
    verdict = trial.verdict
    if verdict is None or verdict.outcome is Outcome.FAILED:
        return None
    metrics = verdict.result.metrics if verdict.result else {}
    return state.agent.reward(trial.proposal.block, metrics)


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
        **original.measurements,
    )
