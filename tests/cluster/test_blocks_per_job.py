"""Jobs that train several blocks each, on a real control plane."""

import json
from typing import Any

import pytest
from searching import CUSTOM_TRAINER, REAL_TRAINING, WHILE_TRAINING, Searching, search_manifest

from blockqnn.contract.message import Outcome

pytestmark = pytest.mark.long

AGENT = {"batchSize": 4, "epsilonSchedule": [{"epsilon": 1.0, "iterations": 1}]}
FOUR = {"budget": {"trials": 4}, "agent": AGENT, "seed": 5}
"""An iteration of four blocks that all differ."""


def with_blocks(spec: dict[str, Any], blocks: int, **trial: Any) -> dict[str, Any]:
    return {**spec, "trial": {**spec["trial"], "blocksPerJob": blocks, **trial}}


def untimed(searching: Searching) -> list[dict[str, object]]:
    return [record.model_dump(exclude={"seconds"}) for record in searching.records()]


def test_four_blocks_in_a_job_give_the_history_of_one_in_each(make_searching, eventually):
    """Unit tests hold that the real trainer, too, gives the same to the last bit."""
    together, alone = make_searching(), make_searching()
    for searching, blocks in ((together, 4), (alone, 1)):
        searching.operator.start()
        searching.apply(search_manifest(**with_blocks(CUSTOM_TRAINER, blocks), seed=5))
    for searching in (together, alone):
        eventually(searching.is_over, within=60)
    assert len(together.records()) == 8
    assert untimed(together) == untimed(alone)


def test_the_trainer_starts_once_for_four_blocks(searching, eventually):
    trained = with_blocks(REAL_TRAINING, 4, retain={"succeeded": 10})
    searching.apply(search_manifest(**FOUR, **trained))
    eventually(searching.is_over, within=WHILE_TRAINING)
    (job,) = searching.items("jobs", "app.kubernetes.io/component=trial")
    assert job["metadata"]["name"] == "search-t00000-a0"
    annotations = job["metadata"]["annotations"]
    blocks = json.loads(annotations["blockqnn.dev/blocks"])
    assert [block["trial"] for block in blocks] == [0, 1, 2, 3]
    for trial in range(4):
        assert json.loads(annotations[f"blockqnn.dev/result-{trial:05d}"])["trial"] == trial
    records = searching.records()
    assert [record.outcome for record in records] == [Outcome.SUCCEEDED] * 4
    first, *later = [record.seconds.start for record in records if record.seconds]
    assert first > 0
    assert later == [0.0, 0.0, 0.0]


def test_a_deleted_pod_keeps_what_is_trained_and_the_rest_is_trained_again(
    searching, eventually, tmp_path
):
    marker = tmp_path / "once"
    spec = with_blocks(CUSTOM_TRAINER, 4)
    (container,) = spec["trial"]["podTemplate"]["spec"]["containers"]
    container = {**container, "env": [{"name": "PAUSE_ONCE", "value": str(marker)}]}
    spec["trial"] = {
        **spec["trial"],
        "podTemplate": {"spec": {"containers": [container]}},
        "retain": {"succeeded": 10},
    }
    searching.apply(search_manifest(**FOUR, failurePolicy={"retries": 0}, **spec))
    eventually(marker.exists)
    (pod,) = searching.items("pods", "blockqnn.dev/search")
    searching.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    eventually(searching.is_over, within=60)
    records = searching.records()
    # No retry is used up: there is none.
    assert {record.outcome for record in records} <= {Outcome.SUCCEEDED, Outcome.INFEASIBLE}
    assert [record.attempt for record in records] == [0, 0, 1, 1]
    (event,) = searching.events("TrialInterrupted")
    assert pod["metadata"]["name"] in event
    assert "It was deleted" in event
    jobs = searching.items("jobs", "app.kubernetes.io/component=trial")
    assert sorted(job["metadata"]["name"] for job in jobs) == [
        "search-t00000-a0",
        "search-t00002-a1",
    ]


def test_a_trainer_that_knows_of_one_trial_only_fails_in_its_own_words(searching, eventually):
    command = ["sh", "-c", "echo BLOCKQNN_TRIAL is not set > $TERMINATION_MESSAGE_PATH; exit 2"]
    trial = {
        "resources": {"requests": {"cpu": "100m"}},
        "blocksPerJob": 2,
        "podTemplate": {"spec": {"containers": [{"name": "trainer", "command": command}]}},
    }
    two = {"budget": {"trials": 2}, "agent": AGENT, "failurePolicy": {"retries": 0}}
    searching.apply(search_manifest(**two, trial=trial))
    eventually(searching.is_over, within=60)
    records = searching.records()
    assert {record.outcome for record in records} == {Outcome.FAILED}
    assert all("BLOCKQNN_TRIAL is not set" in record.message for record in records)
