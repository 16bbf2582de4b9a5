"""The open finalists of a search, and the progress of each.

A finalist is open while it is wanted or has a Job, and its record is not in the history.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import timedelta

from blockqnn.contract.finalist import FinalistResult
from blockqnn_api.durations import seconds
from blockqnn_api.finalists_spec import Finalists
from blockqnn_api.history.finalist_record import Finalist
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_operator.core.jobs.finalist import finalist_seed
from blockqnn_operator.core.judging.finalist import FinalistVerdict, assess_finalist
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.open_item import OpenItem, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFinalist(OpenItem[FinalistJob, FinalistResult]):
    """An open finalist."""

    finalist: Finalist

    @property
    def failure(self) -> FinalistVerdict | None:
        """Why it has failed for good, if it has."""
        return self.assessment.failure if self.stage is Stage.FAILED else None

    @property
    def title(self) -> str:
        """The finalist in a log."""
        return str(self.finalist)


class FinalistJobs:
    """The Jobs of a search's finalists.

    Args:
        observed: the snapshot of the search.
        settings: its settings.
        asked: the settings of its finalists.
        jobs: the Jobs of finalists.
    """

    def __init__(
        self,
        observed: Observed,
        settings: BlockSearchSpec,
        asked: Finalists,
        jobs: Sequence[FinalistJob],
    ) -> None:
        self._observed, self._settings, self._asked = observed, settings, asked
        self._pods = observed.pods_by_job()
        self.all = observed.own(jobs)
        by_attempt = sorted(self.all, key=lambda job: job.attempt)
        self.latest = {job.finalist: job for job in by_attempt}
        """Each finalist's Job of the latest attempt."""

    def list_open(
        self, wanted: Sequence[Finalist], archived: Container[Finalist]
    ) -> tuple[OpenFinalist, ...]:
        """Match the wanted finalists with the Jobs.

        A Job that is no longer wanted still runs to its end: it has cost too much to be thrown
        away. Once such a Job has failed, it no longer matters.
        """
        others = sorted(self.latest.keys() - set(wanted))
        candidates = [self._look(f) for f in (*wanted, *others) if f not in archived]
        wanted_set = set(wanted)
        return tuple(
            candidate
            for candidate in candidates
            if candidate.finalist in wanted_set or candidate.stage in (Stage.RUNNING, Stage.OVER)
        )

    def _look(self, finalist: Finalist) -> OpenFinalist:
        job = self.latest.get(finalist)
        if job is None:
            return OpenFinalist(finalist=finalist, stage=Stage.UNSTARTED)
        timeout = timedelta(seconds=seconds(self._settings.failure_policy.pending_timeout))
        seed = finalist_seed(self._settings.seed, finalist)
        assessment = assess_finalist(job, self._pods[job.name], seed, self._observed.now, timeout)
        stage, attempt, failure = Stage.RUNNING, job.attempt, assessment.failure
        if failure and failure.retry and attempt < self._asked.retries:
            stage, attempt = Stage.UNSTARTED, attempt + 1
        elif assessment.verdict:
            stage = Stage.FAILED if failure else Stage.OVER
        return OpenFinalist(
            finalist=finalist, stage=stage, job=job, assessment=assessment, attempt=attempt
        )
