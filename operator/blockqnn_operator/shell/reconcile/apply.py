"""Carries out the plan for a search's trials."""

import logging
from collections.abc import Callable, Sequence

from blockqnn_api import names
from blockqnn_api.history import shards as history
from blockqnn_api.history.record import Record
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.shards import Shard, ShardWrite, config_map, shard_name
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.objects import SearchObject
from blockqnn_operator.core.jobs.trial_group import job_of
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.open_trials import OpenTrial
from blockqnn_operator.core.planning.retention import Cleanup
from blockqnn_operator.core.reporting.conditions import Problem
from blockqnn_operator.shell.kubernetes.client import Cluster, config_maps_path, jobs_path
from blockqnn_operator.shell.reconcile.job_writer import JobWriter, at_once

logger = logging.getLogger(__name__)


async def create_jobs(
    writer: JobWriter[TrialJob],
    state: SearchState,
    groups: Sequence[Sequence[OpenTrial]],
    created: Callable[[Sequence[OpenTrial]], None] = lambda _trials: None,
) -> list[Problem]:
    """Create the Jobs of trials; return the API server's objection to them, if any.

    Only the first refusal is returned: the others would read the same.

    Args:
        writer: writes them.
        state: the settings of the search.
        groups: the trials of each Job to create.
        created: called with the trials of each Job that did not exist before.
    """
    search = writer.search

    async def create(trials: Sequence[OpenTrial]) -> Problem | None:
        creation = await writer.create(job_of(search, state.settings, trials))
        if creation.is_new:
            created(trials)
            for trial in trials:
                block = trial.proposal.block
                logger.info("%s: trial %d started: %s", search.key, trial.number, block)
        return creation.problem

    if not groups:
        return []
    first = await create(groups[0])
    if first is not None:
        return [first]
    problems = await at_once(create, groups[1:])
    return [problem for problem in problems if problem is not None][:1]


async def annotate_jobs(
    writer: JobWriter[TrialJob],
    trials: Sequence[OpenTrial],
    collected: Callable[[OpenTrial], None] = lambda _trial: None,
) -> None:
    """Copy the results that Pods report to their Jobs' annotations.

    Args:
        writer: writes them.
        trials: the trials whose Pods report.
        collected: called with each trial whose result has become durable.
    """

    async def annotate(trial: OpenTrial) -> None:
        if await writer.annotate(trial):
            collected(trial)

    await at_once(annotate, trials)


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
    await append(cluster, search, state.shards, records)
    state.extend(records)
    logger.info(
        "%s: trials %d to %d are in the history", search.key, stored, len(state.archive) - 1
    )


async def append(
    cluster: Cluster,
    search: SearchObject,
    shards: list[Shard],
    records: Sequence[Record],
    kind: str = history.TRIALS,
) -> None:
    """Store records after those of a search's shards, which are brought up to date.

    Args:
        cluster: the API server.
        search: the search.
        shards: the shards of the history as they are stored; changed.
        records: the records to append.
        kind: which of the search's histories.
    """
    for write in history.append(shards[-1] if shards else None, records):
        shard = await write_shard(cluster, search, write, kind)
        shards[write.number :] = [shard]


async def adopt(
    cluster: Cluster, search: SearchObject, shards: Sequence[Shard], kind: str = history.TRIALS
) -> list[Shard]:
    """Make shards that were left behind those of the search, so that they are deleted with it."""
    return [
        shard
        if shard.owner_uid == search.uid
        else await write_shard(
            cluster, search, ShardWrite(shard.number, shard.text, shard.resource_version), kind
        )
        for shard in shards
    ]


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


async def clean_up(writer: JobWriter[TrialJob], cleanup: Cleanup) -> None:
    """Label the Jobs that stay and delete those that go."""
    search = writer.search

    async def delete_iteration(iteration: int) -> None:
        selector = (
            f"{names.SEARCH_LABEL}={search.name},{names.ITERATION_LABEL}={iteration},"
            f"{names.ARCHIVED_LABEL}!=true"
        )
        await writer.cluster.delete_collection(jobs_path(search.namespace), selector)

    await at_once(writer.keep, cleanup.keep)
    await at_once(writer.delete, cleanup.delete)
    await at_once(delete_iteration, cleanup.delete_iterations)
