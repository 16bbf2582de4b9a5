"""Snapshot of a search, its Jobs and its Pods during one pass."""

from dataclasses import dataclass
from datetime import datetime

from blockqnn_api.objects import SearchObject
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.observed.trial_job import TrialJob


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a decision about a search depends on, apart from its history."""

    search: SearchObject
    jobs: tuple[TrialJob, ...]
    pods: tuple[TrialPod, ...]
    now: datetime
    preparations: tuple[PreparationJob, ...] = ()
    """The Jobs that make, or have made, the dataset ready."""
