"""Checks the resources of a container as the API server does: names, quantities, pairs. Pure."""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from blockqnn_api.errors import FieldPath, write_value
from blockqnn_api.spelling import nearest

KINDS = ("limits", "requests")
"""The parts of resources that hold quantities."""

STANDARD = ("cpu", "memory", "ephemeral-storage")
"""The resources whose names have no domain; there are those that begin with ``hugepages-`` too."""

LONGEST_QUANTITY = 64
"""Characters of the longest quantity: the largest number that Kubernetes keeps has 19 digits."""

MOST = 2**63 - 1
"""The largest quantity that Kubernetes keeps; it takes any larger one for this."""

MOST_PROCESSORS = 1_000_000
"""More than any machine has: a larger number was meant to be thousandths, or anything else."""

LEAST_MEMORY = 2**20
"""Bytes with which no container starts: less was meant to have another unit, as in ``500m``."""

_QUANTITY = re.compile(
    r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,3}))?"
)
_UNITS = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    **{unit: Fraction(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Fraction(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}


class PodFinding(NamedTuple):
    """Something that is wrong, or probably wrong, with a part of a Pod."""

    path: FieldPath
    message: str
    """A clause that completes a sentence which begins with the field's name."""
    fails: bool = True
    """True if the API server refuses or drops the field; else it may be what was meant."""


def quantity(written: Any) -> Fraction | None:
    """Return the value of a quantity, a text or a number; None when it is none."""
    if not isinstance(written, str | int | float) or isinstance(written, bool):
        return None
    if isinstance(written, int) and abs(written) > MOST:
        return None
    text = str(written)
    match = _QUANTITY.fullmatch(text) if len(text) <= LONGEST_QUANTITY else None
    if match is None:
        return None
    sign, digits, unit, exponent = match.groups()
    value = Fraction(f"0{digits}" if digits.startswith(".") else digits.rstrip("."))
    value *= _UNITS[unit] if unit else Fraction(10) ** int(exponent or 0)
    return -value if sign == "-" else value


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
                amounts[kind][str(name)] = quantity(written) or Fraction(0)
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
    amount = quantity(written)
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
    amount = quantity(written)
    shown = write_value(written)
    if amount is None:
        yield PodFinding(path, f"is {shown}; it must be a quantity such as 500m, 2 or 4Gi")
    elif amount < 0:
        yield PodFinding(path, f"is {shown}; it must be at least 0")
    elif amount > MOST:
        yield PodFinding(path, f"is {shown}; no machine has as much")


def _is_of_device(name: str) -> bool:
    return "/" in name and not name.startswith("kubernetes.io/")
