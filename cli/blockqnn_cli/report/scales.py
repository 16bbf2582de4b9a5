"""Scales from values to places on a picture, and the values that an axis names."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from ``low`` to ``high`` to places from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    """True if equal factors, rather than equal differences, are equally far apart."""
    integers: bool = False
    """True if there is nothing between two whole numbers."""

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Return round values, ascending, for an axis with room for the names of ``most``.

        Args:
            most: greatest number of values, at least 1.
        """
        if self.logarithmic:
            powers = _powers(self.low, self.high, most)
            if len(powers) > 1:
                return powers
        step = _round_step((self.high - self.low) / max(most, 1))
        if self.integers:
            step = max(step, 1.0)
        ticks = self._multiples(step)
        while len(ticks) > max(most, 1):
            # An axis that begins and ends at a multiple has one more of them than steps.
            step = _round_step(1.5 * step)
            ticks = self._multiples(step) or ticks[:1]
        return ticks

    def _multiples(self, step: float) -> list[float]:
        """Return the multiples of a step between the bounds, ascending."""
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, ... and their fractions that is not less."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999999)


def _powers(low: float, high: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        values = [factor * 10.0**power for power in powers for factor in factors]
        inside = [value for value in values if low <= value <= high]
        if len(inside) <= most:
            return inside
    return inside[:: math.ceil(len(inside) / most)]


def padded(values: Sequence[float], share: float = 0.05) -> tuple[float, float]:
    """Return the bounds of at least one value, with some room around them."""
    low, high = min(values), max(values)
    room = (high - low) * share or max(abs(high) * share, 1.0)
    return low - room, high + room


def padded_factor(values: Sequence[float]) -> tuple[float, float]:
    """Return the bounds of positive values with room around them on a logarithmic axis."""
    low, high = min(values), max(values)
    factor = max((high / low) ** 0.05, 1.1)
    return low / factor, high * factor
