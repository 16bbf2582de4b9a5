"""Judging trials' Jobs in tests."""

from datetime import datetime, timedelta

from operator_builders import NOW

from blockqnn.contract.message import Outcome
from blockqnn_operator.core.judging.trial import TrialAssessment, assess_trial
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob

PENDING = timedelta(minutes=15)


def judged(
    job: TrialJob, *pods: TrialPod, now: datetime = NOW, trial: int | None = None
) -> TrialAssessment:
    """The assessment of a trial; of the first one of its Job unless told otherwise."""
    return assess_trial(job, job.part.trial if trial is None else trial, pods, now, PENDING)


def failure_of(assessment: TrialAssessment) -> tuple[str, str]:
    """Reason and message of a trial that failed."""
    assert assessment.verdict is not None
    assert assessment.verdict.outcome is Outcome.FAILED
    assert assessment.annotate is None
    return assessment.verdict.reason, assessment.verdict.message
