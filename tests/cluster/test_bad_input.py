"""Mistakes of users: each leads to one clear line, where they look for it."""

import pytest
from searching import REAL_TRAINING, WHILE_TRAINING, search_manifest

FIRST_FAILURE_ENDS_IT = {"failurePolicy": {"maxFailedTrials": 0, "retries": 2}}


def test_a_dataset_that_is_none_fails_the_trial_at_once_and_is_named(
    searching, eventually, tmp_path
):
    (tmp_path / "images.npz").write_text("Not found")
    dataset = {"name": "npz", "path": str(tmp_path / "images.npz")}
    searching.apply(
        search_manifest(**REAL_TRAINING, **FIRST_FAILURE_ENDS_IT, dataset=dataset, parallelism=1)
    )
    eventually(searching.is_over, within=WHILE_TRAINING)
    assert searching.status()["phase"] == "Failed"
    failed = searching.condition("Failed")
    assert failed["reason"] == "TooManyFailures"
    assert "more than the 0 of spec.failurePolicy.maxFailedTrials" in failed["message"]
    (event,) = searching.events("TrialFailed")
    assert f"{tmp_path}/images.npz" in event
    assert "Traceback" not in event
    assert str(tmp_path) in searching.condition("Degraded")["message"]
    (job,) = searching.jobs()
    assert job["status"].get("failed") == 1, "what no retry mends is not retried"


def test_a_pod_template_that_the_api_server_refuses_is_a_condition(searching, eventually):
    template = {"spec": {"restartPolicy": "Sometimes"}}
    searching.apply(search_manifest(trial={"resources": {}, "podTemplate": template}))
    eventually(lambda: searching.condition("Degraded").get("status") == "True")
    degraded = searching.condition("Degraded")
    assert degraded["reason"] == "JobRefused"
    assert "restartPolicy" in degraded["message"]
    assert searching.status()["phase"] == "Running"
    searching.patch({"trial": {"podTemplate": {"spec": {"restartPolicy": None}}}})
    eventually(searching.jobs, within=30)


def test_a_misspelt_field_of_the_pod_template_is_named(searching, eventually):
    template = {"spec": {"tolerationz": [{"key": "x"}]}}
    searching.apply(search_manifest(trial={"resources": {}, "podTemplate": template}))
    eventually(lambda: searching.condition("Degraded").get("reason") == "JobRefused")
    assert "tolerationz" in searching.condition("Degraded")["message"]
    assert not searching.jobs()


@pytest.mark.long
def test_a_quota_slows_a_search_down_and_does_not_fail_it(searching, eventually):
    searching.kubectl("create", "quota", "few", "--hard=count/jobs.batch=0")
    eventually(lambda: searching.items("quota")[0]["status"].get("hard"))
    searching.apply(search_manifest(trial={"resources": {}}))
    eventually(lambda: searching.condition("Degraded").get("reason") == "QuotaExceeded")
    assert searching.status()["phase"] == "Running"
    searching.kubectl("delete", "quota", "few")
    eventually(searching.jobs, within=30)


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (
            {"batchSize": 4, "algorithm": "Magic"},
            "spec.agent.algorithm is 'Magic', which no installed package registers; the algorithms "
            "here are Evolution, QLearning, RandomSearch.",
        ),
        (
            {"batchSize": 4, "earlyTermination": {"epochs": [99]}},
            "spec.agent.earlyTermination.epochs names epoch 99, after which a training of 12 ",
        ),
    ],
    ids=["unknown algorithm", "field without an effect"],
)
def test_what_only_the_operator_can_tell_is_refused_in_a_sentence(
    searching, eventually, agent, said
):
    searching.apply(search_manifest(agent=agent))
    eventually(lambda: searching.status().get("phase") == "Failed")
    failed = searching.condition("Failed")
    assert failed["reason"] == "InvalidSpec"
    assert failed["message"].startswith(said)
    assert not searching.jobs()


def test_a_schedule_that_contradicts_the_budget_is_refused_in_a_sentence(searching, eventually):
    agent = {"batchSize": 4, "epsilonSchedule": [{"epsilon": 1.0, "iterations": 7}]}
    searching.apply(search_manifest(agent=agent, budget={"trials": 8}))
    eventually(lambda: searching.status().get("phase") == "Failed")
    failed = searching.condition("Failed")
    assert failed["reason"] == "InvalidSpec"
    assert failed["message"].startswith("spec.agent.epsilonSchedule has 7 iterations")
    assert not searching.jobs()
