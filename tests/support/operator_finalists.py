"""Builders of finalists for the operator's tests: small values with sensible defaults."""

from typing import Any

from operator_builders import NOW, UID, A, make_record, make_search, make_settings

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FinalistResult
from blockqnn.contract.message import Outcome
from blockqnn_api.finalist_targets import FinalistTarget, goals_of
from blockqnn_api.history.finalist_record import Finalist, FinalistRecord
from blockqnn_operator.core.jobs.base import Manifest
from blockqnn_operator.core.jobs.finalist import (
    FinalistAttempt,
    finalist_job,
    finalist_job_name,
    finalist_seed,
)
from blockqnn_operator.core.observed.finalist_job import FinalistJob, FinalistPart
from blockqnn_operator.core.observed.pod import TrialPod

CLAIM = {"persistentVolumeClaim": {"claimName": "models"}}
FIRST = Finalist(0, "", 0)


def asking(**changes: Any) -> dict[str, Any]:
    """Section of a spec about finalists."""
    return {"finalists": {"volume": CLAIM, "count": 2} | changes}


def manifest(finalist: Finalist = FIRST, attempt: int = 0, **changes: Any) -> Manifest:
    """The Job of a finalist of a search whose spec is changed so."""
    settings = make_settings(**{**asking(), **changes})
    assert settings.finalists is not None
    goal: FinalistTarget = next(goal for goal in goals_of(settings) if goal.name == finalist.target)
    asked = FinalistAttempt(goal, finalist, make_record(finalist.trial), attempt)
    return finalist_job(make_search(), settings, settings.finalists, asked)


def make_result(finalist: Finalist = FIRST, block: Block = A, **changes: Any) -> FinalistResult:
    """Report of a trainer about a finalist of the search with seed 0."""
    outcome = changes.get("outcome", Outcome.SUCCEEDED)
    fields: dict[str, Any] = {
        "trial": finalist.trial,
        "attempt": 0,
        "target": finalist.target,
        "seed": finalist_seed(0, finalist),
        "block_hash": canonical_hash(block),
        "outcome": outcome,
        "reason": "Completed" if outcome is Outcome.SUCCEEDED else "SomeReason",
        "message": "" if outcome is Outcome.SUCCEEDED else "Something happened.",
        "accuracy": 0.9 if outcome is Outcome.SUCCEEDED else None,
        "epoch": 300,
        "epochs": 300,
    }
    return FinalistResult.model_validate(fields | changes)


def failure(reason: str, finalist: Finalist = FIRST) -> FinalistResult:
    return make_result(finalist, outcome=Outcome.FAILED, reason=reason, message="It is so.")


def make_job(
    finalist: Finalist = FIRST,
    block: Block = A,
    *,
    result: FinalistResult | str | None = None,
    attempt: int = 0,
    **changes: Any,
) -> FinalistJob:
    """A finalist's Job as it is observed; running unless a condition or a result says more."""
    part = FinalistPart(
        finalist=finalist,
        block=str(block),
        block_hash=canonical_hash(block),
        result=result.write() if isinstance(result, FinalistResult) else result,
    )
    fields: dict[str, Any] = {
        "name": finalist_job_name("digits", finalist, attempt),
        "owner_uid": UID,
        "parts": (part,),
        "attempt": attempt,
        "finished_at": NOW if changes.get("condition") else None,
    }
    return FinalistJob(**(fields | changes))


def make_pod(
    job: FinalistJob,
    *,
    message: FinalistResult | str = "",
    exit_code: int | None = None,
    **changes: Any,
) -> TrialPod:
    """A Pod of a finalist's Job; running unless it has an exit status."""
    fields: dict[str, Any] = {
        "name": f"{job.name}-x2x2x",
        "job": job.name,
        "created_at": NOW,
        "exit_code": exit_code,
        "reason": {None: "", 0: "Completed"}.get(exit_code, "Error"),
        "message": message.write() if isinstance(message, FinalistResult) else message,
    }
    return TrialPod(**(fields | changes))


def make_finalist_record(
    finalist: Finalist, accuracy: float | None = 0.9, block: Block = A
) -> FinalistRecord:
    """A record of the finalists' history."""
    return FinalistRecord(
        trial=finalist.trial,
        target=finalist.target,
        seed=finalist.seed,
        block=str(block),
        hash=canonical_hash(block),
        outcome=Outcome.INFEASIBLE if accuracy is None else Outcome.SUCCEEDED,
        reason="NotFinite" if accuracy is None else "Completed",
        accuracy=accuracy,
        folder=f"lab/digits/trial-{finalist.trial:05d}/seed-{finalist.seed}",
    )
