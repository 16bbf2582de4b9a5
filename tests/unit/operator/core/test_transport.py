"""Results that travel by something else than the termination message of a Pod.

Here they stand in a field of the Pod's status that Kubernetes does not have. The operator reads it
in one place, :meth:`TrialPod.read`; the judges of all kinds of Jobs, plans and records follow. The
other end is one place, too: tests/unit/trainer/process/test_termination_message.py.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import finalist_simulation
import operator_world
import pytest
import search_simulation
from finalist_world import finalists_of
from operator_world import Json

from blockqnn_operator.core.observed.pod import TrialPod

_read = TrialPod.read
_container = operator_world._container


def carry_elsewhere(patch: pytest.MonkeyPatch) -> None:
    """Let all Pods end with empty termination messages, their results elsewhere."""

    def container(state: Json) -> Json:
        terminated = dict(state.get("terminated", {}))
        result = terminated.pop("message", "")
        status = _container({"terminated": terminated} if terminated else state)
        return {**status, "carried": result}

    patch.setattr(operator_world, "_container", container)


def read_elsewhere(patch: pytest.MonkeyPatch) -> None:
    """Let the operator read results from there."""

    def read(body: Mapping[str, Any]) -> TrialPod | None:
        pod = _read(body)
        return replace(pod, message=body["status"]["carried"]) if pod else None

    patch.setattr(TrialPod, "read", read)


SEED = search_simulation.SEEDS[0]
PREPARED = {"name": "cifar10", "volume": {"persistentVolumeClaim": {"claimName": "images"}}}
SEARCHES: list[dict[str, Any]] = [
    {},
    {"trial": {"blocksPerJob": 3}},
    {"dataset": PREPARED},
]


@pytest.mark.parametrize("changes", SEARCHES, ids=["trials", "groups", "preparation"])
def test_trials_and_preparations_are_read_through_one_place(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = search_simulation.spec_of(seed=SEED, **changes)
    expected = search_simulation.Run(spec).finish().world.records
    carry_elsewhere(monkeypatch)
    read_elsewhere(monkeypatch)
    assert search_simulation.Run(spec).finish().world.records == expected


def test_finalists_are_read_through_the_same_place(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = finalist_simulation.spec_of(finalist_simulation.SEEDS[0])
    expected = finalists_of(finalist_simulation.Run(spec).settle().world)
    carry_elsewhere(monkeypatch)
    read_elsewhere(monkeypatch)
    assert expected
    assert finalists_of(finalist_simulation.Run(spec).settle().world) == expected


def test_nothing_arrives_that_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    carry_elsewhere(monkeypatch)
    run = search_simulation.Run(search_simulation.spec_of(seed=SEED))
    run.settle()
    records = run.world.records
    assert records
    assert not any(record.outcome == "Succeeded" for record in records)
