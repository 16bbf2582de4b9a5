"""Reads the stored histories of a search."""

from blockqnn_api import names
from blockqnn_api.errors import HistoryUnreadable, ObjectUnreadable
from blockqnn_api.history.shards import TRIALS, Shard, read_shard
from blockqnn_api.object_fields import Fields
from blockqnn_api.objects import SearchObject
from blockqnn_operator.shell.kubernetes.client import Cluster, config_maps_path


async def load_shards(
    cluster: Cluster, search: SearchObject, kind: str = TRIALS
) -> list[Shard] | None:
    """Read a stored history of a search, in order; empty when there is none.

    Args:
        cluster: the API server.
        search: the search.
        kind: which of its histories: that of the trials, or that of the finalists.

    Returns:
        The shards, or None while the ConfigMaps of an earlier search of the same name are still
        being collected.

    Raises:
        HistoryUnreadable: when a ConfigMap holds no shard.
    """
    selector = f"{names.SEARCH_LABEL}={search.name},{names.COMPONENT_LABEL}={kind}"
    bodies = await cluster.list(config_maps_path(search.namespace), selector)
    try:
        owners = {
            owner.text("uid", None)
            for body in bodies
            for owner in Fields(body).part("metadata").parts("ownerReferences")
        }
    except ObjectUnreadable as error:
        raise HistoryUnreadable(f"A ConfigMap of the history cannot be read: {error}.") from None
    if owners - {search.uid}:
        return None
    return sorted((read_shard(body) for body in bodies), key=lambda shard: shard.number)
