"""Carries out the plan for a search's finalists, in the same steps as for trials."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from blockqnn_api.history.finalist_record import FinalistArchive
from blockqnn_api.history.identity import check_complete
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.shards import FINALISTS
from blockqnn_api.objects import SearchObject
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.assessment import SearchAssessment
from blockqnn_operator.core.planning.finalists import (
    NO_FINALISTS,
    FinalistPlan,
    FinalistState,
    plan_finalists,
)
from blockqnn_operator.core.reporting.conditions import Problem
from blockqnn_operator.core.reporting.finalists import FinalistReport, report_finalists
from blockqnn_operator.shell.kubernetes.client import Cluster
from blockqnn_operator.shell.kubernetes.informer import Key
from blockqnn_operator.shell.kubernetes.write_through import WriteThroughCache
from blockqnn_operator.shell.reconcile.apply import adopt, append
from blockqnn_operator.shell.reconcile.job_writer import JobWriter, at_once, ignore
from blockqnn_operator.shell.reconcile.load_history import load_shards
from blockqnn_operator.shell.reconcile.preparing import create_preparation

logger = logging.getLogger(__name__)


class EarlierSearch(Exception):
    """Leftovers of an earlier search of the same name are still being collected."""


@dataclass(slots=True)
class FinalistMemory:
    """State of a search's finalists that the process keeps between two passes; it can be lost."""

    freshest: WriteThroughCache[FinalistJob] = field(
        default_factory=lambda: WriteThroughCache(FinalistJob.read)
    )
    state: FinalistState | None = None
    """Their history; None until it is read."""
    latest: FinalistPlan = NO_FINALISTS
    """The latest plan for them."""


class Finalists:
    """Trains the finalists of searches.

    Args:
        cluster: the API server.
        jobs: finds the watched Jobs of a search's finalists, with their resource versions.
    """

    def __init__(
        self, cluster: Cluster, jobs: Callable[[Key], Iterable[tuple[int, FinalistJob]]]
    ) -> None:
        self._cluster, self._jobs = cluster, jobs

    def in_flight(self, key: Key) -> int:
        """Return how many Jobs of a search's finalists have not ended, as far as watches tell."""
        return sum(not job.is_over for _, job in self._jobs(key))

    async def decide(
        self,
        observed: Observed,
        state: SearchState,
        memory: FinalistMemory,
        assessment: SearchAssessment,
    ) -> FinalistPlan:
        """Decide what to do about the finalists of a search; read their history first if needed.

        Args:
            observed: the snapshot of the search.
            state: its settings and history.
            memory: the kept state of its finalists.
            assessment: what holds of the search.

        Raises:
            EarlierSearch: when the history of another search of this name is still there.
            HistoryUnreadable: when the history is damaged.
        """
        if state.settings.finalists is None:
            memory.latest = NO_FINALISTS
            return NO_FINALISTS
        if memory.state is None:
            shards = await load_shards(self._cluster, observed.search, FINALISTS)
            if shards is None:
                raise EarlierSearch
            archive = FinalistArchive.recover(shards)
            check_complete(observed.search, len(archive.records), FINALISTS)
            archive.shards = await adopt(self._cluster, observed.search, shards, FINALISTS)
            memory.state = FinalistState(archive)
        search = observed.search
        jobs = memory.freshest.over(self._jobs((search.namespace, search.name)))
        memory.latest = plan_finalists(observed, state, memory.state, jobs, over=assessment.over)
        return memory.latest

    async def carry_out(
        self,
        search: SearchObject,
        decided: FinalistPlan,
        memory: FinalistMemory,
        granted: int,
        warned: Callable[[str], None] = ignore,
    ) -> list[Problem]:
        """Carry out a plan; return the API server's objections to it, if any.

        Args:
            search: the search.
            decided: the plan.
            memory: the kept state of its finalists.
            granted: the largest number of Jobs to create.
            warned: called with each warning of the API server about a Job.
        """
        if memory.state is None:
            return []
        what = "the Job of a finalist"
        writer = JobWriter(self._cluster, search, memory.freshest, what, warned)
        await at_once(writer.annotate, decided.annotate)
        await self._archive(search, decided, memory)
        await at_once(writer.delete, decided.delete)
        problems = []
        for preparation in decided.preparations.values():
            await at_once(writer.delete, preparation.delete)
            problems += await create_preparation(self._cluster, search, preparation.create, warned)
        for manifest in decided.create[:granted]:
            creation = await writer.create(manifest)
            if creation.is_new:
                name = manifest["metadata"]["name"]
                logger.info("%s: Job %s trains a finalist", search.key, name)
            if creation.problem is not None:
                # The others would be refused for the same reason.
                return [*problems, creation.problem]
        return problems

    def report(
        self, state: SearchState, memory: FinalistMemory, assessment: SearchAssessment
    ) -> FinalistReport | None:
        """Return the report on the finalists by the latest plan; None where none are wanted."""
        if memory.state is None:
            return None
        archive = memory.state.archive
        return report_finalists(state, archive, memory.latest, over=assessment.over)

    async def _archive(
        self, search: SearchObject, decided: FinalistPlan, memory: FinalistMemory
    ) -> None:
        """Append records to the history; when that fails, the history is read again."""
        if not decided.archive or memory.state is None:
            return
        archive, memory.state = memory.state.archive, None
        await append(self._cluster, search, archive.shards, decided.archive, FINALISTS)
        archive.extend(decided.archive)
        memory.state = FinalistState(archive)
        for record in decided.archive:
            logger.info("%s: %s is in the history", search.key, record.finalist)
