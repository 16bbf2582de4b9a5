"""Writes Jobs of all kinds: 404 and 409 are normal outcomes, and concurrency is bounded."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from blockqnn_api import names
from blockqnn_api.errors import ObjectUnreadable
from blockqnn_api.objects import SearchObject
from blockqnn_api.status import Reason
from blockqnn_operator.core.jobs.base import Manifest
from blockqnn_operator.core.observed.job import Job
from blockqnn_operator.core.observed.unreadable import UnreadableObject
from blockqnn_operator.core.planning.open_item import OpenItem
from blockqnn_operator.core.reporting.conditions import Problem
from blockqnn_operator.shell.kubernetes.answers import Answer, Json
from blockqnn_operator.shell.kubernetes.client import ApiError, Cluster, jobs_path
from blockqnn_operator.shell.kubernetes.write_through import WriteThroughCache
from blockqnn_operator.shell.reconcile.refusals import (
    CONFLICT,
    FORBIDDEN,
    NOT_FOUND,
    is_refusal,
    refusal,
)

CONCURRENCY = 20
"""Requests of one search in flight: twenty creators kept a development API server busy
(53 trials a second on two cores), and more of them only wait."""

AnyJob = TypeVar("AnyJob", bound=Job[Any])
Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)


def ignore(_words: str) -> None:
    """Do nothing about a warning."""


class Creation(NamedTuple):
    """The outcome of an attempt to create a Job."""

    is_new: bool
    """False where the Job exists already, or was refused."""
    problem: Problem | None = None
    """The API server's objection to it, if any."""


@dataclass(frozen=True)
class JobWriter(Generic[AnyJob]):
    """Creates, annotates, labels and deletes a search's Jobs of one kind."""

    cluster: Cluster
    search: SearchObject
    cache: WriteThroughCache[AnyJob]
    """Records what is written."""
    what: str
    """The Jobs, as a refusal names them."""
    warned: Callable[[str], None] = ignore
    """Called with each warning of the API server about a Job that it has created."""

    async def create(self, manifest: Manifest) -> Creation:
        """Create a Job; one of the same search that exists already is no error.

        Raises:
            ApiError: when it is refused for a reason that may pass by itself.
        """
        name, namespace = manifest["metadata"]["name"], self.search.namespace
        try:
            answer = await self.cluster.create(jobs_path(namespace), manifest)
        except ApiError as error:
            if error.status != CONFLICT or error.reason != "AlreadyExists":
                return Creation(False, _refusal(error, f"{self.what}, {name}"))
        else:
            self._wrote(answer)
            for words in answer.warnings if isinstance(answer, Answer) else ():
                self.warned(words)
            return Creation(True)
        existing = await self.cluster.get(jobs_path(namespace, name))
        try:
            job = self.cache.read(existing)
        except ObjectUnreadable as error:
            unreadable = UnreadableObject.read(existing, "Job", str(error))
            return Creation(False, Problem(Reason.OBJECT_UNREADABLE, str(unreadable)))
        if job is None or job.owner_uid != self.search.uid:
            return Creation(False, _taken(name))
        self._wrote(existing)
        return Creation(False)

    async def annotate(self, item: OpenItem[AnyJob, Any]) -> bool:
        """Copy the result that a Pod reports to its Job's annotation, which makes it durable.

        Returns:
            False when there is nothing to annotate.
        """
        job, part, result = item.job, item.part, item.to_annotate
        if job is None or part is None or result is None:
            return False
        patch: Json = {"metadata": {"annotations": {part.result_annotation: result.write()}}}
        if item.assessment.end:
            # This fails the Job and ends its Pods; the Job itself stays until the history has it.
            patch["spec"] = {"activeDeadlineSeconds": 1}
        if not await self._patch(job.name, patch):
            return False
        accuracy = "none" if result.accuracy is None else f"{result.accuracy:.4f}"
        key, outcome = self.search.key, result.outcome
        logger.info("%s: %s ended: %s, accuracy %s", key, item.title, outcome, accuracy)
        return True

    async def keep(self, name: str) -> None:
        """Label a Job as one that stays for its logs."""
        await self._patch(name, {"metadata": {"labels": {names.ARCHIVED_LABEL: "true"}}})

    async def delete(self, name: str) -> None:
        """Delete a Job."""
        await _unless_gone(self.cluster.delete(jobs_path(self.search.namespace, name)))
        self.cache.forget(name)

    async def _patch(self, name: str, patch: Json) -> bool:
        path = jobs_path(self.search.namespace, name)
        answer = await _unless_gone(self.cluster.patch(path, patch))
        if answer is not None:
            self._wrote(answer)
        return answer is not None

    def _wrote(self, answer: Json) -> None:
        """Record a Job as the API server returned it; the watch tells of one that is unreadable."""
        try:
            self.cache.wrote(answer)
        except ObjectUnreadable as error:
            logger.warning("%s: a Job cannot be read: %s.", self.search.key, error)


def _taken(name: str) -> Problem:
    """Return the problem that a Job's name is used by an object of another owner."""
    return Problem(
        Reason.JOB_REFUSED,
        f"Job {name} exists and belongs to something else; delete it, or wait until it is "
        "collected.",
    )


def _refusal(error: ApiError, what: str) -> Problem:
    """Return the problem of a Job that the API server refuses; raise what may pass by itself."""
    if error.status == FORBIDDEN and "quota" in str(error).lower():
        return refusal(error)
    if is_refusal(error) or error.status == NOT_FOUND:
        return Problem(Reason.JOB_REFUSED, f"The API server refuses {what}: {error}")
    raise error


async def _unless_gone(request: Awaitable[Result]) -> Result | None:
    """Return the answer to a request; None where its object does not exist."""
    try:
        return await request
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
        return None


async def at_once(act: Callable[[Item], Awaitable[Result]], items: Iterable[Item]) -> list[Result]:
    """Act on each item, on a bounded number at a time; the first error is raised."""
    gate = asyncio.Semaphore(CONCURRENCY)

    async def act_in_turn(item: Item) -> Result:
        async with gate:
            return await act(item)

    return await asyncio.gather(*(act_in_turn(item) for item in items))
