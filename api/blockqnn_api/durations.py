"""Durations as Kubernetes users write them: ``90s``, ``45m``, ``1h30m``."""

import re
from functools import lru_cache

from blockqnn.errors import InvalidSettings

PATTERN = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
_DURATION = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")


@lru_cache(maxsize=256)
def seconds(text: str) -> int:
    """Return the length of a duration in seconds, at least 1.

    Raises:
        InvalidSettings: when the text is no duration, or the duration is zero.
    """
    match = _DURATION.fullmatch(text)
    hours, minutes, rest = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + rest
    if total < 1:
        raise InvalidSettings(
            f"{text!r} is not a duration; write hours, minutes and seconds as in 90s, 45m or 1h30m."
        )
    return total
