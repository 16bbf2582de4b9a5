"""Quantities as Kubernetes users write them: ``2``, ``500m``, ``8Gi``, ``1e3``."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field

LONGEST = 32
"""The longest quantity, in characters; Kubernetes itself keeps 19 digits."""

LARGEST = 2**63 - 1
"""The largest number of a quantity, as in Kubernetes."""

_FORM = re.compile(
    r"[+]?([0-9]{1,19}(?:\.[0-9]{0,19})?|\.[0-9]{1,19})(?:([eE][+-]?[0-9]{1,2})|([A-Za-z]{0,2}))"
)
_FACTORS = {
    **{"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}


def number(quantity: str | int) -> Decimal:
    """Return the number that a quantity means.

    Raises:
        ValueError: when it is none, is negative, or is larger than any quantity of Kubernetes.
    """
    text = str(quantity) if not isinstance(quantity, int) or abs(quantity) <= LARGEST else "huge"
    match = _FORM.fullmatch(text) if len(text) <= LONGEST else None
    factor = _FACTORS.get(match[3] or "") if match else None
    if match is None or factor is None:
        raise ValueError(
            "it is not a quantity; write a number such as 2, 500m, 8Gi or 1e3, from 0 to 2^63 - 1"
        )
    value = Decimal(match[1] + (match[2] or "")) * factor
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
