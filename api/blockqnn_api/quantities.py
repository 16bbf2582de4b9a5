"""Quantities as Kubernetes users write them: ``2``, ``500m``, ``8Gi``, ``1e3``."""

import re
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, Field

LONGEST = 64
"""The longest quantity, in characters; Kubernetes itself keeps 19 digits."""

LARGEST = 2**63 - 1
"""The largest number of a quantity that Kubernetes keeps; it takes any larger one for this."""

_FORM = re.compile(
    r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,3}))?"
)
_UNITS = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    **{unit: Fraction(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Fraction(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}


def read_quantity(written: Any) -> Fraction | None:
    """Return the value of a quantity, a text or a number; None when it is none."""
    if not isinstance(written, str | int | float) or isinstance(written, bool):
        return None
    if isinstance(written, int) and abs(written) > LARGEST:
        return None
    text = str(written)
    match = _FORM.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        return None
    sign, digits, unit, exponent = match.groups()
    value = Fraction(f"0{digits}" if digits.startswith(".") else digits.rstrip("."))
    value *= _UNITS[unit] if unit else Fraction(10) ** int(exponent or 0)
    return -value if sign == "-" else value


def number(quantity: str | int) -> Fraction:
    """Return the number that the quantity of a resource means.

    Raises:
        ValueError: when it is none, is negative, or is larger than any quantity of Kubernetes.
    """
    value = read_quantity(quantity)
    if value is None or value < 0:
        raise ValueError(
            "it is not a quantity; write a number such as 2, 500m, 8Gi or 1e3, from 0 to 2^63 - 1"
        )
    if value > LARGEST:
        raise ValueError("it is larger than any quantity of Kubernetes, which end at 2^63 - 1")
    return value


def _checked(quantity: str | int) -> str | int:
    number(quantity)
    return quantity


Quantity = Annotated[
    str | int, Field(json_schema_extra={"maxLength": LONGEST}), AfterValidator(_checked)
]
"""An amount of a resource: a number, or a text of a number and a unit."""
