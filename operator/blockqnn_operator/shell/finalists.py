"""Carries out what is decided about a search's finalists: the same steps as for trials."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from blockqnn_operator.core import history
from blockqnn_operator.core.ending import is_over
from blockqnn_operator.core.finalists.observation import FinalistJob
from blockqnn_operator.core.finalists.planning import (
    NO_FINALISTS,
    FinalistPlan,
    FinalistState,
    OpenFinalist,
    plan_finalists,
)
from blockqnn_operator.core.finalists.records import FinalistArchive
from blockqnn_operator.core.finalists.reporting import FinalistReport, report_finalists
from blockqnn_operator.core.ledger import Ledger
from blockqnn_operator.core.manifests import Manifest
from blockqnn_operator.core.observation import Observed, SearchObject
from blockqnn_operator.core.reporting import Problem
from blockqnn_operator.core.state import SearchState
from blockqnn_operator.shell import apply
from blockqnn_operator.shell.cluster import ApiError, Cluster, Json, jobs_path
from blockqnn_operator.shell.observe import Freshest, load_shards
from blockqnn_operator.shell.preparing import create_preparation
from blockqnn_operator.shell.slots import Key

logger = logging.getLogger(__name__)


class EarlierSearch(Exception):
    """What an earlier search of the same name left is still being collected."""


@dataclass(slots=True)
class FinalistMemory:
    """What the process keeps of a search's finalists between two passes; all can be lost."""

    freshest: Freshest[FinalistJob] = field(default_factory=lambda: Freshest(FinalistJob.read))
    state: FinalistState | None = None
    """Their history; None until it is read."""
    latest: FinalistPlan = NO_FINALISTS
    """What was last seen of them."""


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
        """Say how many Jobs of a search's finalists have not ended, as far as watches tell."""
        return sum(not job.is_over for _, job in self._jobs(key))

    async def decide(
        self, observed: Observed, state: SearchState, ledger: Ledger, memory: FinalistMemory
    ) -> FinalistPlan:
        """Decide what to do about the finalists of a search; their history is read first.

        Args:
            observed: what is seen of the search.
            state: its settings and history.
            ledger: its open trials.
            memory: what is kept of its finalists.

        Raises:
            EarlierSearch: when the history of another search of this name is still there.
            HistoryUnreadable: when the history is damaged.
        """
        if state.settings.finalists is None:
            memory.latest = NO_FINALISTS
            return NO_FINALISTS
        if memory.state is None:
            shards = await load_shards(self._cluster, observed.search, history.FINALISTS)
            if shards is None:
                raise EarlierSearch
            memory.state = FinalistState(FinalistArchive.recover(shards))
        over = is_over(observed, state, ledger)
        return self._plan(observed, state, memory, memory.state, over=over)

    async def carry_out(
        self, search: SearchObject, decided: FinalistPlan, memory: FinalistMemory, granted: int
    ) -> list[Problem]:
        """Do what was decided; return what the API server has against it, if anything.

        Args:
            search: the search.
            decided: the plan.
            memory: what is kept of its finalists.
            granted: how many Jobs may be created.
        """
        if memory.state is None:
            return []
        await apply.at_once(lambda one: self._annotate(search, one, memory), decided.annotate)
        await self._archive(search, decided, memory)
        await apply.at_once(lambda name: self._delete(search, name, memory), decided.delete)
        problems = []
        for preparation in decided.preparations.values():
            await apply.at_once(lambda name: self._delete(search, name, memory), preparation.delete)
            problems += await create_preparation(self._cluster, search, preparation.create)
        for manifest in decided.create[:granted]:
            problem = await self._create(search, manifest, memory)
            if problem is not None:
                # The others would be refused for the same reason.
                return [*problems, problem]
        return problems

    def report(
        self, observed: Observed, state: SearchState, ledger: Ledger, memory: FinalistMemory
    ) -> FinalistReport | None:
        """Return how far the finalists are after a pass; None where there are none to be."""
        if memory.state is None or state.settings.finalists is None:
            return None
        over = is_over(observed, state, ledger)
        memory.latest = self._plan(observed, state, memory, memory.state, over=over)
        return report_finalists(state, memory.state.archive, memory.latest, over=over)

    def _plan(
        self,
        observed: Observed,
        state: SearchState,
        memory: FinalistMemory,
        kept: FinalistState,
        *,
        over: bool,
    ) -> FinalistPlan:
        search = observed.search
        jobs = memory.freshest.over(self._jobs((search.namespace, search.name)))
        return plan_finalists(observed, state, kept, jobs, over=over)

    async def _annotate(
        self, search: SearchObject, one: OpenFinalist, memory: FinalistMemory
    ) -> None:
        result = one.judgement.annotate
        if one.job is None or result is None:
            return
        body = apply.result_patch(one.job.result_annotation, result.write(), one.judgement.end)
        try:
            answer = await self._cluster.patch(jobs_path(search.namespace, one.job.name), body)
        except ApiError as error:
            if error.status != apply.NOT_FOUND:
                raise
            return
        memory.freshest.wrote(answer)
        accuracy = "none" if result.accuracy is None else f"{result.accuracy:.4f}"
        logger.info(
            "%s: %s ended: %s, accuracy %s", search.key, one.finalist, result.outcome, accuracy
        )

    async def _archive(
        self, search: SearchObject, decided: FinalistPlan, memory: FinalistMemory
    ) -> None:
        """Append records to the history; when that fails, read again how far it got."""
        if not decided.archive or memory.state is None:
            return
        archive, memory.state = memory.state.archive, None
        last = archive.shards[-1] if archive.shards else None
        for write in history.append(last, decided.archive):
            shard = await apply.write_shard(self._cluster, search, write, history.FINALISTS)
            if write.replaces is not None:
                archive.shards.pop()
            archive.shards.append(shard)
        archive.extend(decided.archive)
        memory.state = FinalistState(archive)
        for record in decided.archive:
            logger.info("%s: %s is in the history", search.key, record.finalist)

    async def _delete(self, search: SearchObject, name: str, memory: FinalistMemory) -> None:
        try:
            await self._cluster.delete(jobs_path(search.namespace, name))
        except ApiError as error:
            if error.status != apply.NOT_FOUND:
                raise
        memory.freshest.forget(name)

    async def _create(
        self, search: SearchObject, manifest: Manifest, memory: FinalistMemory
    ) -> Problem | None:
        name = manifest["metadata"]["name"]
        try:
            written: Json = await self._cluster.create(jobs_path(search.namespace), manifest)
        except ApiError as error:
            if not apply.already_exists(error):
                return apply.refusal(error, "the Job of a finalist")
            written = await self._cluster.get(jobs_path(search.namespace, name))
            job = FinalistJob.read(written)
            if job is None or job.owner_uid != search.uid:
                return apply.taken(name)
        else:
            logger.info("%s: Job %s trains a finalist", search.key, name)
        memory.freshest.wrote(written)
        return None
