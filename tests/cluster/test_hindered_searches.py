"""Searches that somebody hinders: each says by what, and goes on once the cause is gone."""

import json

from searching import CUSTOM_TRAINER, search_manifest


def degraded(searching):
    return searching.condition("Degraded").get("reason")


def test_a_quota_of_config_maps_is_told_before_there_is_a_history(searching, eventually):
    searching.kubectl("create", "quota", "few", "--hard=count/configmaps=0")
    eventually(lambda: searching.items("quota")[0]["status"].get("hard"))
    searching.apply(search_manifest(trial={"resources": {}}))
    eventually(lambda: degraded(searching) == "QuotaExceeded")
    assert "create ConfigMap" in searching.condition("Degraded")["message"]
    searching.kubectl("delete", "quota", "few")
    eventually(searching.jobs, within=90)


def test_a_spoilt_annotation_of_a_job_is_told_and_the_operator_lives(searching, eventually):
    searching.apply(search_manifest(trial={"resources": {}}))
    job = eventually(searching.jobs)[0]["metadata"]["name"]
    searching.kubectl("annotate", "job", job, "blockqnn.dev/failures=abc", "--overwrite")
    eventually(lambda: degraded(searching) == "ObjectUnreadable")
    assert f"Job {job} cannot be read" in searching.condition("Degraded")["message"]
    searching.kubectl("annotate", "job", job, "blockqnn.dev/failures-")
    eventually(lambda: degraded(searching) != "ObjectUnreadable")


def test_a_history_that_somebody_has_made_immutable_is_told(searching, eventually):
    agent = {"batchSize": 4, "epsilonSchedule": [{"epsilon": 1.0, "iterations": 50}]}
    searching.apply(search_manifest(**CUSTOM_TRAINER, budget={"trials": 200}, agent=agent))
    eventually(searching.jobs)
    (history,) = searching.items("configmap", "app.kubernetes.io/component=history")
    patch = json.dumps({"immutable": True})
    searching.kubectl(
        "patch", "configmap", history["metadata"]["name"], "--type=merge", "-p", patch
    )
    eventually(lambda: degraded(searching) == "RequestRefused", within=120)
    assert "replace ConfigMap" in searching.condition("Degraded")["message"]
