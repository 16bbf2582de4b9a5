"""Carries out a plan: bounded concurrency, and 404 and 409 as normal outcomes."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from blockqnn_api import names
from blockqnn_api.history import shards as history
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.shards import Shard, ShardWrite, config_map, shard_name
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.objects import SearchObject, write_time
from blockqnn_api.status import Reason
from blockqnn_operator.core.jobs.trial import job_name
from blockqnn_operator.core.jobs.trial_group import job_of
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.events import Event
from blockqnn_operator.core.planning.open_trials import OpenTrial
from blockqnn_operator.core.planning.retention import Cleanup
from blockqnn_operator.core.reporting.conditions import Problem
from blockqnn_operator.shell.kubernetes.client import (
    ApiError,
    Cluster,
    Json,
    config_maps_path,
    jobs_path,
)
from blockqnn_operator.shell.kubernetes.write_through import WriteThroughCache

CONCURRENCY = 20
"""Requests of one search in flight: twenty creators kept a development API server busy
(53 trials a second on two cores), and more of them only wait."""

NOT_FOUND, CONFLICT, UNPROCESSABLE, FORBIDDEN = 404, 409, 422, 403

Item = TypeVar("Item")
Result = TypeVar("Result")

logger = logging.getLogger(__name__)


async def create_jobs(
    cluster: Cluster,
    search: SearchObject,
    state: SearchState,
    groups: Sequence[Sequence[OpenTrial]],
    freshest: WriteThroughCache[TrialJob],
    created: Callable[[Sequence[OpenTrial]], None] = lambda _trials: None,
) -> list[Problem]:
    """Create the Jobs of trials; return the API server's objection to them, if any.

    Only the first refusal is returned: the others would read the same.

    Args:
        cluster: the API server.
        search: the search.
        state: its settings.
        groups: the trials of each Job to create.
        freshest: records what is written.
        created: called with the trials of each Job that did not exist before.
    """

    async def create(trials: Sequence[OpenTrial]) -> Problem | None:
        body = job_of(search, state.settings, trials)
        try:
            freshest.wrote(await cluster.create(jobs_path(search.namespace), body))
        except ApiError as error:
            return await _refused(cluster, search, trials[0], error, freshest)
        created(trials)
        for trial in trials:
            logger.info("%s: trial %d started: %s", search.key, trial.number, trial.proposal.block)
        return None

    if not groups:
        return []
    first = await create(groups[0])
    if first is not None:
        return [first]
    problems = await at_once(create, groups[1:])
    return [problem for problem in problems if problem is not None][:1]


async def _refused(
    cluster: Cluster,
    search: SearchObject,
    trial: OpenTrial,
    error: ApiError,
    freshest: WriteThroughCache[TrialJob],
) -> Problem | None:
    """Return the problem behind a refused Job: none, a quota, or an invalid template."""
    if already_exists(error):
        name = job_name(search.name, trial.number, trial.attempt)
        existing = await cluster.get(jobs_path(search.namespace, name))
        job = TrialJob.read(existing)
        if job is not None and job.owner_uid == search.uid:
            freshest.wrote(existing)
            return None
        return taken(name)
    return refusal(error, "the Job of a trial")


def already_exists(error: ApiError) -> bool:
    """Return whether an object was refused because there is one of that name."""
    return error.status == CONFLICT and error.reason == "AlreadyExists"


def taken(name: str) -> Problem:
    """Return the problem that a Job's name is used by an object of another owner."""
    return Problem(
        Reason.JOB_REFUSED,
        f"Job {name} exists and has another owner; delete it, or wait until Kubernetes deletes it.",
    )


def refusal(error: ApiError, what: str) -> Problem:
    """Return the problem of a Job that the API server refuses; raise what may pass by itself."""
    if error.status == FORBIDDEN and "quota" in str(error).lower():
        return Problem(Reason.QUOTA_EXCEEDED, f"Waiting for quota: {error}")
    if error.status in (UNPROCESSABLE, FORBIDDEN, 400, NOT_FOUND):
        return Problem(Reason.JOB_REFUSED, f"The API server refuses {what}: {error}")
    raise error


async def annotate_jobs(
    cluster: Cluster,
    search: SearchObject,
    trials: Sequence[OpenTrial],
    freshest: WriteThroughCache[TrialJob],
    collected: Callable[[OpenTrial], None] = lambda _trial: None,
) -> None:
    """Copy the results that Pods report to their Jobs' annotations.

    Args:
        cluster: the API server.
        search: the search.
        trials: the trials whose Pods report.
        freshest: records what is written.
        collected: called with each trial whose result has become durable.
    """

    async def annotate(trial: OpenTrial) -> None:
        if trial.job is None or trial.to_annotate is None:
            return
        result = trial.to_annotate
        patch = result_patch(trial.job.result_annotation, result.write(), trial.judgement.end)
        try:
            freshest.wrote(await cluster.patch(jobs_path(search.namespace, trial.job.name), patch))
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return
        collected(trial)
        logger.info(
            "%s: trial %d ended: %s, accuracy %s",
            search.key,
            trial.number,
            result.outcome,
            "none" if result.accuracy is None else f"{result.accuracy:.4f}",
        )

    await at_once(annotate, trials)


def result_patch(annotation: str, text: str, end: bool) -> Json:
    """Return the patch that makes a result durable on its Job.

    Args:
        annotation: the annotation's name.
        text: the result.
        end: whether the Job would run on in vain.
    """
    patch: Json = {"metadata": {"annotations": {annotation: text}}}
    if end:
        # This fails the Job and ends its Pods; the Job itself stays until the history has it.
        patch["spec"] = {"activeDeadlineSeconds": 1}
    return patch


async def archive(
    cluster: Cluster, search: SearchObject, state: SearchState, records: Sequence[TrialRecord]
) -> None:
    """Append records to the stored history, then to the state.

    Raises:
        ApiError: with status 409 when somebody else wrote the history; the state is then stale
            and must be recovered from what is stored.
    """
    if not records:
        return
    stored = len(state.archive)
    for write in history.append(state.shards[-1], records):
        shard = await write_shard(cluster, search, write)
        if write.replaces is not None:
            state.shards.pop()
        state.shards.append(shard)
    state.extend(records)
    logger.info(
        "%s: trials %d to %d are in the history", search.key, stored, len(state.archive) - 1
    )


async def write_shard(
    cluster: Cluster, search: SearchObject, write: ShardWrite, kind: str = history.TRIALS
) -> Shard:
    """Store a shard of one of a search's histories and return it as stored."""
    body = config_map(search, write, kind)
    if write.replaces is None:
        answer = await cluster.create(config_maps_path(search.namespace), body)
    else:
        path = config_maps_path(search.namespace, shard_name(search.name, write.number, kind))
        answer = await cluster.replace(path, body)
    return history.read_shard(answer)


async def clean_up(
    cluster: Cluster, search: SearchObject, cleanup: Cleanup, freshest: WriteThroughCache[TrialJob]
) -> None:
    """Label the Jobs that stay and delete those that go."""

    async def keep(name: str) -> None:
        patch = {"metadata": {"labels": {names.ARCHIVED_LABEL: "true"}}}
        freshest.wrote(await cluster.patch(jobs_path(search.namespace, name), patch))

    async def delete(name: str) -> None:
        await cluster.delete(jobs_path(search.namespace, name))
        freshest.forget(name)

    async def delete_iteration(iteration: int) -> None:
        selector = (
            f"{names.SEARCH_LABEL}={search.name},{names.ITERATION_LABEL}={iteration},"
            f"{names.ARCHIVED_LABEL}!=true"
        )
        await cluster.delete_collection(jobs_path(search.namespace), selector)

    await at_once(_unless_gone(keep), cleanup.keep)
    await at_once(_unless_gone(delete), cleanup.delete)
    await at_once(delete_iteration, cleanup.delete_iterations)


async def tell(
    cluster: Cluster,
    search: SearchObject,
    events: Iterable[Event],
    now: datetime,
    reported: set[str],
) -> None:
    """Create the Kubernetes Events that were not reported yet.

    Args:
        cluster: the API server.
        search: the search that the events are about.
        events: the events.
        now: the time of the events.
        reported: the keys of the events that this process has reported; added to.
    """

    async def create(event: Event) -> None:
        body = _event_body(search, event, now)
        try:
            await cluster.create(f"/api/v1/namespaces/{search.namespace}/events", body)
        except ApiError as error:
            # An event is worth less than the search: one that is refused is only logged.
            if error.status != CONFLICT:
                logger.warning("%s: an Event was refused: %s", search.key, error)
                return
        reported.add(event.key)

    new = {event.key: event for event in events if event.key not in reported}
    await at_once(create, list(new.values()))


def _event_body(search: SearchObject, event: Event, now: datetime) -> Json:
    digest = hashlib.sha256(f"{search.uid}/{event.key}".encode()).hexdigest()[:16]
    moment = write_time(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{search.name}.{digest}", "namespace": search.namespace},
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": search.name,
            "namespace": search.namespace,
            "uid": search.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:1000],
        "source": {"component": names.FIELD_MANAGER},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }


def _unless_gone(act: Callable[[str], Awaitable[None]]) -> Callable[[str], Awaitable[None]]:
    async def tolerant(name: str) -> None:
        try:
            await act(name)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise

    return tolerant


async def at_once(act: Callable[[Item], Awaitable[Result]], items: Iterable[Item]) -> list[Result]:
    """Act on each item, on a bounded number at a time; the first error is raised."""
    gate = asyncio.Semaphore(CONCURRENCY)

    async def one(item: Item) -> Result:
        async with gate:
            return await act(item)

    return await asyncio.gather(*(one(item) for item in items))
