"""However late agents answer, a search proposes, runs and learns the same."""

from collections.abc import Iterator
from random import Random

import pytest
from agents_nearby import AgentsNearby
from hypothesis import given
from hypothesis import strategies as st
from operator_server import Server
from search_simulation import SEEDS, spec_of
from search_under_faults import Disturbed, Process, Step, quick_passes, schedules


@pytest.fixture(autouse=True, scope="module")
def _quick_passes() -> Iterator[None]:
    with quick_passes():
        yield


def late_by(source: Random) -> type[Process]:
    """Operators whose agents answer up to five looks late."""

    class LateProcess(Process):
        def __init__(self, server: Server) -> None:
            super().__init__(server)
            self.controller._agents = AgentsNearby(lambda: source.randrange(6))

    return LateProcess


@given(st.sampled_from(SEEDS), st.integers(0, 2), st.integers(1, 9), st.randoms(), schedules)
def test_the_history_is_that_of_an_agent_that_answers_at_once(
    seed: int, pipelining: int, parallelism: int, source: Random, steps: list[Step]
) -> None:
    spec = spec_of(seed=seed, parallelism=parallelism)
    spec["agent"] = {**spec["agent"], "pipelining": pipelining}
    expected = Disturbed(spec).finish().server.world.records
    run = type("Late", (Disturbed,), {"process": late_by(source)})(spec)
    for step in steps:
        run.step(step)
    assert run.finish().server.world.records == expected
