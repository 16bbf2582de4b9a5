"""Restores a history: everything is checked before anything is written. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from blockqnn_api.history import shards as history
from blockqnn_api.history.finalist_record import FinalistArchive, FinalistRecord
from blockqnn_api.history.identity import contradictions
from blockqnn_api.history.replay import SearchState
from blockqnn_api.history.shards import Shard, ShardWrite
from blockqnn_api.history.trial_record import Header, TrialRecord, read_lines
from blockqnn_api.objects import SearchObject
from blockqnn_api.resolve import resolve
from blockqnn_cli.errors import CommandError


def divide(text: str) -> tuple[list[str], list[str]]:
    """Return the lines of the trials' history and those of the finalists', in their order.

    Args:
        text: JSON lines, as ``history export`` writes them.
    """
    lines = [line for line in text.split("\n") if line]
    of_finalists = [line for line in lines if _is_of_finalist(line)]
    return [line for line in lines if not _is_of_finalist(line)], of_finalists


def _is_of_finalist(line: str) -> bool:
    # The first field of each record; what is damaged is found when the line is read.
    return line.startswith('{"kind":"Finalist"')


def plan_import(
    search: SearchObject, stored: Sequence[Shard], lines: Sequence[str]
) -> list[ShardWrite]:
    """Return the writes that restore a history, in the order to do them.

    The first shard is written last: until then there is no history, or one without trials, so that
    nobody reads a part of it. Shards that an interrupted import has left are not written again.

    Args:
        search: the search, which has no trial in its history.
        stored: the existing shards.
        lines: the lines of the history to restore, without those of finalists.

    Raises:
        HistoryUnreadable: when the text is no history.
        InvalidSearch: when the search's spec contradicts itself.
        CommandError: when the search has a history, or this is the history of another search.
    """
    header, records = read_lines(lines)
    _check_belongs(search, header, records)
    by_number = {shard.number: shard for shard in stored}
    first = by_number.get(0)
    if first is not None and len(history.lines([first])) > 1:
        raise CommandError(
            f"The search {search.key} has trials in its history already, in ConfigMap "
            f"{history.shard_name(search.name, 0)}; import into one that has none."
        )
    planned = _cut(header.model_copy(update={"search_uid": search.uid}), records, first)
    return [write for write in reversed(planned) if _is_wanted(search, write, by_number)]


def plan_finalists(
    search: SearchObject, stored: Sequence[Shard], lines: Sequence[str], trials: Sequence[str]
) -> list[ShardWrite]:
    """Return the writes that restore the history of the finalists, in the order to do them.

    Args:
        search: the search.
        stored: the existing shards of finalists.
        lines: the lines of the history to restore.
        trials: those of the trials.

    Raises:
        HistoryUnreadable: when a line is no record of a finalist, or repeats another.
        CommandError: when there is another such history, or a line is of another search's block.
    """
    _, trial_records = read_lines(trials)
    archive = FinalistArchive()
    archive.extend(FinalistRecord.read(line) for line in lines)
    for record in archive.records.values():
        if record.trial >= len(trial_records) or trial_records[record.trial].hash != record.hash:
            raise CommandError(
                f"{record.finalist} is of another block than trial {record.trial} of this history; "
                "export it again."
            )
    planned = history.append(None, list(archive.records.values()))
    by_number = {shard.number: shard for shard in stored}
    if len(by_number) > len(planned):
        raise CommandError(
            f"The search {search.key} has more finalists in its history than these; import into "
            "one that has none."
        )
    return [w for w in planned if not _is_there(search, w, by_number, history.FINALISTS)]


def _check_belongs(search: SearchObject, header: Header, records: Sequence[TrialRecord]) -> None:
    resolved = resolve(search.spec, header.settings)
    differences = contradictions(header, search.spec, resolved)
    if differences:
        raise CommandError(
            f"This is the history of another search than {search.key}: {differences[0]}; create "
            "one with the same spec."
        )
    SearchState.recover(header, resolved, [], records)


def _cut(header: Header, records: Sequence[TrialRecord], first: Shard | None) -> list[ShardWrite]:
    begun = history.start(header)
    last = Shard(0, begun.text, "")
    writes = history.append(last, records) or [begun]
    if writes[0].number != 0:
        writes.insert(0, begun)
    version = first.resource_version if first else None
    return [replace(writes[0], replaces=version), *writes[1:]]


def _is_wanted(search: SearchObject, write: ShardWrite, stored: Mapping[int, Shard]) -> bool:
    return write.number == 0 or not _is_there(search, write, stored, history.TRIALS)


def _is_there(
    search: SearchObject, write: ShardWrite, stored: Mapping[int, Shard], kind: str
) -> bool:
    """Return whether an interrupted import has written this shard already."""
    there = stored.get(write.number)
    if there is not None and there.text != write.text:
        raise CommandError(
            f"ConfigMap {history.shard_name(search.name, write.number, kind)} in namespace "
            f"{search.namespace} holds another history; delete it first."
        )
    return there is not None
