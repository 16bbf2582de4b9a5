"""Ranks of rewards."""

from collections.abc import Sequence


def rank_rewards(rewards: Sequence[float]) -> list[float]:
    """Replace each reward by the share of rewards below it, from 0 to 1.

    The lowest of m becomes 1/2m, the next 3/2m, and so on; equal rewards share the mean of their
    ranks. So outliers lose their weight, and the scale of a dataset does not matter.
    """
    count = len(rewards)
    order = sorted(range(count), key=rewards.__getitem__)
    ranked = [0.0] * count
    first = 0
    while first < count:
        last = first
        while last + 1 < count and rewards[order[last + 1]] == rewards[order[first]]:
            last += 1
        for position in range(first, last + 1):
            ranked[order[position]] = (first + last + 1) / (2 * count)
        first = last + 1
    return ranked
