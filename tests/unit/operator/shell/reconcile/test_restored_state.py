"""An API server whose data somebody has put back to an earlier state."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from search_simulation import serial, spec_of
from search_under_faults import UP_TO_DATE, Disturbed, Pass, quick_passes

LOOK = Pass(UP_TO_DATE, ())


@pytest.fixture(autouse=True, scope="module")
def _quick_passes() -> Iterator[None]:
    with quick_passes():
        yield


@example(15, 29)
@given(st.integers(1, 40), st.integers(20, 40))
@settings(max_examples=6)
def test_a_search_goes_on_from_an_earlier_state_and_says_so(kept: int, steps: int) -> None:
    run = Disturbed(spec_of(seed=1, parallelism=3))
    states = []
    for number in range(kept + steps):
        run.step(LOOK)
        run.step(number)
        states.append((run.server.world, run.server.status))
    before = len(run.server.world.records)
    world, status = states[kept - 1]
    run.server.check = lambda: None
    # No trial has a second Job of the same name: the earlier state does not know of the first.
    run.server.put(replace(world, steps=run.server.world.steps))
    run.server.status = dict(status)
    run.server.was_late = True
    run.processes[0].controller.restored()
    run.step(LOOK)
    if before != len(world.records):
        assert "HistoryRestored" in run.server.reasons
    assert run.finish().server.world.records == serial(1)
