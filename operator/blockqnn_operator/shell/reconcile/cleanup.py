"""Labels and deletes the Jobs of archived trials beside the passes, which never wait for it.

Deleting the Jobs of an iteration takes the API server as long as creating many: no result and no
free slot must wait for that.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.retention import NOTHING_TO_CLEAN, Cleanup
from blockqnn_operator.core.reporting.conditions import Problem
from blockqnn_operator.shell.kubernetes.client import ApiError
from blockqnn_operator.shell.kubernetes.informer import Key
from blockqnn_operator.shell.kubernetes.write_through import UNSEEN_SECONDS
from blockqnn_operator.shell.reconcile.apply import clean_up
from blockqnn_operator.shell.reconcile.job_writer import JobWriter
from blockqnn_operator.shell.reconcile.refusals import is_refusal, refusal


@dataclass(frozen=True, slots=True)
class _Wanted:
    writer: JobWriter[TrialJob]
    cleanup: Cleanup


class JobCleanup:
    """Holds the latest decision of each search about its leftover Jobs until it is carried out.

    Args:
        wanted: called with a search for which :meth:`carry_out` is due.
        clock: tells the seconds that have passed, from any origin.
        news: called with a search of which :attr:`problems` holds something else than before.
    """

    def __init__(
        self,
        wanted: Callable[[Key], None],
        clock: Callable[[], float] = time.monotonic,
        news: Callable[[Key], None] = lambda _key: None,
    ) -> None:
        self.problems: dict[Key, Problem] = {}
        """Reasons why the API server refuses a search's clean-up."""
        self._tell, self._clock, self._news = wanted, clock, news
        self._wanted: dict[Key, _Wanted] = {}
        self._deleted: dict[tuple[str, int], float] = {}
        """Times when the Jobs of iterations were deleted, by the search's uid and the iteration."""

    def ask(self, writer: JobWriter[TrialJob], cleanup: Cleanup) -> None:
        """Request a clean-up soon, in place of the one that was requested before.

        Args:
            writer: writes the search's Jobs.
            cleanup: the remaining steps, as far as is known now; perhaps none.
        """
        key = writer.search.namespace, writer.search.name
        if cleanup == NOTHING_TO_CLEAN:
            self._wanted.pop(key, None)
        else:
            self._wanted[key] = _Wanted(writer, cleanup)
            self._tell(key)

    async def carry_out(self, key: Key) -> float | None:
        """Carry out the latest request of a search.

        Returns:
            Seconds until the next call; None when there is no need.

        Raises:
            OperatorError: when it failed; the request then stays.
        """
        wanted = self._wanted.pop(key, None)
        if wanted is None:
            return None
        uid, iterations = wanted.writer.search.uid, wanted.cleanup.delete_iterations
        # The watches report deletions a moment late; until then they are not requested again.
        oldest = self._clock() - UNSEEN_SECONDS
        self._deleted = {deleted: at for deleted, at in self._deleted.items() if at >= oldest}
        new = tuple(i for i in iterations if (uid, i) not in self._deleted)
        cleanup = replace(wanted.cleanup, delete_iterations=new)
        try:
            await clean_up(wanted.writer, cleanup)
        except BaseException as error:
            self._wanted.setdefault(key, wanted)
            if isinstance(error, ApiError) and is_refusal(error):
                self._report(key, refusal(error))
            raise
        self._report(key, None)
        self._deleted |= {(uid, iteration): self._clock() for iteration in new}
        if new == iterations:
            return None
        self._wanted.setdefault(key, wanted)
        return UNSEEN_SECONDS

    def forget(self, key: Key) -> None:
        """Drop what is known of a search that is gone."""
        self._wanted.pop(key, None)
        self.problems.pop(key, None)

    def _report(self, key: Key, problem: Problem | None) -> None:
        if self.problems.get(key) == problem:
            return
        if problem is None:
            del self.problems[key]
        else:
            self.problems[key] = problem
        self._news(key)
