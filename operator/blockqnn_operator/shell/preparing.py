"""Creates the Job that makes a search's images ready."""

import logging

from blockqnn_operator.core.manifests import Manifest
from blockqnn_operator.core.observation import PreparationJob, SearchObject
from blockqnn_operator.core.reporting import Problem
from blockqnn_operator.shell.apply import already_exists, refusal, taken
from blockqnn_operator.shell.cluster import ApiError, Cluster, jobs_path

logger = logging.getLogger(__name__)


async def create_preparation(
    cluster: Cluster, search: SearchObject, manifest: Manifest | None
) -> list[Problem]:
    """Create the Job, if there is one to be created; return what the API server has against it.

    One that is there already is no error: the watch has not told of it yet.
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
