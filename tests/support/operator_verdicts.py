"""Judging trials' Jobs in tests."""

from datetime import datetime, timedelta

from operator_builders import NOW

from blockqnn.contract.message import Outcome
from blockqnn_operator.core.judging.trial import Judgement, judge
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob

PENDING = timedelta(minutes=15)


def judged(job: TrialJob, *pods: TrialPod, now: datetime = NOW) -> Judgement:
    return judge(job, pods, now, PENDING)


def failure_of(judgement: Judgement) -> tuple[str, str]:
    """Reason and message of a trial that failed."""
    assert judgement.verdict is not None
    assert judgement.verdict.outcome is Outcome.FAILED
    assert judgement.annotate is None
    return judgement.verdict.reason, judgement.verdict.message
