"""Reads the stored histories of a search, and begins them."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from blockqnn_api import names
from blockqnn_api.errors import HistoryUnreadable, ObjectUnreadable
from blockqnn_api.history import shards as history
from blockqnn_api.history.identity import check_complete, check_owner
from blockqnn_api.history.replay import Blueprint, SearchState
from blockqnn_api.history.shards import TRIALS, Shard, is_shard, read_shard
from blockqnn_api.history.trial_record import Header, read_lines
from blockqnn_api.object_fields import Fields
from blockqnn_api.objects import SearchObject
from blockqnn_api.resolve import pin
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_operator import __version__
from blockqnn_operator.shell.agents.remote import RemoteAgent
from blockqnn_operator.shell.kubernetes.client import Cluster, config_maps_path
from blockqnn_operator.shell.reconcile import apply


async def load_shards(
    cluster: Cluster, search: SearchObject, kind: str = TRIALS
) -> list[Shard] | None:
    """Read a stored history of a search, in order; empty when there is none.

    ConfigMaps are read one by one, and those of other names are left out: whoever may create
    ConfigMaps must not fill the operator's memory with them.

    Args:
        cluster: the API server.
        search: the search.
        kind: which of its histories: that of the trials, or that of the finalists.

    Returns:
        The shards, or None while the ConfigMaps of an earlier search of the same name are still
        being collected.

    Raises:
        HistoryUnreadable: when a ConfigMap holds no shard, or a larger one than the operator
            writes.
    """
    selector = f"{names.SEARCH_LABEL}={search.name},{names.COMPONENT_LABEL}={kind}"
    shards: list[Shard] = []
    async for page in cluster.pages(config_maps_path(search.namespace), selector, size=1):
        for body in page["items"]:
            if not is_shard(body, search.name, kind):
                continue
            if _owners(body) - {search.uid}:
                return None
            shards.append(read_shard(body))
    return sorted(shards, key=lambda shard: shard.number)


def _owners(body: Mapping[str, Any]) -> set[str]:
    try:
        owners = Fields(body).part("metadata").parts("ownerReferences")
        return {owner.text("uid", None) for owner in owners}
    except ObjectUnreadable as error:
        raise HistoryUnreadable(f"A ConfigMap of the history cannot be read: {error}.") from None


async def recover(
    cluster: Cluster,
    search: SearchObject,
    resolve: Callable[..., BlockSearchSpec],
) -> tuple[SearchState, RemoteAgent] | None:
    """Read the history of a search; begin one where there is none.

    Args:
        cluster: the API server.
        search: the search.
        resolve: resolves its spec, given the settings that its history pins, if there is one.

    Returns:
        The state and its agent, which learns when blocks are asked for; None while the history of
        an earlier search of the same name is still being collected.

    Raises:
        HistoryUnreadable: when what is stored is no history, or not a whole one of this search.
        InvalidSearch: when the search cannot run as it is written.
    """
    shards = await load_shards(cluster, search)
    if shards is None:
        return None
    if not shards:
        check_complete(search, 0)
        settings = resolve(search.spec)
        header = Header(
            operator_version=__version__,
            search_uid=search.uid,
            seed=settings.seed,
            settings=pin(settings),
        )
        shards = [await apply.write_shard(cluster, search, history.start(header))]
    header, stored = read_lines(history.lines(shards))
    settings = resolve(search.spec, header.settings)
    check_owner(search, header, settings)
    check_complete(search, len(stored))
    shards = await apply.adopt(cluster, search, shards)
    agents: list[RemoteAgent] = []

    def make_agent(blueprint: Blueprint) -> RemoteAgent:
        agents.append(RemoteAgent(blueprint))
        return agents[-1]

    # A long history, and a large space, take a while; other searches, and the probes, go on.
    state = await asyncio.to_thread(
        SearchState.recover, header, settings, shards, stored, make_agent
    )
    return state, agents[-1]
