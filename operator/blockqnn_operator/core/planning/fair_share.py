"""Sharing the Jobs that the operator may have in flight among its searches. Pure."""

import heapq
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Demand:
    """Jobs that one search has and wants."""

    in_flight: int
    """Number of its Jobs that have no result yet."""
    wanted: int
    """Number of Jobs that it would start now in addition, if there were no limit."""
    served: int = 0
    """Number of its last grant of Jobs, which grows with each grant; 0 if it never had one."""


def share(demands: Mapping[K, Demand], limit: int) -> dict[K, int]:
    """Return how many Jobs each search may start now.

    Each Job goes to the search with the fewest Jobs in flight; among equals, to the one that was
    served longest ago. So every search that wants a Job gets one before another gets its second,
    and each has its turn even where the limit is less than the number of searches.

    Args:
        demands: the Jobs that each search has and wants.
        limit: the largest number of Jobs in flight, all searches together.
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
