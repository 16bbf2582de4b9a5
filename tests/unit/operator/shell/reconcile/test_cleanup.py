"""Jobs of archived trials are deleted beside the passes, once, and until it has worked."""

from typing import Any

import pytest
from operator_builders import make_search

from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.retention import NOTHING_TO_CLEAN, Cleanup
from blockqnn_operator.errors import ClusterUnavailable
from blockqnn_operator.shell.kubernetes.client import Cluster
from blockqnn_operator.shell.kubernetes.write_through import UNSEEN_SECONDS, WriteThroughCache
from blockqnn_operator.shell.reconcile.cleanup import JobCleanup
from blockqnn_operator.shell.reconcile.job_writer import JobWriter

SEARCH = make_search({})
KEY = SEARCH.namespace, SEARCH.name


class Recording(Cluster):
    """An API server that notes what is asked of it, and may be away."""

    def __init__(self) -> None:
        super().__init__(None, lambda _verb, _code: None)
        self.selectors: list[str] = []
        self.away = False

    async def delete_collection(self, path: str, selector: str) -> None:
        if self.away:
            raise ClusterUnavailable("away")
        self.selectors.append(selector)


class Desk:
    """Surroundings of a JobCleanup for the tests."""

    def __init__(self) -> None:
        self.cluster, self.now, self.told = Recording(), 0.0, 0
        self.cleanup = JobCleanup(self._tell, clock=lambda: self.now)
        cache = WriteThroughCache(TrialJob.read)
        self._writer = JobWriter(self.cluster, SEARCH, cache, "the Job of a trial")

    def _tell(self, key: Any) -> None:
        assert key == KEY
        self.told += 1

    def ask(self, *iterations: int) -> None:
        wanted = Cleanup(delete_iterations=iterations) if iterations else NOTHING_TO_CLEAN
        self.cleanup.ask(self._writer, wanted)

    @property
    def deleted(self) -> list[int]:
        return [
            int(selector.split("iteration=")[1].split(",")[0])
            for selector in self.cluster.selectors
        ]


async def test_what_is_asked_for_is_carried_out_once() -> None:
    desk = Desk()
    desk.ask(0, 1)
    assert desk.told == 1
    assert await desk.cleanup.carry_out(KEY) is None
    assert await desk.cleanup.carry_out(KEY) is None
    assert desk.deleted == [0, 1]


async def test_nothing_to_clean_up_is_not_worth_a_word() -> None:
    desk = Desk()
    desk.ask()
    assert desk.told == 0


async def test_a_deletion_that_the_watches_have_not_told_of_is_not_repeated_at_once() -> None:
    desk = Desk()
    desk.ask(0)
    await desk.cleanup.carry_out(KEY)
    desk.ask(0, 1)
    assert await desk.cleanup.carry_out(KEY) == UNSEEN_SECONDS
    assert desk.deleted == [0, 1]


async def test_jobs_that_are_still_there_after_a_while_are_deleted_again() -> None:
    desk = Desk()
    desk.ask(0)
    await desk.cleanup.carry_out(KEY)
    desk.ask(0)
    desk.now = await desk.cleanup.carry_out(KEY) or 0.0
    desk.now += 1
    await desk.cleanup.carry_out(KEY)
    assert desk.deleted == [0, 0]


async def test_jobs_that_have_gone_meanwhile_are_not_asked_for_again() -> None:
    desk = Desk()
    desk.ask(0)
    await desk.cleanup.carry_out(KEY)
    desk.ask(0)
    await desk.cleanup.carry_out(KEY)
    desk.ask()
    desk.now = UNSEEN_SECONDS + 1
    assert await desk.cleanup.carry_out(KEY) is None
    assert desk.deleted == [0]


async def test_what_did_not_work_is_still_to_be_done() -> None:
    desk = Desk()
    desk.ask(0)
    desk.cluster.away = True
    with pytest.raises(ClusterUnavailable):
        await desk.cleanup.carry_out(KEY)
    desk.cluster.away = False
    await desk.cleanup.carry_out(KEY)
    assert desk.deleted == [0]
