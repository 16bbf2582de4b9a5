"""Checks the parts of a search that become parts of Pods. Pure."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from blockqnn_api.pod_fields import PodFields, check_extent, check_metadata
from blockqnn_api.resources import KINDS, PodFinding, check_resources
from blockqnn_api.spelling import nearest
from blockqnn_cli.validation.documents import Path

Check = Callable[[Any, Path], Iterator[PodFinding]]


def check_pods(spec: Mapping[str, Any]) -> Iterator[PodFinding]:
    """Yield the findings about a spec's Pod template, volumes, resources and free-form parts.

    Args:
        spec: ``spec`` of a BlockSearch, which may be wrong in any way.
    """
    for path, check in _parts(spec):
        value: Any = spec
        for step in path:
            value = _at(value, step)
        if value is not None:
            too_much = list(check_extent(value, ("spec", *path)))
            yield from too_much or check(value, ("spec", *path))


def _parts(spec: Mapping[str, Any]) -> Iterator[tuple[Path, Check]]:
    """Yield the paths of the parts that are checked, and how each is checked."""
    yield ("agent", "settings"), lambda _value, _path: iter(())
    for section in ("trial", "finalists"):
        yield (section, "resources"), _resources
    yield ("trial", "podTemplate", "metadata"), check_metadata
    yield ("trial", "podTemplate", "spec"), lambda value, path: _fields().check_spec(value, path)
    targets = _at(_at(spec, "finalists"), "targets")
    places: list[Path] = [("dataset",), ("finalists",)]
    count = len(targets) if isinstance(targets, list) else 0
    places += [("finalists", "targets", position, "dataset") for position in range(count)]
    for section_path in places:
        yield (*section_path, "volume"), lambda value, path: _fields().check_volume(value, path)


def _at(value: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return value[step]
    return value.get(step) if isinstance(value, Mapping) else None


def _resources(value: Any, path: Path) -> Iterator[PodFinding]:
    for kind in value if isinstance(value, Mapping) else ():
        if kind not in KINDS:
            meant = nearest(str(kind), KINDS)
            hint = f"did you mean {meant}?" if meant else f"the fields are {' and '.join(KINDS)}"
            yield PodFinding((*path, str(kind)), f"is not a field; {hint}")
    yield from check_resources(value, path)


@cache
def _fields() -> PodFields:
    # Importing the client library takes half a second; most searches have no part for it.
    from kubernetes.client import models

    return PodFields(models)
