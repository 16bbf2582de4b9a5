"""Lays the operator's own writes over the watched Jobs, and keeps deleted Pods that matter.

A watch reports the operator's own writes a moment late; until then the answers to those writes,
which are newer, are laid over what was watched.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from blockqnn_api.objects import version_of
from blockqnn_operator.core.observed.job import Job
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob

UNSEEN_SECONDS = 10.0
"""Seconds that a write is trusted which no watch has reported: a Job that somebody deleted at once
is never seen, and must be created again."""


AnyJob = TypeVar("AnyJob", bound=Job[Any])


@dataclass(frozen=True, slots=True)
class _Written(Generic[AnyJob]):
    version: int
    job: AnyJob
    at: float


class WriteThroughCache(Generic[AnyJob]):
    """The newest known state of a search's Jobs: from the watch, or from the operator's writes.

    Args:
        read: reads a Job from its JSON; None when it is of another kind.
        clock: tells the seconds that have passed, from any origin.
    """

    def __init__(
        self,
        read: Callable[[Mapping[str, Any]], AnyJob | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.read, self._clock = read, clock
        self._written: dict[str, _Written[AnyJob]] = {}

    def wrote(self, body: Mapping[str, Any]) -> None:
        """Record a Job as the API server returned it from a write."""
        job = self.read(body)
        if job is not None:
            self._written[job.name] = _Written(version_of(body), job, self._clock())

    def over(self, watched: Iterable[tuple[int, AnyJob]]) -> tuple[AnyJob, ...]:
        """Return the Jobs as they are best known.

        Args:
            watched: resource version and Job, from the watch.
        """
        jobs = {}
        for version, job in watched:
            jobs[job.name] = job
            written = self._written.get(job.name)
            if written is not None and written.version <= version:
                del self._written[job.name]
        oldest = self._clock() - UNSEEN_SECONDS
        self._written = {n: w for n, w in self._written.items() if w.at >= oldest}
        return tuple((jobs | {name: w.job for name, w in self._written.items()}).values())

    def forget(self, name: str) -> None:
        """Drop a deleted Job, so that its last write does not linger."""
        self._written.pop(name, None)

    def forget_all(self) -> None:
        """Drop every write: the API server has gone back to a time before them."""
        self._written.clear()


class GonePods:
    """The last known state of deleted Pods, for as long as it matters.

    Kubernetes replaces the deleted Pod of a Job of one trial. A deleted Pod of a Job of several
    ends the Job, and may be gone before its results were collected: they and the reason are kept
    here.
    """

    def __init__(self) -> None:
        self._pods: dict[str, TrialPod] = {}

    def add(self, pod: TrialPod) -> None:
        """Record a Pod that no longer exists."""
        self._pods[pod.name] = replace(pod, gone=True)

    def of(self, jobs: Iterable[TrialJob]) -> tuple[TrialPod, ...]:
        """Return the Pods of those Jobs that have several trials, and forget all others."""
        since = {job.name: job.created_at for job in jobs if job.shared and job.created_at}
        # A Job that was deleted and made again has the name of the one before, but not its Pods.
        self._pods = {
            name: pod
            for name, pod in self._pods.items()
            if pod.job in since and pod.created_at >= since[pod.job]
        }
        return tuple(self._pods.values())
