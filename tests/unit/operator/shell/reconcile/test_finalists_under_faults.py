"""The whole operator with finalists, shell included, when requests are lost and it dies anywhere.

As for trials (search_under_faults.py): whatever becomes of a request, the finalists end with
the results of an undisturbed run.
"""

from collections.abc import Iterator

import pytest
from finalist_simulation import SEEDS, plain, serial
from finalist_world import finalists_of, is_finalist
from finalists_under_faults import DisturbedFinalists
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_server import Fault
from search_under_faults import UP_TO_DATE, Disturbed, Pass, Step, passes, quick_passes, schedules

from blockqnn_api.history.finalist_record import Finalist, FinalistArchive, FinalistRecord


@pytest.fixture(autouse=True, scope="module")
def _quick_passes() -> Iterator[None]:
    with quick_passes():
        yield


def expected(seed: int) -> dict[Finalist, FinalistRecord]:
    records = plain(finalists_of(serial(seed).world))
    return {
        finalist: record for finalist, record in records.items() if finalist.target in ("", "wide")
    }


def results(run: Disturbed) -> dict[Finalist, FinalistRecord]:
    return plain(FinalistArchive.recover(run.server.world.finalists).records)


seeds = st.sampled_from(SEEDS)


@given(seeds, schedules)
@settings(max_examples=15)
def test_the_results_are_those_of_the_undisturbed_run(seed: int, steps: list[Step]) -> None:
    run = DisturbedFinalists(seed)
    for step in steps:
        run.step(step)
    run.finish()
    assert results(run) == expected(seed)
    assert run.server.status["finalists"]["records"] == len(expected(seed))
    assert not [job for job in run.server.world.jobs.values() if is_finalist(job)]


@given(seeds, st.lists(st.tuples(st.integers(0, 1), passes | st.integers(0, 9))))
@settings(max_examples=8)
def test_two_operators_under_faults_write_the_history_of_one(
    seed: int, steps: list[tuple[int, Step]]
) -> None:
    run = DisturbedFinalists(seed, operators=2)
    run.server.was_late = True
    for operator, step in steps:
        run.step(step, operator)
    assert results(run.finish()) == expected(seed)


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_in_every_pass_changes_nothing(fault: Fault) -> None:
    """It strikes the first request of a pass, then the second of the next, and so on."""
    run = DisturbedFinalists(SEEDS[0])
    for number in range(90):
        run.step(Pass(UP_TO_DATE, ((number % 7, fault),)))
        run.step(number)
    assert results(run.finish()) == expected(SEEDS[0])
