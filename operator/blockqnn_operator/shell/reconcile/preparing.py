"""Creates the Job that makes a search's images ready."""

import logging

from blockqnn_api.objects import SearchObject
from blockqnn_operator.core.jobs.base import Manifest
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.reporting.conditions import Problem
from blockqnn_operator.shell.kubernetes.client import ApiError, Cluster, jobs_path
from blockqnn_operator.shell.reconcile.apply import already_exists, refusal, taken

logger = logging.getLogger(__name__)


async def create_preparation(
    cluster: Cluster, search: SearchObject, manifest: Manifest | None
) -> list[Problem]:
    """Create the Job, if there is one to create; return the API server's objection, if any.

    A Job that already exists is no error: the watch has not reported it yet.
    """
    if manifest is None:
        return []
    name = manifest["metadata"]["name"]
    try:
        await cluster.create(jobs_path(search.namespace), manifest)
    except ApiError as error:
        if not already_exists(error):
            return [refusal(error, "the Job that prepares the dataset")]
        job = PreparationJob.read(await cluster.get(jobs_path(search.namespace, name)))
        if job is not None and job.owner_uid == search.uid:
            return []
        return [taken(name)]
    logger.info("%s: Job %s prepares the dataset", search.key, name)
    return []
