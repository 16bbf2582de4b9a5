"""The Jobs that the operator may have in flight, handed out to its searches as they ask."""

from collections.abc import Callable

from blockqnn_operator.core.planning.fair_share import Demand, share
from blockqnn_operator.shell.kubernetes.informer import Key


class Slots:
    """Keeps the Jobs that each search has and wants, and decides which search may start more.

    Nothing here waits: a search that gets less than it wants is woken when its turn comes.

    Args:
        limit: the largest number of Jobs in flight, all searches together; None for no limit.
        wake: called with a search that may start Jobs now.
    """

    def __init__(self, limit: int | None, wake: Callable[[Key], None]) -> None:
        self.limit = limit
        self._wake = wake
        self._demands: dict[Key, Demand] = {}
        self._grants = 0

    def knows(self, key: Key) -> bool:
        """Return whether a search has asked before."""
        return key in self._demands

    def ask(self, key: Key, in_flight: int, wanted: int) -> int:
        """Return how many Jobs a search may start now, and count them as started.

        Args:
            key: the search.
            in_flight: the number of its Jobs that have no result yet.
            wanted: the number of Jobs that it would start in addition.
        """
        if self.limit is None:
            return wanted
        served = self._demands[key].served if key in self._demands else 0
        self._demands[key] = Demand(in_flight, wanted, served)
        granted = share(self._demands, self.limit, _namespace)[key]
        if granted:
            self._grants += 1
            remaining = wanted - granted
            self._demands[key] = Demand(in_flight + granted, remaining, self._grants)
        self._wake_others(key)
        return granted

    def forget(self, key: Key) -> None:
        """Drop a search that is gone; its share goes to others."""
        if self._demands.pop(key, None) is not None:
            self._wake_others(key)

    def _wake_others(self, key: Key) -> None:
        if self.limit is None:
            return
        for other, count in share(self._demands, self.limit, _namespace).items():
            if count and other != key:
                self._wake(other)


def _namespace(key: Key) -> str:
    """Return the namespace of a search: the limit is shared by namespaces first."""
    return key[0]
