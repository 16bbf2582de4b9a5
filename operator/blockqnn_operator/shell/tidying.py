"""Labels and deletes the Jobs of archived trials beside the passes, which never wait for it.

Deleting the Jobs of an iteration takes the API server as long as creating many: no result and no
free slot should have to wait for that.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from blockqnn_operator.core.observation import SearchObject, TrialJob
from blockqnn_operator.core.retention import NOTHING_TO_CLEAN, Cleanup
from blockqnn_operator.shell import apply
from blockqnn_operator.shell.cluster import Cluster
from blockqnn_operator.shell.observe import UNSEEN_SECONDS, Freshest
from blockqnn_operator.shell.slots import Key


@dataclass(frozen=True, slots=True)
class _Wanted:
    search: SearchObject
    cleanup: Cleanup
    freshest: Freshest[TrialJob]


class Tidying:
    """Holds what each search last decided about its leftover Jobs until it is carried out.

    Args:
        cluster: the API server.
        wanted: told of a search for which :meth:`carry_out` is due.
        clock: tells the seconds that have passed, from any origin.
    """

    def __init__(
        self,
        cluster: Cluster,
        wanted: Callable[[Key], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._tell, self._clock = cluster, wanted, clock
        self._wanted: dict[Key, _Wanted] = {}
        self._deleted: dict[tuple[str, int], float] = {}
        """When the Jobs of an iteration were deleted, by the search's uid and the iteration."""

    def ask(self, search: SearchObject, cleanup: Cleanup, freshest: Freshest[TrialJob]) -> None:
        """Have a clean-up carried out soon, in place of what was asked for before.

        Args:
            search: the search.
            cleanup: what is left to do by what is known now; perhaps nothing.
            freshest: takes note of what is written.
        """
        key = search.namespace, search.name
        if cleanup == NOTHING_TO_CLEAN:
            self._wanted.pop(key, None)
        else:
            self._wanted[key] = _Wanted(search, cleanup, freshest)
            self._tell(key)

    async def carry_out(self, key: Key) -> float | None:
        """Do what a search has asked for last.

        Returns:
            After how many seconds to come again; None when there is no need.

        Raises:
            OperatorError: when it did not work; it is then still to be done.
        """
        wanted = self._wanted.pop(key, None)
        if wanted is None:
            return None
        uid, iterations = wanted.search.uid, wanted.cleanup.delete_iterations
        # The watches tell of deletions a moment later; until then they are not asked for again.
        oldest = self._clock() - UNSEEN_SECONDS
        self._deleted = {one: at for one, at in self._deleted.items() if at >= oldest}
        new = tuple(i for i in iterations if (uid, i) not in self._deleted)
        cleanup = replace(wanted.cleanup, delete_iterations=new)
        try:
            await apply.clean_up(self._cluster, wanted.search, cleanup, wanted.freshest)
        except BaseException:
            self._wanted.setdefault(key, wanted)
            raise
        self._deleted |= {(uid, iteration): self._clock() for iteration in new}
        if new == iterations:
            return None
        self._wanted.setdefault(key, wanted)
        return UNSEEN_SECONDS
