"""The stored history: cut into shards, read back whole, and refused when it is not."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from operator_builders import (
    UID,
    A,
    config_map_body,
    make_header,
    make_record,
    make_search,
    make_settings,
    make_shard,
    make_spec,
)
from repository_paths import FIXTURES

from blockqnn.contract.message import Outcome
from blockqnn_api.errors import HistoryUnreadable
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.shards import (
    SHARD_LIMIT,
    Shard,
    ShardWrite,
    append,
    config_map,
    lines,
    read_shard,
    start,
)
from blockqnn_api.history.trial_record import Header, TrialRecord, read_lines
from blockqnn_api.resolve import resolve

LIMIT = 600
"""A record takes about 300 bytes, so shards of this size hold one or two."""


def stored(shards: Sequence[Shard], write: ShardWrite) -> list[Shard]:
    """State after a write, by a server that holds to the resource version."""
    if write.replaces is None:
        assert write.number == len(shards), "a shard is created behind the last"
        return [*shards, Shard(write.number, write.text, "1")]
    last = shards[-1]
    assert (write.number, write.replaces) == (last.number, last.resource_version)
    assert write.text.startswith(last.text), "a shard is only ever appended to"
    return [*shards[:-1], Shard(last.number, write.text, str(int(last.resource_version) + 1))]


def begun() -> list[Shard]:
    return stored([], start(make_header()))


def numbered(messages: Sequence[str]) -> list[TrialRecord]:
    return [make_record(trial, message=message) for trial, message in enumerate(messages)]


messages = st.lists(st.text(max_size=400), max_size=12)
appends = st.lists(messages, max_size=4)


@given(appends)
@example([["a line\u2028separator", "next\x85line", "\x0b\x0c\x1c\x1d\x1e\r\n"]])
def test_what_is_appended_is_read_back_in_order(batches: list[list[str]]) -> None:
    records = numbered([message for batch in batches for message in batch])
    shards, first = begun(), 0
    for batch in batches:
        for write in append(shards[-1], records[first : first + len(batch)], LIMIT):
            shards = stored(shards, write)
        first += len(batch)
    header, read_records = read_lines(lines(shards))
    assert header == make_header()
    assert list(read_records) == records


@given(appends)
def test_no_shard_exceeds_the_limit_unless_one_record_alone_does(batches: list[list[str]]) -> None:
    shards = begun()
    for batch in batches:
        for write in append(shards[-1], numbered(batch), LIMIT):
            shards = stored(shards, write)
    for shard in shards:
        assert len(shard.text.encode()) <= LIMIT or shard.text.count("\n") == 1
        assert shard.text.endswith("\n")


@given(messages)
def test_a_crash_after_any_write_leaves_a_history_that_can_be_read(batch: list[str]) -> None:
    records, shards = numbered(batch), begun()
    for write in append(shards[-1], records, LIMIT):
        shards = stored(shards, write)
        _, read_records = read_lines(lines(shards))
        assert list(read_records) == records[: len(read_records)]


@given(messages, st.data())
def test_an_append_that_a_crash_cut_short_is_completed_by_the_next(
    batch: list[str], data: st.DataObject
) -> None:
    records, shards = numbered(batch), begun()
    writes = append(shards[-1], records, LIMIT)
    for write in writes[: data.draw(st.integers(0, len(writes)))]:
        shards = stored(shards, write)
    _, read_records = read_lines(lines(shards))
    for write in append(shards[-1], records[len(read_records) :], LIMIT):
        shards = stored(shards, write)
    assert list(read_lines(lines(shards))[1]) == records


def test_nothing_to_append_writes_nothing() -> None:
    assert append(make_shard(text="x" * LIMIT), [], LIMIT) == []


def test_a_full_shard_is_left_as_it_is() -> None:
    full = make_shard(3, text="x" * LIMIT)
    assert append(full, [make_record()], LIMIT) == [
        ShardWrite(4, make_record().write() + "\n", None)
    ]


def test_the_papers_search_fits_a_few_shards_that_fit_a_config_map() -> None:
    """11,392 trials with a curve of 12 epochs and a block of 23 layers."""
    long = make_record(code="(10,6,0,10,22)" * 23, curve=[0.123456789012345] * 12, reward=45.678901)
    size = len(long.write()) + 1
    assert SHARD_LIMIT < 1024 * 1024 / 2 + 1
    assert 11_392 / (SHARD_LIMIT // size) < 25


def test_a_shard_is_a_config_map_that_goes_with_its_search() -> None:
    body = config_map(make_search(), ShardWrite(12, "text", "34"))
    assert body["metadata"]["name"] == "digits-history-0012"
    assert body["metadata"]["namespace"] == "lab"
    assert body["metadata"]["resourceVersion"] == "34"
    assert body["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "blockqnn.dev/v1alpha1",
            "kind": "BlockSearch",
            "name": "digits",
            "uid": UID,
            "controller": True,
        }
    ]
    assert read_shard(body) == Shard(12, "text", "34", UID)


def test_a_new_shard_names_no_version_so_that_an_existing_one_is_never_replaced() -> None:
    body = config_map(make_search(), ShardWrite(1, "text", None))
    assert "resourceVersion" not in body["metadata"]


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"name": "digits-history-0000", "resourceVersion": "1"}},
        {"metadata": {"name": "digits-history-0000", "resourceVersion": "1"}, "data": {"x": ""}},
        {**config_map_body(0, ""), "metadata": {"name": "digits-history", "resourceVersion": "1"}},
    ],
    ids=["no data", "no records", "no number"],
)
def test_a_config_map_that_is_no_shard_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(HistoryUnreadable) as refusal:
        read_shard(body)
    assert str(refusal.value) == (
        f"ConfigMap {body['metadata']['name']} holds no history; it should have the key "
        "records.jsonl."
    )


def test_a_missing_shard_is_named() -> None:
    with pytest.raises(HistoryUnreadable) as refusal:
        lines([make_shard(0), make_shard(2)])
    assert str(refusal.value) == (
        "Shard 1 of the history is missing although shard 2 exists; restore its ConfigMap from a "
        "backup, or start another search."
    )


def history(*more: str) -> list[str]:
    return [make_header().model_dump_json(), *more]


UNREADABLE = {
    "empty": ([], "The history is empty; it should begin with a header."),
    "no header": (
        [make_record().write()],
        "A Header of the history is wrong at kind: Input should be 'Header'",
    ),
    "damaged header": (["{"], "A Header of the history is wrong: Invalid JSON: "),
    "newer header": (
        [make_header().model_dump_json().replace('"version":1', '"version":2')],
        "A Header of the history is wrong at version: Input should be 1; it was damaged, or "
        "written by a newer operator: use that version or a later one.",
    ),
    "damaged record": (
        history(make_record().write()[:-1]),
        "A TrialRecord of the history is wrong: Invalid JSON: EOF while parsing an object",
    ),
    "newer record": (
        history(make_record().write().replace('"version":1', '"version":2')),
        "A TrialRecord of the history is wrong at version: Input should be 1; it was damaged, or "
        "written by a newer operator: use that version or a later one.",
    ),
    "unknown field": (
        history(make_record().write().replace('"gpus"', '"tpus"')),
        "A TrialRecord of the history is wrong at tpus: Extra inputs are not permitted",
    ),
    "missing trial": (
        history(make_record(0).write(), make_record(2).write()),
        "The history has trial 2 where trial 1 should be; restore the search's history ConfigMaps "
        "from a backup, or start another search.",
    ),
    "doubled trial": (
        history(make_record(0).write(), make_record(0).write()),
        "The history has trial 0 where trial 1 should be; ",
    ),
}


@pytest.mark.parametrize(("stored_lines", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_history_that_cannot_be_read_is_refused_with_a_sentence(
    stored_lines: list[str], said: str
) -> None:
    with pytest.raises(HistoryUnreadable) as refusal:
        read_lines(stored_lines)
    assert str(refusal.value).startswith(said)
    assert str(refusal.value).endswith(".")


@given(st.text(max_size=50))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (TrialRecord.read, Header.read):
        with pytest.raises(HistoryUnreadable):
            read(text)


UNLEARNABLE = {
    "block": ({"code": "(1,14,0,0,0)"}, "Layer 1 has the unknown type 14"),
    "space": ({"code": "(1,1,3,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,1,3,3,0)(5,7,0,0,0)"}, "5 layers"),
}


@pytest.mark.parametrize(("change", "said"), UNLEARNABLE.values(), ids=UNLEARNABLE)
def test_records_that_this_search_cannot_have_written_are_refused(
    change: dict[str, Any], said: str
) -> None:
    records = [make_record(0), make_record(1), make_record(2, **change), make_record(3)]
    with pytest.raises(HistoryUnreadable, match=said):
        SearchState.recover(make_header(), make_settings(), begun(), records)


def test_a_record_leaves_out_what_is_empty_and_reads_back_equal() -> None:
    record = make_record(outcome=Outcome.FAILED, seconds=None, message="The disk is full.")
    assert "accuracy" not in json.loads(record.write())
    assert TrialRecord.read(record.write()) == record


def test_histories_of_version_1_stay_readable() -> None:
    """Written by operator 0.1.0. Never change the fixture: running searches depend on it."""
    text = (FIXTURES / "history-v1.jsonl").read_text()
    header, records = read_lines(lines([make_shard(0, text)]))
    assert isinstance(header, Header)
    assert [record.outcome for record in records] == [
        Outcome.SUCCEEDED,
        Outcome.CACHED,
        Outcome.INFEASIBLE,
        Outcome.FAILED,
    ]
    settings = resolve(make_spec(), header.settings)
    state = SearchState.recover(header, settings, [make_shard(0, text)], records)
    assert state.archive.top == [records[0]]
    assert state.archive.originals == {records[0].hash: 0, records[2].hash: 2}
    assert state.archive.gpu_seconds == 2 * 12.5 + 2 * 3.25
    assert state.agent.learned == 1
    assert records[0].block == str(A)
