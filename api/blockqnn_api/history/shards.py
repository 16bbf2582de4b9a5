"""The histories of a search, of its trials and of its finalists, cut into shards for ConfigMaps.

A shard holds complete lines and is at most :data:`SHARD_LIMIT` bytes long: a ConfigMap may hold
1 MiB, and half of that leaves room for its metadata and keeps each append small. Shards are only
ever appended to, in order; all but the last are final.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blockqnn_api import names
from blockqnn_api.errors import HistoryUnreadable, ObjectUnreadable
from blockqnn_api.history.record import Record
from blockqnn_api.history.trial_record import Header
from blockqnn_api.object_fields import Fields
from blockqnn_api.objects import SearchObject

SHARD_LIMIT = 512 * 1024
"""The longest text of a shard, in bytes."""

DATA_KEY = "records.jsonl"

TRIALS = "history"
"""The history of the trials: in the names of its ConfigMaps, and the value of their label."""

_NUMBER = re.compile(r"-([0-9]{1,9})$")
"""End of a shard's name."""

FINALISTS = "finalists"
"""The history of the finalists, in the same way."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One stored ConfigMap of a history."""

    number: int
    text: str
    resource_version: str
    owner_uid: str = ""
    """The search that it is deleted with; empty if it was left behind."""


@dataclass(frozen=True, slots=True)
class ShardWrite:
    """A shard to be written: created when it replaces nothing, else replaced as it was read."""

    number: int
    text: str
    replaces: str | None
    """The resource version that must still be the current one; None creates the shard."""


def shard_name(search: str, number: int, kind: str = TRIALS) -> str:
    """Return the name of a shard's ConfigMap."""
    return f"{search}-{kind}-{number:04d}"


def is_shard(body: Mapping[str, Any], search: str, kind: str = TRIALS) -> bool:
    """Return whether a ConfigMap has the name of a shard of a search's history."""
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    number = _NUMBER.search(name) if isinstance(name, str) else None
    return number is not None and name == shard_name(search, int(number[1]), kind)


def start(header: Header) -> ShardWrite:
    """Return the write that begins a history."""
    return ShardWrite(0, header.write() + "\n", None)


def append(
    last: Shard | None, records: Sequence[Record], limit: int = SHARD_LIMIT
) -> list[ShardWrite]:
    """Return the writes that append records after the last shard, in the order to do them.

    Without a shard the first is created.

    Each write leaves a history that ends with a complete record, so a crash between two of them
    loses nothing: the results not written yet are still on the Jobs.
    """
    writes: list[ShardWrite] = []
    number, text = 0, ""
    replaces: str | None = None
    if last is not None:
        number, text, replaces = last.number, last.text, last.resource_version
    changed = False
    for record in records:
        line = record.write() + "\n"
        if text and len(text.encode()) + len(line.encode()) > limit:
            if changed:
                writes.append(ShardWrite(number, text, replaces))
            number, text, replaces = number + 1, "", None
        text, changed = text + line, True
    if changed:
        writes.append(ShardWrite(number, text, replaces))
    return writes


def lines(shards: Sequence[Shard]) -> list[str]:
    """Return the lines of all shards.

    Raises:
        HistoryUnreadable: when a shard is missing.
    """
    for expected, shard in enumerate(shards):
        if shard.number != expected:
            raise HistoryUnreadable(
                f"Shard {expected} of the history is missing although shard {shard.number} exists; "
                "restore its ConfigMap from a backup, or start another search."
            )
    # Not splitlines(): JSON leaves characters as they are that it would take for line ends.
    return [line for shard in shards for line in shard.text.split("\n") if line]


def config_map(search: SearchObject, write: ShardWrite, kind: str = TRIALS) -> dict[str, Any]:
    """Return the ConfigMap that stores a shard."""
    metadata: dict[str, Any] = {
        "name": shard_name(search.name, write.number, kind),
        "namespace": search.namespace,
        "labels": {
            "app.kubernetes.io/name": "blockqnn",
            "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
            names.COMPONENT_LABEL: kind,
            names.SEARCH_LABEL: search.name,
        },
        "ownerReferences": [owner_reference(search)],
    }
    if write.replaces is not None:
        metadata["resourceVersion"] = write.replaces
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {DATA_KEY: write.text},
    }


def read_shard(body: Mapping[str, Any]) -> Shard:
    """Read a shard from its ConfigMap.

    Raises:
        HistoryUnreadable: when the ConfigMap holds no shard.
    """
    try:
        shard = Fields(body)
        metadata = shard.part("metadata")
        name, version = metadata.text("name", None), metadata.text("resourceVersion", None)
        text, number = shard.part("data").text(DATA_KEY), _NUMBER.search(name)
    except ObjectUnreadable as error:
        raise HistoryUnreadable(
            f"A ConfigMap of the history cannot be read: {error}; restore it from a backup."
        ) from None
    if not text or number is None:
        raise HistoryUnreadable(
            f"ConfigMap {name} holds no history; it should have the key {DATA_KEY}."
        )
    if len(text.encode()) > SHARD_LIMIT:
        raise HistoryUnreadable(
            f"ConfigMap {name} has more than {SHARD_LIMIT // 1024} KiB of history, and none of the "
            "operator has; restore it from a backup."
        )
    owners = metadata.parts("ownerReferences")
    owner = owners[0].text("uid") if owners else ""
    return Shard(int(number[1]), text, version, owner)


def owner_reference(search: SearchObject) -> dict[str, Any]:
    """Return the owner reference that deletes a search's objects together with the search.

    It does not block the owner's deletion: that would need a right that the operator does not need
    otherwise.
    """
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": search.name,
        "uid": search.uid,
        "controller": True,
    }
