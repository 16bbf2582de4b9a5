"""Durations as Kubernetes users write them: ``90s``, ``45m``, ``1h30m``."""

import re
from functools import lru_cache

from blockqnn.errors import InvalidSettings

PATTERN = r"^([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,10}s)?$"
_DURATION = re.compile(r"(?:([0-9]{1,15})h)?(?:([0-9]{1,15})m)?(?:([0-9]{1,15})s)?")

LONGEST_HOURS = 596_523
"""The longest duration, 68 years: Kubernetes counts the seconds of a Job in 32 bits, and it can be
added to any time that is read."""


@lru_cache(maxsize=256)
def seconds(text: str) -> int:
    """Return the length of a duration in seconds, at least 1.

    Raises:
        InvalidSettings: when the text is no duration, or the duration is zero or too long.
    """
    match = _DURATION.fullmatch(text)
    hours, minutes, rest = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + rest
    if total < 1:
        raise InvalidSettings(
            f"{text[:40]!r} is not a duration; write hours, minutes and seconds as in 90s, 45m or "
            "1h30m."
        )
    if total > LONGEST_HOURS * 3600:
        raise InvalidSettings(
            f"{text[:40]!r} is longer than 68 years; write a duration of at most {LONGEST_HOURS}h."
        )
    return total
