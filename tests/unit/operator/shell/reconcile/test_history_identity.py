"""A history is found by the name of its search; it counts only if it is its own, and whole."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import make_search
from search_simulation import spec_of
from search_under_faults import UP_TO_DATE, Disturbed, Pass

from blockqnn_api.history.shards import Shard, ShardWrite
from blockqnn_operator.shell.reconcile import apply

LOOK = Pass(UP_TO_DATE, ())
SPEC = spec_of(seed=3, parallelism=4)


@pytest.fixture(scope="module")
def finished() -> tuple[Shard, ...]:
    """The history of a search that is complete."""
    return Disturbed(SPEC).finish().server.world.shards


def failure(run: Disturbed) -> tuple[str, str]:
    conditions = run.server.status["conditions"]
    (failed,) = [condition for condition in conditions if condition["type"] == "Failed"]
    return failed["reason"], failed["message"]


def left_behind(finished: tuple[Shard, ...], spec: dict[str, Any]) -> Disturbed:
    """A new search of the same name, with the history of one that is gone."""
    run = Disturbed(spec)
    run.server.search = make_search(spec, uid="6fa3d511-0000-4000-8000-000000000002")
    run.server.put(replace(run.server.world, shards=finished))
    return run


CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "seed": lambda spec: {**spec, "seed": 7},
    "preset": lambda spec: {**spec, "preset": "AAAI2017"},
    "training": lambda spec: {**spec, "training": {"epochs": 3}},
    "network": lambda spec: {**spec, "network": {"filters": [4, 8]}},
    "space": lambda spec: {**spec, "space": {"maxLayers": 7}},
    "dataset": lambda spec: {
        **spec,
        "dataset": {**spec["dataset"], "validation": {"fraction": 0.3}},
    },
}


@pytest.mark.parametrize("section", CHANGES)
def test_the_history_of_another_search_of_the_same_name_is_refused(
    finished: tuple[Shard, ...], section: str
) -> None:
    run = left_behind(finished, CHANGES[section](SPEC))
    run.look(LOOK)
    reason, message = failure(run)
    assert (run.server.status["phase"], reason) == ("Failed", "HistoryUnreadable")
    assert message.startswith(
        "ConfigMap digits-history-0000 holds the history of another search of this name: "
        f"spec.{section}"
    )
    assert "kubectl delete configmap -n lab -l blockqnn.dev/search=digits" in message
    assert run.server.world.shards == finished, "it is left as it is"
    assert not run.server.world.created


def test_the_same_search_goes_on_with_what_it_left_behind(
    finished: tuple[Shard, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was deleted with ``--cascade=orphan``, or comes back from a backup."""
    adopted: list[int] = []
    write = apply.write_shard

    async def counted(cluster: Any, search: Any, shard: ShardWrite, *kind: Any) -> Shard:
        adopted.append(shard.number)
        return await write(cluster, search, shard, *kind)

    run = left_behind(finished, SPEC)
    owner = run.server.search
    run.server.search = make_search(SPEC)
    body = run.server._config_map
    monkeypatch.setattr(
        run.server,
        "_config_map",
        lambda number: (
            body(number) | {"metadata": {**body(number)["metadata"], "ownerReferences": []}}
        ),
    )
    run.server.search = owner
    monkeypatch.setattr(apply, "write_shard", counted)
    run.look(LOOK)
    assert run.server.status["phase"] == "Complete"
    assert adopted == list(range(len(finished))), "and it is deleted with the search again"


@given(st.data())
def test_a_history_that_has_lost_records_is_missed(data: st.DataObject) -> None:
    run = Disturbed(SPEC).finish()
    whole = run.server.world.shards
    records = run.server.status["history"]["records"]
    kept = data.draw(st.integers(0, len(whole) - 1))
    run.server.put(replace(run.server.world, shards=whole[:kept]))
    left = len(run.server.world.records) if kept else 0
    run.processes = [run.process(run.server)]
    run.look(LOOK)
    reason, message = failure(run)
    assert (run.server.status["phase"], reason) == ("Failed", "HistoryUnreadable")
    assert message.startswith(f"{records} records of the history were stored")
    assert f"blockqnn.dev/history-accepted={left} --overwrite" in message
    assert run.server.status["history"]["records"] == records, "the loss is not forgotten"
