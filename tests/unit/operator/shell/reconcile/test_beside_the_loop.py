"""What a spec can make slow runs beside the loop: the probes and other searches go on meanwhile."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from search_simulation import spec_of
from search_under_faults import UP_TO_DATE, Disturbed, Pass, Process

from blockqnn.search import Search
from blockqnn_api.history.replay import SearchState

DEADLINE = 20.0
"""Seconds after which a wait counts as one for ever."""


class Beside:
    """Makes a method wait until the loop, which must not wait for it, gets round to something."""

    def __init__(self) -> None:
        self._loop_went_on = threading.Event()
        self.calls = 0

    def waits(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def wait(*arguments: Any) -> Any:
            self.calls += 1
            assert self._loop_went_on.wait(DEADLINE), "the loop waited for this"
            return method(*arguments)

        return wait

    async def go_on(self) -> None:
        """Be another search, or a probe."""
        while True:
            await asyncio.sleep(0.001)
            self._loop_went_on.set()
            await asyncio.sleep(0.001)
            self._loop_went_on.clear()


class Busy(Process):
    """An operator's process with something else to do."""

    beside: Beside

    async def _reconcile(self) -> float | None:
        other = asyncio.create_task(self.beside.go_on())
        try:
            return await super()._reconcile()
        finally:
            other.cancel()


@pytest.mark.parametrize(("owner", "name"), [(SearchState, "extend"), (Search, "propose_next")])
def test_the_loop_does_not_wait_for_an_agent(
    owner: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Beside()

    class Run(Disturbed):
        process = type("BusyProcess", (Busy,), {"beside": beside})

    expected = Disturbed(spec_of(seed=3, parallelism=4)).finish().server.world.records
    monkeypatch.setattr(owner, name, beside.waits(getattr(owner, name)))
    run = Run(spec_of(seed=3, parallelism=4))
    run.look(Pass(UP_TO_DATE, ()))
    assert run.finish().server.world.records == expected
    assert beside.calls
