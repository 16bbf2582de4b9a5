"""A history is read one ConfigMap at a time, and nothing of others is kept."""

from collections.abc import Mapping
from typing import Any

import pytest
from operator_builders import UID, config_map_body, make_search, make_spec

from blockqnn_api.errors import HistoryUnreadable
from blockqnn_api.history.shards import DATA_KEY, SHARD_LIMIT
from blockqnn_operator.shell.kubernetes.client import Cluster
from blockqnn_operator.shell.reconcile.load_history import load_shards

Json = dict[str, Any]

SEARCH = make_search(make_spec())


class Stored(Cluster):
    """An API server that answers lists in pages, and notes how many objects each has."""

    def __init__(self, bodies: list[Json]) -> None:
        super().__init__(None, lambda _verb, _code: None)
        self.bodies = bodies
        self.sizes: list[int] = []

    async def _request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, **_more: Any
    ) -> Json:
        assert (method, query is not None) == ("GET", True)
        begin, size = int((query or {}).get("continue", "0")), int((query or {})["limit"])
        page = self.bodies[begin : begin + size]
        self.sizes.append(len(page))
        more = begin + size < len(self.bodies)
        return {"items": page, "metadata": {"continue": str(begin + size)} if more else {}}


def named(body: Json, name: str) -> Json:
    return {**body, "metadata": {**body["metadata"], "name": name}}


def owned_by(body: Json, uid: str) -> Json:
    return {**body, "metadata": {**body["metadata"], "ownerReferences": [{"uid": uid}]}}


async def test_shards_come_in_order_whatever_the_order_of_the_list() -> None:
    server = Stored([config_map_body(number, f"{number}\n") for number in (2, 0, 1)])
    shards = await load_shards(server, SEARCH)
    assert shards is not None
    assert [(shard.number, shard.text) for shard in shards] == [(0, "0\n"), (1, "1\n"), (2, "2\n")]


async def test_no_page_has_more_than_one_config_map() -> None:
    server = Stored([config_map_body(number, "{}\n") for number in range(5)])
    await load_shards(server, SEARCH)
    assert server.sizes == [1] * 5


@pytest.mark.parametrize("name", ["other", "digits-history", "digits-history-1", "x-history-0000"])
async def test_config_maps_of_other_names_are_left_out(name: str) -> None:
    foreign = named(config_map_body(0, "x" * 1_000_000), name)
    server = Stored([foreign, config_map_body(0, "{}\n"), {**foreign, "data": None}])
    shards = await load_shards(server, SEARCH)
    assert shards is not None
    assert [shard.text for shard in shards] == ["{}\n"]


async def test_the_history_of_an_earlier_search_is_waited_for() -> None:
    body = config_map_body(0, "{}\n")
    assert await load_shards(Stored([owned_by(body, "earlier")]), SEARCH) is None
    assert await load_shards(Stored([owned_by(body, UID)]), SEARCH) is not None


async def test_a_shard_that_is_larger_than_any_of_the_operators_is_refused() -> None:
    longest = config_map_body(0, "x" * SHARD_LIMIT)
    assert await load_shards(Stored([longest]), SEARCH) is not None
    with pytest.raises(HistoryUnreadable, match="more than 512 KiB"):
        await load_shards(Stored([config_map_body(0, "x" * (SHARD_LIMIT + 1))]), SEARCH)


async def test_what_cannot_be_read_is_refused() -> None:
    body = {**config_map_body(0, "{}\n"), "data": {DATA_KEY: 7}}
    with pytest.raises(HistoryUnreadable, match="cannot be read"):
        await load_shards(Stored([body]), SEARCH)
