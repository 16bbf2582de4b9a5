"""The delays between attempts at what has failed."""

FIRST_BACKOFF = 0.5
"""Seconds before a key that failed is handled again; doubled by each failure after that."""
LONGEST_BACKOFF = 60.0
"""Seconds that the back-off never exceeds: a minute after a fault is fixed, all works again."""


def delay_after(
    failures: int, first: float = FIRST_BACKOFF, longest: float = LONGEST_BACKOFF
) -> float:
    """Return how many seconds to wait after some failures in a row, 1 or more.

    Args:
        failures: the number of failures in a row.
        first: the seconds after the first; doubled by each failure after that.
        longest: the seconds that are never exceeded.
    """
    # Beyond a few doublings the longest is reached; a larger power overflows.
    return min(first * 2.0 ** min(failures - 1, 16), longest)
