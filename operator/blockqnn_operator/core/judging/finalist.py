"""Assessment of a finalist's Job."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from blockqnn.contract.finalist import FinalistResult
from blockqnn.contract.message import Outcome
from blockqnn_operator.core.judging.pod_start import UNSCHEDULABLE, Trouble
from blockqnn_operator.core.judging.result import (
    JobAssessment,
    JobJudge,
    Verdict,
    newest_first,
    require_identity,
)
from blockqnn_operator.core.observed.finalist_job import FinalistJob, FinalistPart
from blockqnn_operator.core.observed.job import OUT_OF_TIME
from blockqnn_operator.core.observed.pod import TrialPod

VOLUME_MISSING = "VolumeMissing"
"""Reason that a trainer gives for a missing volume, and the operator for a missing claim."""

FinalistVerdict = Verdict[FinalistResult]
FinalistAssessment = JobAssessment[FinalistResult]


def assess_finalist(
    job: FinalistJob,
    pods: Sequence[TrialPod],
    seed: int,
    now: datetime,
    pending_timeout: timedelta,
) -> FinalistAssessment:
    """Assess a finalist's Job.

    Args:
        job: the Job.
        pods: the Job's Pods, in any order.
        seed: the seed that its result must name.
        now: the present time.
        pending_timeout: the longest wait for a Pod that cannot start.
    """
    return _FinalistJudge(job, job.part, newest_first(pods), now, pending_timeout, seed).assess()


@dataclass(frozen=True)
class _FinalistJudge(JobJudge[FinalistPart, FinalistResult]):
    seed: int

    def read(self, text: str) -> FinalistResult:
        result = FinalistResult.read(text)
        trial, target, _ = self.part.finalist
        require_identity(
            result, trial=trial, target=target, seed=self.seed, block_hash=self.part.block_hash
        )
        return result

    def failed(self, reason: str, message: str) -> FinalistResult:
        return FinalistResult(
            trial=self.part.finalist.trial,
            attempt=self.job.attempt,
            target=self.part.finalist.target,
            seed=self.seed,
            block_hash=self.part.block_hash,
            outcome=Outcome.FAILED,
            reason=reason,
            message=message,
        )

    def in_vain(self) -> tuple[str, str] | None:
        message = "It ran longer than spec.finalists.timeout and was stopped."
        return (OUT_OF_TIME, message) if any(pod.out_of_time for pod in self.pods) else None

    def explained(self, trouble: Trouble) -> Trouble:
        claim = "persistentvolumeclaim" in trouble.message and "not found" in trouble.message
        missing = trouble.reason == UNSCHEDULABLE and claim
        return replace(trouble, reason=VOLUME_MISSING) if missing else trouble
