"""Parts that the verdicts on all kinds of Jobs share. Pure."""

from collections.abc import Sequence
from datetime import timedelta

from blockqnn_operator.core.observed.job import OUT_OF_TIME
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob

REPORTING_DEADLINE = timedelta(seconds=60)
"""Time after the end of a Job without a result until its Pods must have been seen: the watch of
the Pods may lag behind that of the Jobs, by far less than this."""
OUT_OF_MEMORY = "OOMKilled"
"""Kubernetes' reason for the end of a container that the kernel killed over its memory limit."""
LONGEST_QUOTE = 300
"""Most characters that are quoted from a message of a Pod or a kubelet."""


def all_seen(job: TrialJob, pods: Sequence[TrialPod]) -> bool:
    """Return whether the Pods that decided how a Job ended have been seen to end."""
    if job.condition == "Complete":
        return any(pod.exit_code == 0 for pod in pods)
    return job.reason == OUT_OF_TIME or job.failed_pods <= sum(
        pod.exit_code is not None or pod.gone for pod in pods
    )


def quote(text: str) -> str:
    """Return the first line of a message, cut where it is too long to be quoted."""
    return "".join(text.strip().splitlines()[:1])[:LONGEST_QUOTE]
