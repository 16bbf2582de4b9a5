"""The fields of a Pod, as the models of the client library have them. Pure.

The parts of a BlockSearch that may have any fields, a Pod's spec and volumes, are judged by the API
server when a Job is created, and it drops a field whose name is wrong. These checks find that
before. The models are given, not imported: this package knows no client library.
"""

import re
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from blockqnn_api import names
from blockqnn_api.errors import FieldPath, write_value
from blockqnn_api.resources import PodFinding, check_quantity, check_resources
from blockqnn_api.spelling import nearest

DEEPEST = 32
"""The deepest nesting of a part that may have any fields: three times that of a Pod's spec."""

MOST_VALUES = 10_000
"""The most values of such a part: a hundred times those of a large Pod's spec."""

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(rf"({_NAME.pattern})?")
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

_GENERIC = re.compile(r"(List|Dict)\[(?:str, )?(.+)\]")

_QUANTITIES = {
    ("V1EmptyDirVolumeSource", "size_limit"),
    ("V1PodSpec", "overhead"),
    ("V1ResourceFieldSelector", "divisor"),
    ("V1ResourceRequirements", "limits"),
    ("V1ResourceRequirements", "requests"),
    ("V1VolumeResourceRequirements", "limits"),
    ("V1VolumeResourceRequirements", "requests"),
}
"""The fields that are quantities, which the models call strings."""

_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "a string"),
    "int": ((int,), "a whole number"),
    "bool": ((bool,), "true or false"),
    "float": ((int, float), "a number"),
}


class PodFields:
    """The fields that Pods and their parts may have.

    Args:
        models: the module with the models of the Kubernetes API, such as ``V1PodSpec``.
    """

    def __init__(self, models: ModuleType) -> None:
        self._models = models

    def check_spec(self, spec: Any, path: FieldPath) -> Iterator[PodFinding]:
        """Yield the findings about a partial spec of a Pod that trains.

        Args:
            spec: the fields to merge over the operator's.
            path: their path.
        """
        yield from self._check(spec, "V1PodSpec", path)
        yield from _check_containers(spec, path)

    def check_volume(self, volume: Any, path: FieldPath) -> Iterator[PodFinding]:
        """Yield the findings about a volume's source, such as ``{emptyDir: {}}``."""
        if isinstance(volume, Mapping) and "name" in volume:
            yield PodFinding((*path, "name"), "is given by the operator; leave it out")
        yield from self._check(volume, "V1Volume", path)

    def _check(self, value: Any, kind: str, path: FieldPath) -> Iterator[PodFinding]:
        if value is None:
            return
        generic = _GENERIC.fullmatch(kind)
        if generic:
            yield from self._check_items(value, generic[1], generic[2], path)
        elif hasattr(self._models, kind):
            yield from self._check_fields(value, kind, path)
        elif kind in _TYPES:
            yield from _check_type(value, kind, path)

    def _check_items(
        self, value: Any, collection: str, kind: str, path: FieldPath
    ) -> Iterator[PodFinding]:
        if collection == "List":
            if not isinstance(value, list):
                yield PodFinding(path, f"is {write_value(value)}; it must be a list")
                return
            for position, item in enumerate(value):
                yield from self._check(item, kind, (*path, position))
        elif not isinstance(value, Mapping):
            yield PodFinding(path, f"is {write_value(value)}; it must be a map")
        else:
            for name, item in value.items():
                yield from self._check(item, kind, (*path, str(name)))

    def _check_fields(self, value: Any, kind: str, path: FieldPath) -> Iterator[PodFinding]:
        if not isinstance(value, Mapping):
            yield PodFinding(path, f"is {write_value(value)}; it must be a map")
            return
        model = getattr(self._models, kind)
        attributes = {field: attribute for attribute, field in model.attribute_map.items()}
        for name, item in value.items():
            inner = (*path, str(name))
            attribute = attributes.get(str(name))
            if name == names.PATCH:
                yield from _check_patch(item, inner)
            elif attribute is None:
                yield _unknown(str(name), attributes, inner)
            elif item is None:
                yield _dropped(inner)
            elif (kind, attribute) not in _QUANTITIES:
                yield from self._check(item, model.openapi_types[attribute], inner)
            elif kind != "V1ResourceRequirements":
                yield from _check_quantities(item, inner)
        if kind == "V1ResourceRequirements":
            yield from check_resources(value, path)


def check_metadata(metadata: Any, path: FieldPath) -> Iterator[PodFinding]:
    """Yield the findings about labels and annotations that the API server takes on no object."""
    for field in ("labels", "annotations"):
        entries = metadata.get(field) if isinstance(metadata, Mapping) else None
        for name, value in entries.items() if isinstance(entries, Mapping) else ():
            inner = (*path, field, str(name))
            if not _is_qualified(str(name)):
                yield PodFinding(
                    inner, "is no name of Kubernetes; it must be letters, digits, `-`, `_` and "
                    "`.`, at most 63, after a domain and a slash or without",
                )  # fmt: skip
            elif field == "labels" and isinstance(value, str) and not _VALUE.fullmatch(value):
                yield PodFinding(
                    inner, f"is {write_value(value)}; it must be at most 63 letters, digits, `-`, "
                    "`_` and `.`, and begin and end with a letter or a digit",
                )  # fmt: skip


def _is_qualified(name: str) -> bool:
    domain, slash, last = name.rpartition("/")
    return bool(_NAME.fullmatch(last)) and (
        not slash or (len(domain) <= 253 and _DOMAIN.fullmatch(domain) is not None)
    )


def check_extent(value: Any, path: FieldPath) -> Iterator[PodFinding]:
    """Yield the finding about a part that is nested too deep, or has too many values.

    It takes no stack and ends early, so the part may be anything.
    """
    count, remaining = 0, [(value, 1)]
    while remaining:
        item, depth = remaining.pop()
        count += 1
        if depth > DEEPEST:
            yield PodFinding(
                path, f"is nested more than {DEEPEST} deep, deeper than any field that is used here"
            )
            return
        if count > MOST_VALUES:
            yield PodFinding(
                path, f"has more than {MOST_VALUES:,} values; put them into a ConfigMap or an image"
            )
            return
        inner = (
            item.values() if isinstance(item, Mapping) else item if isinstance(item, list) else ()
        )
        remaining += [(part, depth + 1) for part in inner]


def _check_patch(value: Any, path: FieldPath) -> Iterator[PodFinding]:
    if value != names.REPLACE:
        yield PodFinding(path, f"is {write_value(value)}; it can only be {names.REPLACE}")


def _unknown(name: str, fields: Mapping[str, str], path: FieldPath) -> PodFinding:
    meant = nearest(name, fields)
    if meant is not None:
        return PodFinding(path, f"is not a field; did you mean {meant}?")
    # A cluster may be newer than the library of the models.
    return PodFinding(
        path, "is not a field that Kubernetes is known to have; the API server may drop or refuse "
        "it", fails=False,
    )  # fmt: skip


def _dropped(path: FieldPath) -> PodFinding:
    return PodFinding(
        path, "is empty, and kubectl apply leaves empty fields out; to replace what the operator "
        f"sets, write the map around it with `{names.PATCH}: {names.REPLACE}`", fails=False,
    )  # fmt: skip


def _check_type(value: Any, kind: str, path: FieldPath) -> Iterator[PodFinding]:
    types, article = _TYPES[kind]
    if isinstance(value, types) and (kind == "bool" or not isinstance(value, bool)):
        return
    if kind == "int" and isinstance(value, float) and value.is_integer():
        return
    hint = "; quote it" if kind == "str" and isinstance(value, bool | int | float) else ""
    yield PodFinding(path, f"is {write_value(value)}; it must be {article}{hint}")


def _check_quantities(value: Any, path: FieldPath) -> Iterator[PodFinding]:
    if not isinstance(value, Mapping):
        yield from check_quantity(value, path) if value is not None else ()
        return
    for name, amount in value.items():
        yield from check_quantity(amount, (*path, str(name)))


def _check_containers(spec: Any, path: FieldPath) -> Iterator[PodFinding]:
    """Find containers that were meant to be the trainer's, and those that cannot be created."""
    for field in ("containers", "initContainers"):
        listed = spec.get(field) if isinstance(spec, Mapping) else None
        for position, container in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(container, Mapping):
                yield from _check_container(container, field, (*path, field, position))


def _check_container(
    container: Mapping[str, Any], field: str, path: FieldPath
) -> Iterator[PodFinding]:
    name = container.get("name")
    trainer = f"the container that trains is called {names.CONTAINER}"
    if name is None:
        yield PodFinding((*path, "name"), f"is missing; {trainer}")
        return
    if not isinstance(name, str) or (name == names.CONTAINER and field == "containers"):
        return
    alike = field == "containers" and nearest(name, [names.CONTAINER]) is not None
    meant = f"did you mean {names.CONTAINER}?" if alike else "give it one"
    if not container.get("image"):
        yield PodFinding(
            (*path, "name"),
            f"is {write_value(name)}, a container of its own without an image; {meant}",
        )
    elif alike:
        yield PodFinding(
            (*path, "name"), f"is {write_value(name)}, a container beside the trainer's; {meant}",
            fails=False,
        )  # fmt: skip
