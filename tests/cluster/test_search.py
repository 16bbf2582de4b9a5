"""A search from ``kubectl apply`` to the best block, with the real trainer where it matters."""

import json
import re

from searching import CUSTOM_TRAINER, REAL_TRAINING, WHILE_TRAINING, Searching, search_manifest

from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome


def test_a_search_trains_real_networks_and_reports_the_best_block(searching, eventually):
    searching.apply(search_manifest(**REAL_TRAINING, budget={"trials": 6}, agent={"batchSize": 3}))
    eventually(lambda: searching.status().get("trials", {}).get("running"), within=WHILE_TRAINING)
    columns = searching.kubectl("get", "blocksearch").splitlines()
    assert columns[0].split() == ["NAME", "PHASE", "TRIALS", "RUNNING", "BEST", "EPSILON", "AGE"]
    assert re.match(r"search +Running +\d/6 +[12] ", columns[1])

    eventually(searching.is_over, within=WHILE_TRAINING)
    status, records = searching.status(), searching.records()
    assert status["phase"] == "Complete"
    assert status["progress"] == "6/6"
    assert [record.trial for record in records] == list(range(6))
    trained = [record for record in records if record.outcome is Outcome.SUCCEEDED]
    assert trained
    leader = max(trained, key=lambda record: record.reward)
    assert status["best"]["trial"] == leader.trial
    assert status["best"]["block"] == leader.block
    assert status["best"]["accuracy"] == round(leader.accuracy, 6) > 0.1
    assert leader.parameters == status["best"]["parameters"] > 0
    assert Block.parse(leader.block)
    eventually(lambda: not searching.items("jobs", "blockqnn.dev/archived!=true"))


def test_every_trial_is_counted_once_and_duplicates_cost_no_job(searching, eventually):
    searching.apply(
        search_manifest(**CUSTOM_TRAINER, budget={"trials": 24}, space={"maxLayers": 3},
                        agent={"batchSize": 12}, parallelism=4)
    )  # fmt: skip
    eventually(searching.is_over, within=60)
    counts = searching.status()["trials"]
    records = searching.records()
    assert counts["total"] == 24 == len(records)
    assert counts["cached"] > 0, "with two layers the same networks must come again"
    hashes = [r.hash for r in records if r.outcome is not Outcome.CACHED]
    assert len(hashes) == len(set(hashes))
    for record in records:
        if record.outcome is Outcome.CACHED:
            original = records[record.shared_with]
            assert original.trial < record.trial
            assert (original.hash, original.reward) == (record.hash, record.reward)


def test_results_of_another_trainer_are_taken_from_the_annotation(searching, eventually):
    """The Pods never start; whoever writes the annotation is the trainer."""
    nowhere = {"nodeSelector": {"no": "such-node"}}
    searching.apply(
        search_manifest(
            budget={"trials": 1},
            agent={"batchSize": 1},
            trial={"resources": {}, "podTemplate": {"spec": nowhere}},
        )
    )
    (job,) = eventually(searching.jobs)
    annotate(searching, job, "no result at all")
    eventually(lambda: searching.events("ResultInvalid"))
    assert (
        "is not a valid result: The trial result is wrong" in searching.events("ResultInvalid")[0]
    )
    assert searching.condition("Degraded")["reason"] == "ResultInvalid"
    assert not searching.records()

    annotate(searching, job, result_of(job, accuracy=0.75))
    eventually(searching.is_over)
    (record,) = searching.records()
    assert (record.outcome, record.accuracy) == (Outcome.SUCCEEDED, 0.75)
    assert searching.condition("Degraded")["status"] == "False"


def test_a_suspended_search_starts_nothing_and_goes_on_when_resumed(searching, eventually):
    searching.apply(search_manifest(**CUSTOM_TRAINER, suspend=True))
    eventually(lambda: searching.condition("Suspended").get("status") == "True")
    assert searching.status()["phase"] == "Suspended"
    assert not searching.jobs()
    searching.patch({"suspend": False})
    eventually(searching.is_over, within=60)
    assert searching.status()["progress"] == "8/8"
    assert searching.condition("Suspended")["status"] == "False"


def test_a_finished_search_goes_on_when_its_budget_is_raised(searching, eventually):
    searching.apply(search_manifest(**CUSTOM_TRAINER, budget={"trials": 6}, agent={"batchSize": 4}))
    eventually(searching.is_over, within=60)
    first = searching.records()
    assert len(first) == 6
    searching.patch({"budget": {"trials": 9}})
    eventually(lambda: searching.status()["progress"] == "9/9", within=60)
    eventually(searching.is_over)
    assert searching.records()[:6] == first
    assert [record.iteration for record in searching.records()] == [0] * 4 + [1] * 4 + [2]


def test_everything_goes_with_the_search_although_no_operator_runs(searching, eventually):
    searching.apply(search_manifest(**CUSTOM_TRAINER, budget={"trials": 4}))
    eventually(searching.is_over, within=60)
    assert searching.operator.stop() == 0
    searching.kubectl("delete", "bs", "search", "--wait=true", "--timeout=20s")
    eventually(lambda: not searching.items("configmaps", "blockqnn.dev/search"))
    eventually(lambda: not searching.items("jobs,pods", "blockqnn.dev/search"))


def annotate(searching: Searching, job: dict, text: str) -> None:
    searching.kubectl(
        "annotate", "job", job["metadata"]["name"], f"blockqnn.dev/result={text}", "--overwrite"
    )


def result_of(job: dict, accuracy: float) -> str:
    annotations = job["metadata"]["annotations"]
    return json.dumps(
        {
            "trial": int(job["metadata"]["labels"]["blockqnn.dev/trial-index"]),
            "attempt": int(annotations["blockqnn.dev/attempt"]),
            "blockHash": annotations["blockqnn.dev/block-hash"],
            "outcome": "Succeeded",
            "reason": "Completed",
            "accuracy": accuracy,
        }
    )


def test_the_operator_is_the_manager_of_what_it_writes(searching, eventually):
    searching.apply(search_manifest(trial={"resources": {}}))
    eventually(lambda: searching.status().get("phase"))
    eventually(searching.jobs)
    kinds = ("blocksearch", "jobs", "configmaps")
    managers = {
        entry["manager"]
        for kind in kinds
        for body in json.loads(
            searching.kubectl("get", kind, "-o", "json", "--show-managed-fields")
        )["items"]
        for entry in body["metadata"].get("managedFields", ())
    }
    assert "blockqnn-operator" in managers
    assert "OpenAPI-Generator" not in managers
