"""Whether a stored history is that of a search, and whether all of it is there.

A history is found by the name of its search. That is not enough: another search of the same name
may have left it, and somebody may have deleted a part of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from blockqnn_api import names
from blockqnn_api.errors import HistoryUnreadable
from blockqnn_api.history.shards import FINALISTS, TRIALS, shard_name
from blockqnn_api.history.trial_record import Header
from blockqnn_api.objects import SearchObject
from blockqnn_api.resolve import PINNED_SECTIONS, pin, preset_of
from blockqnn_api.spec import BlockSearchSpec


def contradictions(header: Header, spec: Mapping[str, Any], resolved: BlockSearchSpec) -> list[str]:
    """Return what a spec and a history say differently, each as the middle of a sentence.

    Args:
        header: the header of the history.
        spec: ``spec`` of the search.
        resolved: the same, resolved with the settings of the header.
    """
    differences = []
    if header.seed != resolved.seed:
        differences.append(f"spec.seed is {resolved.seed} and was {header.seed}")
    asked = preset_of(spec)
    if asked != header.settings.get("preset", asked):
        differences.append(f"spec.preset is {asked} and was {header.settings['preset']}")
    now = pin(resolved)
    for section in (*PINNED_SECTIONS, "dataset"):
        stored = header.settings.get(section, {})
        differences += [f"spec.{text}" for text in _differences(stored, now[section], section)]
    return differences


def _differences(stored: Any, now: Any, path: str) -> Iterator[str]:
    """Yield the differences; a field that is newer than the history counts as equal."""
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        for key, value in stored.items():
            yield from _differences(value, now.get(key), f"{path}.{key}")
    elif stored != now:
        yield f"{path} is {now} and was {stored}"


def check_owner(search: SearchObject, header: Header, resolved: BlockSearchSpec) -> None:
    """Refuse the history of another search of the same name, unless it is the same search.

    A history without its search is left behind when the search is deleted with
    ``--cascade=orphan``, or comes back from a backup. If the spec is the same, the search goes on.

    Raises:
        HistoryUnreadable: when the spec contradicts the history.
    """
    if header.search_uid == search.uid:
        return
    differences = contradictions(header, search.spec, resolved)
    if differences:
        raise HistoryUnreadable(
            f"ConfigMap {shard_name(search.name, 0)} holds the history of another search of this "
            f"name: {differences[0]}. To go on with that search, give this one its spec. To start "
            "anew, delete its ConfigMaps: kubectl delete configmap -n "
            f"{search.namespace} -l {names.SEARCH_LABEL}={search.name}"
        )


def check_complete(search: SearchObject, stored: int, kind: str = TRIALS) -> None:
    """Refuse a history with fewer records than the status says were stored.

    Args:
        search: the search, with its status.
        stored: the number of records that are there.
        kind: which of its histories.

    Raises:
        HistoryUnreadable: when records are gone, and nobody has accepted that.
    """
    expected = _reported(search.status, kind)
    accepted = search.annotations.get(names.HISTORY_ACCEPTED_ANNOTATION)
    if stored >= expected or accepted == str(stored):
        return
    raise HistoryUnreadable(
        f"{expected} records of the history were stored in ConfigMaps {search.name}-{kind}-NNNN, "
        f"and {stored} are there. Restore the ConfigMaps from a backup, or a history that was "
        f"exported by kubectl blockqnn history. To go on with the {stored}: kubectl annotate "
        f"blocksearch {search.name} -n {search.namespace} "
        f"{names.HISTORY_ACCEPTED_ANNOTATION}={stored} --overwrite"
    )


def _reported(status: Mapping[str, Any], kind: str) -> int:
    section = status.get("finalists" if kind == FINALISTS else "history")
    records = section.get("records") if isinstance(section, Mapping) else None
    return records if isinstance(records, int) else 0
