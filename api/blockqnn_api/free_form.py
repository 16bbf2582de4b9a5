"""Bounds of the parts of a spec whose fields Kubernetes defines, such as Pod templates and volumes.

The definition lets any field of them pass, at any depth. The API server judges them only as a
part of a Job, and until then they must do no harm: every Job holds a copy, and each level costs a
reader.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from blockqnn_api.errors import FieldPath, InvalidSearch, write_path
from blockqnn_api.quantities import Quantity

DEEPEST = 40
"""Levels of maps and lists in a spec; the deepest field of a Pod is at some 20."""

LARGEST = 128 * 1024
"""The largest free-form part, in bytes of JSON: the API server stores no object above 1.5 MiB."""

MOST_FIELDS = 128
"""Maximum number of fields of a free-form part; a Pod has some 40."""


def check_depth(spec: object) -> None:
    """Refuse a spec that is nested too deeply, before anything walks through it.

    Raises:
        InvalidSearch: naming the part.
    """
    layer: list[tuple[FieldPath, object]] = [(("spec",), spec)]
    for _ in range(DEEPEST):
        below: list[tuple[FieldPath, object]] = []
        for path, value in layer:
            entries: Any = ()
            if isinstance(value, Mapping):
                entries = value.items()
            elif isinstance(value, list | tuple):
                entries = enumerate(value)
            below += [((*path, step), inner) for step, inner in entries if _is_nested(inner)]
        layer = below
        if not layer:
            return
    part = write_path(tuple(str(step)[:63] for step in layer[0][0][:4]))
    raise InvalidSearch(
        f"{part} is nested more than {DEEPEST} levels deep, as no field of a Pod is; leave out "
        "what is below."
    )


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple)


def _bounded(value: dict[str, Any]) -> dict[str, Any]:
    length = len(json.dumps(value, default=str, skipkeys=True))
    if length > LARGEST:
        raise ValueError(f"it has {length} bytes of JSON; at most {LARGEST} are allowed")
    return value


FreeForm = Annotated[dict[str, Any], Field(max_length=MOST_FIELDS), AfterValidator(_bounded)]
"""A map whose fields Kubernetes defines."""

Volume = Annotated[dict[str, Any], Field(min_length=1, max_length=1), AfterValidator(_bounded)]
"""One volume source of a Pod."""

Resources = Annotated[
    dict[str, Annotated[dict[str, Quantity], Field(max_length=MOST_FIELDS)]], Field(max_length=3)
]
"""The resources of a container, as in a Pod."""
