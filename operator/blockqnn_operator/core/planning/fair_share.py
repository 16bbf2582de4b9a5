"""Sharing the Jobs that the operator may have in flight among its searches. Pure."""

import heapq
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

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


def share(
    demands: Mapping[K, Demand], limit: int, group_of: Callable[[K], Hashable] = lambda key: key
) -> dict[K, int]:
    """Return how many Jobs each search may start now.

    Each Job goes to the group with the fewest Jobs in flight, and there to the search with the
    fewest; among equals, to the one that was served longest ago. So whoever wants a Job gets one
    before another gets a second, and each has its turn even where the limit is less than their
    number. The group is the namespace: who has many searches gets no larger share.

    Args:
        demands: the Jobs that each search has and wants.
        limit: the largest number of Jobs in flight, all searches together.
        group_of: returns the group of a search; by default each is a group of its own.
    """
    granted = dict.fromkeys(demands, 0)
    free = limit - sum(demand.in_flight for demand in demands.values())
    groups: dict[Hashable, _Group[K]] = {}
    for key, demand in demands.items():
        groups.setdefault(group_of(key), _Group()).add(key, demand)
    waiting = [(*group.rank, order, group) for order, group in enumerate(groups.values())]
    waiting = [entry for entry in waiting if entry[-1].waiting]
    heapq.heapify(waiting)
    while free > 0 and waiting:
        *_, order, group = heapq.heappop(waiting)
        granted[group.grant()] += 1
        free -= 1
        if group.waiting:
            heapq.heappush(waiting, (*group.rank, order, group))
    return granted


class _Group(Generic[K]):
    """The searches that share as one."""

    def __init__(self) -> None:
        self._in_flight = 0
        self._served = 0
        self._searches = 0
        self.waiting: list[tuple[int, int, int, int, K]] = []
        """A heap of the searches that want more: in flight, served, order, still wanted, key."""

    @property
    def rank(self) -> tuple[int, int]:
        """The order in which groups get their next Job: the lowest first."""
        return self._in_flight, self._served

    def add(self, key: K, demand: Demand) -> None:
        """Add a search."""
        self._in_flight += demand.in_flight
        self._served = max(self._served, demand.served)
        self._searches += 1
        if demand.wanted:
            entry = (demand.in_flight, demand.served, self._searches, demand.wanted, key)
            heapq.heappush(self.waiting, entry)

    def grant(self) -> K:
        """Give the next Job to a search, which is returned."""
        in_flight, served, order, wanted, key = heapq.heappop(self.waiting)
        self._in_flight += 1
        if wanted > 1:
            heapq.heappush(self.waiting, (in_flight + 1, served, order, wanted - 1, key))
        return key
