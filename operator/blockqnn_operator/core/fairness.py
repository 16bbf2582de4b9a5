"""Sharing the Jobs that the operator may have in flight among its searches. Pure."""

import heapq
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Demand:
    """What one search has and wants."""

    in_flight: int
    """How many of its Jobs have no result yet."""
    wanted: int
    """How many more it would start now, if there were no limit."""
    served: int = 0
    """When it was last given a Job, as a number that grows with each time; 0 for never."""


def share(demands: Mapping[K, Demand], limit: int) -> dict[K, int]:
    """Say how many Jobs each search may start now.

    One Job after the other goes to the search that has the fewest in flight, of equals to the one
    that was served longest ago. So every search that wants a Job gets one before another gets its
    second, and even where the limit is less than the number of searches each has its turn.

    Args:
        demands: what each search has and wants.
        limit: how many Jobs may be in flight, all searches together.
    """
    granted = dict.fromkeys(demands, 0)
    free = limit - sum(demand.in_flight for demand in demands.values())
    waiting = [
        (demand.in_flight, demand.served, order, key)
        for order, (key, demand) in enumerate(demands.items())
        if demand.wanted
    ]
    heapq.heapify(waiting)
    while free > 0 and waiting:
        in_flight, served, order, key = heapq.heappop(waiting)
        granted[key] += 1
        free -= 1
        if granted[key] < demands[key].wanted:
            heapq.heappush(waiting, (in_flight + 1, served, order, key))
    return granted
