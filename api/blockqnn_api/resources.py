"""Checks the resources of a container as the API server does: names, quantities, pairs. Pure."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from blockqnn_api.errors import FieldPath, write_value
from blockqnn_api.quantities import LARGEST, read_quantity
from blockqnn_api.spelling import nearest

KINDS = ("limits", "requests")
"""The parts of resources that hold quantities."""

STANDARD = ("cpu", "memory", "ephemeral-storage")
"""The resources whose names have no domain; there are those that begin with ``hugepages-`` too."""

MOST_PROCESSORS = 1_000_000
"""More than any machine has: a larger number was meant to be thousandths, or anything else."""

LEAST_MEMORY = 2**20
"""Bytes with which no container starts: less was meant to have another unit, as in ``500m``."""


class PodFinding(NamedTuple):
    """Something that is wrong, or probably wrong, with a part of a Pod."""

    path: FieldPath
    message: str
    """A clause that completes a sentence which begins with the field's name."""
    fails: bool = True
    """True if the API server refuses or drops the field; else it may be what was meant."""


def check_resources(resources: Any, path: FieldPath) -> Iterator[PodFinding]:
    """Yield the findings about the resources of a container; types are not checked.

    Args:
        resources: ``limits`` and ``requests``, and anything else.
        path: their path.
    """
    if not isinstance(resources, Mapping):
        return
    amounts: dict[str, dict[str, Fraction]] = {kind: {} for kind in KINDS}
    for kind in KINDS:
        listed = resources.get(kind)
        for name, written in listed.items() if isinstance(listed, Mapping) else ():
            wrong = list(_check_amount(kind, str(name), written, (*path, kind, str(name))))
            yield from wrong
            if not any(finding.fails for finding in wrong) and written is not None:
                amounts[kind][str(name)] = read_quantity(written) or Fraction(0)
    for name, request in amounts["requests"].items():
        limit = amounts["limits"].get(name)
        inner = (*path, "requests", name)
        if _is_of_device(name) and limit != request:
            yield PodFinding(inner, "must be the same in limits, since a device is not shared")
        elif limit is not None and request > limit > 0:
            yield PodFinding(inner, "is more than the limit; raise the limit or lower the request")


def _check_amount(kind: str, name: str, written: Any, path: FieldPath) -> Iterator[PodFinding]:
    if not _is_of_device(name) and name not in STANDARD and not name.startswith("hugepages-"):
        meant = nearest(name, STANDARD)
        hint = f"did you mean {meant}?" if meant else (
            f"these are {', '.join(STANDARD)}, and devices, which have a domain as in "
            "nvidia.com/gpu"
        )  # fmt: skip
        yield PodFinding(path, f"is no resource that Kubernetes has; {hint}")
        return
    if written is None:
        return
    wrong = list(check_quantity(written, path))
    yield from wrong
    amount = read_quantity(written)
    if wrong or amount is None:
        return
    shown = write_value(written)
    if _is_of_device(name):
        if amount.denominator != 1:
            yield PodFinding(path, f"is {shown}; devices are counted in whole numbers")
        elif not amount and kind == "limits":
            yield PodFinding(
                path, "is 0, so that trials run on processors; leave it out if that is meant, and "
                "ask for cpu", fails=False,
            )  # fmt: skip
    elif name == "cpu" and amount > MOST_PROCESSORS:
        yield PodFinding(path, f"is {shown}; no machine has as many processors")
    elif name == "memory" and 0 < amount < LEAST_MEMORY:
        yield PodFinding(
            path,
            f"is {write_value(written)}, less than a MiB; write a unit such as Mi or Gi",
            fails=False,
        )


def check_quantity(written: Any, path: FieldPath) -> Iterator[PodFinding]:
    """Yield the finding about a value that is no quantity, or one that means nothing."""
    amount = read_quantity(written)
    shown = write_value(written)
    if amount is None:
        yield PodFinding(path, f"is {shown}; it must be a quantity such as 500m, 2 or 4Gi")
    elif amount < 0:
        yield PodFinding(path, f"is {shown}; it must be at least 0")
    elif amount > LARGEST:
        yield PodFinding(path, f"is {shown}; no machine has as much")


def _is_of_device(name: str) -> bool:
    return "/" in name and not name.startswith("kubernetes.io/")
