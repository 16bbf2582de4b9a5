"""Snapshot of a search, its Jobs and its Pods during one pass."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from blockqnn_api.objects import SearchObject
from blockqnn_operator.core.observed.job import Job
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.observed.unreadable import UnreadableObject

AnyJob = TypeVar("AnyJob", bound=Job[Any])


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a decision about a search depends on, apart from its history."""

    search: SearchObject
    jobs: tuple[TrialJob, ...]
    pods: tuple[TrialPod, ...]
    now: datetime
    preparations: tuple[PreparationJob, ...] = ()
    """The Jobs that make, or have made, the dataset ready."""
    unreadable: tuple[UnreadableObject, ...] = ()
    """The Jobs and Pods that are there and cannot be read."""

    def hides(self, job: str) -> bool:
        """Return whether a Job that cannot be read may be an attempt at the same as another.

        Args:
            job: the name of the other.
        """
        jobs = (seen.name for seen in self.unreadable if seen.kind == "Job")
        return any(_without_attempt(name) == _without_attempt(job) for name in jobs)

    def own(self, jobs: Iterable[AnyJob]) -> list[AnyJob]:
        """Return those Jobs that belong to the search and are not being deleted."""
        return [job for job in jobs if job.owner_uid == self.search.uid and not job.deleting]

    def pods_by_job(self) -> Mapping[str, list[TrialPod]]:
        """Return the Pods of each Job, by its name; an empty list for a Job without Pods."""
        pods: dict[str, list[TrialPod]] = defaultdict(list)
        for pod in self.pods:
            pods[pod.job].append(pod)
        return pods


def _without_attempt(job: str) -> str:
    """Return the part of a Job's name that all attempts share; each ends with ``-aN``."""
    return job.rpartition("-a")[0] or job
