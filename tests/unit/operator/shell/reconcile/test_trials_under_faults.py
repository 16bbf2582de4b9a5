"""The whole operator, shell included, when requests are lost and it dies between any two of them.

As in the simulation of the core, the history must come out the same. Here the operator's own
requests go to an API server in memory (operator_server.py), with everything that makes them safe:
names, preconditions, what was written laid over what is watched, the order of the requests.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_builders import make_search, make_shard
from operator_server import Fault
from repository_paths import FIXTURES
from search_simulation import BUDGET, SEEDS, serial, spec_of
from search_under_faults import (
    UP_TO_DATE,
    Disturbed,
    Pass,
    Process,
    Step,
    passes,
    quick_passes,
    schedules,
)


@pytest.fixture(autouse=True, scope="module")
def _quick_passes() -> Iterator[None]:
    with quick_passes():
        yield


@given(st.sampled_from(SEEDS), st.sampled_from([1, 3, 14]), schedules)
@settings(max_examples=25)
def test_the_history_is_that_of_the_undisturbed_run(
    seed: int, parallelism: int, steps: list[Step]
) -> None:
    run = Disturbed(spec_of(seed=seed, parallelism=parallelism))
    for step in steps:
        run.step(step)
    assert run.finish().server.world.records == serial(seed)


def test_a_history_that_is_imported_while_the_search_is_suspended_is_gone_on_from() -> None:
    """The operator has read the empty history before, and is not started again."""
    run = Disturbed(spec_of(seed=1, parallelism=3, suspend=True))
    run.look(Pass(UP_TO_DATE, ()))
    (empty,) = run.server.world.shards
    lines = "".join(record.write() + "\n" for record in serial(1)[:8])
    imported = replace(empty, text=empty.text + lines, resource_version="77")
    run.server.put(replace(run.server.world, shards=(imported,)))
    resumed = make_search(spec_of(seed=1, parallelism=3), generation=2)
    run.server.search = resumed
    assert run.finish().server.world.records == serial(1)
    assert min(run.server.world.created) >= "digits-t00008"


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 1), passes | st.integers(0, 9))))
@settings(max_examples=12)
def test_two_operators_under_faults_write_the_history_of_one(
    seed: int, steps: list[tuple[int, Step]]
) -> None:
    run = Disturbed(spec_of(seed=seed, parallelism=3), operators=2)
    run.server.was_late = True
    for operator, step in steps:
        run.step(step, operator)
    assert run.finish().server.world.records == serial(seed)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("seed", SEEDS[:2])
def test_a_fault_in_every_pass_changes_nothing(seed: int, fault: Fault) -> None:
    """It strikes the first request of a pass, then the second of the next, and so on."""
    run = Disturbed(spec_of(seed=seed, parallelism=3))
    for number in range(90):
        run.step(Pass(UP_TO_DATE, ((number % 7, fault),)))
        run.step(number)
    assert run.finish().server.world.records == serial(seed)
    assert len(run.server.world.records) == BUDGET


def test_a_small_budget_is_told_once_however_often_operators_start() -> None:
    disturbed = Disturbed(spec_of(seed=1, parallelism=1))
    for number in range(6):
        disturbed.look(Pass(UP_TO_DATE, ()))
        disturbed.step(number)
        disturbed.processes[0] = Process(disturbed.server)
        disturbed.server.events.clear()  # Events do not live for ever.
    disturbed.finish()
    assert disturbed.server.reasons.count("FewLearningIterations") == 1


BEGUN = [
    json.loads(line)
    for line in (FIXTURES / "searches-with-unused-fields.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize("begun", BEGUN, ids=["Evolution", "RandomSearch", "QLearning"])
def test_a_search_that_began_with_fields_that_are_refused_now_goes_on(
    begun: dict[str, Any],
) -> None:
    run = Disturbed({**begun["spec"], "parallelism": 2})
    shard = make_shard(text="".join(f"{line}\n" for line in begun["history"]))
    run.server.put(replace(run.server.world, shards=(shard,)))
    records = run.finish().server.world.records
    assert [record.block for record in records[12:]] == begun["next"]
    assert run.server.reasons.count("UnusedFields") == 1
    assert run.server.status["phase"] == "Complete"


@pytest.mark.parametrize("begun", BEGUN, ids=["Evolution", "RandomSearch", "QLearning"])
def test_a_new_search_with_such_fields_is_refused(begun: dict[str, Any]) -> None:
    run = Disturbed({**begun["spec"], "parallelism": 2})
    run.look(Pass(UP_TO_DATE, ()))
    status = run.server.status
    (failed,) = [c for c in status["conditions"] if c["type"] == "Failed"]
    assert (status["phase"], failed["reason"]) == ("Failed", "InvalidSpec")
    assert " has no effect with " in failed["message"]
    assert not run.server.world.created
    assert not run.server.world.shards
