"""Each way in which a trial's Job or Pod can be lost or go wrong, on a real control plane."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from searching import CUSTOM_TRAINER, TRAINER_PROGRAM, Searching, search_manifest, trainer_of

from blockqnn.contract.message import Outcome

ONE_TRIAL = {"budget": {"trials": 1}, "agent": {"batchSize": 1}, "parallelism": 1}


def second_time_lucky(marker: Path) -> dict[str, Any]:
    """A trainer that sleeps until it is ended the first time, and is quick the second time."""
    quick = f"{sys.executable} {TRAINER_PROGRAM}"
    return trainer_of("sh", "-c", f"[ -e {marker} ] && exec {quick}; touch {marker}; exec sleep 60")


def running_pod(searching: Searching) -> dict[str, Any] | None:
    pods = searching.items("pods", "blockqnn.dev/search")
    return next((pod for pod in pods if pod["status"]["phase"] == "Running"), None)


@pytest.mark.long
def test_an_evicted_pod_is_replaced_and_uses_up_no_retry(searching, eventually, tmp_path):
    marker = tmp_path / "once"
    policy = {"failurePolicy": {"retries": 0}}
    searching.apply(search_manifest(**ONE_TRIAL, **policy, trial=second_time_lucky(marker)))
    eventually(marker.exists)
    pod = eventually(lambda: running_pod(searching))["metadata"]
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod["name"], "namespace": pod["namespace"]},
    }
    path = f"/api/v1/namespaces/{pod['namespace']}/pods/{pod['name']}/eviction"
    searching.kubectl("create", "--raw", path, "-f", "-", text=json.dumps(eviction))
    eventually(searching.is_over)
    (record,) = searching.records()
    assert (record.outcome, record.attempt) == (Outcome.SUCCEEDED, 0)
    (event,) = searching.events("TrialInterrupted")
    assert "EvictionByEvictionAPI" in event


def test_a_deleted_pod_is_replaced_and_uses_up_no_retry(searching, eventually, tmp_path):
    marker = tmp_path / "once"
    policy = {"failurePolicy": {"retries": 0}}
    searching.apply(search_manifest(**ONE_TRIAL, **policy, trial=second_time_lucky(marker)))
    eventually(marker.exists)
    name = eventually(lambda: running_pod(searching))["metadata"]["name"]
    searching.kubectl("delete", "pod", name, "--wait=false")
    eventually(searching.is_over)
    assert searching.records()[0].outcome is Outcome.SUCCEEDED
    assert "It was deleted" in searching.events("TrialInterrupted")[0]


def test_a_deleted_job_is_created_again_for_the_same_trial(searching, eventually, tmp_path):
    marker = tmp_path / "once"
    searching.apply(search_manifest(**ONE_TRIAL, trial=second_time_lucky(marker)))
    eventually(marker.exists)
    (first,) = searching.jobs()
    searching.kubectl("delete", "job", first["metadata"]["name"], "--wait=false")
    eventually(searching.is_over)
    (record,) = searching.records()
    assert record.outcome is Outcome.SUCCEEDED
    assert record.block == first["metadata"]["annotations"]["blockqnn.dev/block"]
    assert first["metadata"]["name"] in searching.events("JobDeleted")[0]


def test_a_trainer_without_a_result_is_tried_again_in_a_job_of_its_own(
    searching, eventually, tmp_path
):
    marker = tmp_path / "once"
    quick = f"{sys.executable} {TRAINER_PROGRAM}"
    silent = trainer_of("sh", "-c", f"[ -e {marker} ] && exec {quick}; touch {marker}")
    searching.apply(search_manifest(**ONE_TRIAL, trial=silent))
    eventually(searching.is_over)
    (record,) = searching.records()
    assert (record.outcome, record.attempt) == (Outcome.SUCCEEDED, 1)
    assert "Starting attempt 1" in searching.events("TrialRetried")[0]


def test_a_trial_that_never_leaves_a_result_fails_after_its_retries(searching, eventually):
    policy = {"failurePolicy": {"retries": 1}}
    searching.apply(search_manifest(**ONE_TRIAL, **policy, trial=trainer_of("true")))
    eventually(searching.is_over)
    (record,) = searching.records()
    assert (record.outcome, record.reason, record.attempt) == (Outcome.FAILED, "ResultMissing", 1)


def test_a_trainer_that_ends_itself_as_if_it_were_deleted_is_not_started_for_ever(
    searching, eventually
):
    policy = {"failurePolicy": {"retries": 0}}
    trial = trainer_of("sh", "-c", "exit 143")
    searching.apply(search_manifest(**ONE_TRIAL, **policy, trial=trial))
    eventually(searching.is_over)
    (record,) = searching.records()
    assert (record.outcome, record.reason) == (Outcome.FAILED, "Terminated")


def test_a_pod_that_runs_for_too_long_fails_its_trial_at_once(searching, eventually):
    policy = {"failurePolicy": {"retries": 5, "trialTimeout": "1s"}}
    searching.apply(search_manifest(**ONE_TRIAL, **policy, trial=trainer_of("sleep", "60")))
    eventually(searching.is_over)
    (record,) = searching.records()
    assert (record.outcome, record.reason) == (Outcome.FAILED, "DeadlineExceeded")
    eventually(lambda: not running_pod(searching))


@pytest.mark.long
def test_jobs_that_get_no_pod_for_a_minute_are_told_of_and_waited_for(searching, eventually):
    """Kubernetes tries again later and later, up to a minute apart."""
    no_pods = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-pods"}}
    quota = {**no_pods, "spec": {"hard": {"pods": "0"}}}
    searching.kubectl("apply", "-f", "-", text=json.dumps(quota))
    searching.apply(search_manifest(**ONE_TRIAL, **CUSTOM_TRAINER))
    degraded = eventually(lambda: _degraded(searching), within=120)
    (job,) = searching.jobs()
    assert degraded["reason"] == "PodsMissing"
    assert job["metadata"]["name"] in degraded["message"]
    searching.kubectl("delete", "resourcequota", "no-pods")
    eventually(searching.is_over, within=120)
    (record,) = searching.records()
    assert (record.outcome, record.attempt) == (Outcome.SUCCEEDED, 0)
    assert searching.condition("Degraded")["status"] == "False"


def _degraded(searching: Searching) -> dict[str, Any] | None:
    condition = searching.condition("Degraded")
    return condition if condition.get("status") == "True" else None


def test_an_image_that_cannot_be_pulled_fails_its_trial_and_says_so(searching, eventually):
    """The node here pulls nothing: a Pod of another node is told of as its kubelet would."""
    policy = {"failurePolicy": {"pendingTimeout": "1s"}}
    trial = trainer_of("true", nodeName="elsewhere")
    searching.apply(search_manifest(**ONE_TRIAL, **policy, trial=trial))
    (pod,) = eventually(lambda: searching.items("pods", "blockqnn.dev/search"))
    said = "Back-off pulling image: not found"
    state = {"waiting": {"reason": "ImagePullBackOff", "message": said}}
    container = {
        "name": "trainer", "image": "x", "imageID": "", "ready": False, "restartCount": 0,
        "state": state,
    }  # fmt: skip
    status = {"status": {"containerStatuses": [container]}}
    name = pod["metadata"]["name"]
    searching.kubectl(
        "patch", "pod", name, "--subresource=status", "--type=merge", "-p", json.dumps(status)
    )
    eventually(searching.is_over)
    (record,) = searching.records()
    assert (record.outcome, record.reason) == (Outcome.FAILED, "ImagePullBackOff")
    assert said in record.message
    job = eventually(lambda: next((j for j in searching.jobs() if j["status"].get("failed")), None))
    assert job["metadata"]["labels"]["blockqnn.dev/archived"] == "true", "kept to be looked at"


@pytest.mark.long
def test_a_pod_that_no_node_can_take_waits_and_the_scheduler_is_quoted(searching, eventually):
    trial = trainer_of("true", nodeSelector={"no": "such-node"})
    policy = {"failurePolicy": {"trialTimeout": "1s", "pendingTimeout": "1s"}}
    searching.apply(search_manifest(**ONE_TRIAL, **policy, trial=trial))
    eventually(lambda: searching.condition("Degraded").get("reason") == "Unschedulable")
    assert "nodes are available" in searching.condition("Degraded")["message"]
    assert searching.status()["phase"] == "Running"
    assert not searching.records()


def test_a_job_that_is_not_admitted_yet_waits_and_the_search_says_so(searching, eventually):
    """As Kueue does it: the Job is suspended, and later it is not."""
    elsewhere = trainer_of("true", nodeSelector={"no": "such-node"})
    searching.apply(search_manifest(**ONE_TRIAL, trial=elsewhere))
    (job,) = eventually(searching.jobs)
    name = job["metadata"]["name"]
    suspend = ("patch", "job", name, "--type=merge", "-p")
    searching.kubectl(*suspend, json.dumps({"spec": {"suspend": True}}))
    eventually(lambda: searching.condition("Degraded").get("reason") == "Queued")
    eventually(lambda: not searching.items("pods", "blockqnn.dev/search"))
    searching.kubectl(*suspend, json.dumps({"spec": {"suspend": False}}))
    eventually(lambda: searching.condition("Degraded").get("reason") != "Queued")
    eventually(lambda: searching.items("pods", "blockqnn.dev/search"))
    assert not searching.records()


def test_two_searches_of_one_name_in_quick_succession_share_nothing(searching, eventually):
    searching.apply(search_manifest(**CUSTOM_TRAINER, seed=1))
    eventually(lambda: searching.records())
    searching.kubectl("delete", "bs", "search", "--wait=true", "--timeout=20s")
    searching.apply(search_manifest(**CUSTOM_TRAINER, seed=2))
    eventually(searching.is_over, within=60)
    uid = json.loads(searching.kubectl("get", "bs", "search", "-o", "json"))["metadata"]["uid"]
    records = searching.records()
    assert [record.trial for record in records] == list(range(8))
    for item in searching.items("configmaps", "blockqnn.dev/search=search"):
        assert item["metadata"]["ownerReferences"][0]["uid"] == uid


def test_more_parallelism_than_budget_starts_no_more_than_the_budget(searching, eventually):
    searching.apply(search_manifest(**CUSTOM_TRAINER, budget={"trials": 3}, agent={"batchSize": 2}))
    searching.patch({"parallelism": 100})
    eventually(searching.is_over, within=60)
    assert len(searching.records()) == 3
