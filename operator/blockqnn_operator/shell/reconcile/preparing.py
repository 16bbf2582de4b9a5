"""Creates the Jobs that make images ready."""

import logging
from collections.abc import Callable

from blockqnn_api.objects import SearchObject
from blockqnn_operator.core.jobs.base import Manifest
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.reporting.conditions import Problem
from blockqnn_operator.shell.kubernetes.client import Cluster
from blockqnn_operator.shell.kubernetes.write_through import WriteThroughCache
from blockqnn_operator.shell.reconcile.job_writer import JobWriter, ignore

logger = logging.getLogger(__name__)


async def create_preparation(
    cluster: Cluster,
    search: SearchObject,
    manifest: Manifest | None,
    warned: Callable[[str], None] = ignore,
) -> list[Problem]:
    """Create the Job, if there is one to create; return the API server's objection, if any.

    What was written is not kept: the watch reports the Job soon, and until then it is asked for
    again, which is no error.
    """
    if manifest is None:
        return []
    unkept = WriteThroughCache(PreparationJob.read)
    writer = JobWriter(cluster, search, unkept, "the Job that prepares the dataset", warned)
    creation = await writer.create(manifest)
    if creation.is_new:
        logger.info("%s: Job %s prepares the dataset", search.key, manifest["metadata"]["name"])
    return [creation.problem] if creation.problem else []
