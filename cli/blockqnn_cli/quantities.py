"""Writes quantities for people."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from blockqnn.contract.metrics import METRICS

LONGEST = 1_000 * 365 * 86_400.0
"""Seconds of the longest duration that is written with digits."""

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float) -> str:
    """Write a duration with its two largest units, such as ``2 h 5 min`` or ``12 s``.

    A trainer may have told any number: one that no clock has counted is written without digits.
    """
    if seconds > LONGEST or seconds != seconds:
        return "more than 1,000 years"
    seconds = max(seconds, 0.0)
    total = round(seconds)
    for index, (size, unit) in enumerate(_UNITS):
        if total >= size:
            text = f"{total // size} {unit}"
            rest = total % size
            if index + 1 < len(_UNITS) and rest >= _UNITS[index + 1][0]:
                smaller, name = _UNITS[index + 1]
                text += f" {rest // smaller} {name}"
            return text
    return f"{seconds:.1f} s" if 0 < seconds < 1 else "0 s"


def moment(text: str) -> datetime:
    """Read a time as the API server writes it, with a fraction of a second or without."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def since(text: str, now: datetime) -> str:
    """Write the time that has passed since a moment."""
    return duration(max((now - moment(text)).total_seconds(), 0.0))


def count(number: int, singular: str, plural: str = "") -> str:
    """Write a number of things, such as ``1 trial`` or ``1,200 trials``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def measurements(values: Mapping[str, float | None], write: Callable[[float], str]) -> list[str]:
    """Write what was measured of a network, such as ``2.1M parameters``; omit unknown values.

    Args:
        values: the measurements by their names in :data:`blockqnn.contract.metrics.METRICS`.
        write: writes a number.
    """
    return [
        " ".join(part for part in (write(value), METRICS[name].unit, METRICS[name].title) if part)
        for name, value in values.items()
        if value is not None
    ]


_MOST = 1e30


def short(number: float) -> str:
    """Write a large number briefly, such as ``1.2M``, ``35k`` or ``980``."""
    if number > _MOST:
        return f"more than {_MOST:.0e}"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size * 0.9995:
            return f"{number / size:.3g}{unit}"
    return f"{number:.4g}"
