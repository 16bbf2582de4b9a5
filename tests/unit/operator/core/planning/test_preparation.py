"""The Job that makes the images ready before the first trial: when, what it is, what it says."""

from dataclasses import replace
from typing import Any

import pytest
from operator_builders import (
    NOW,
    UID,
    A,
    at,
    make_job,
    make_observed,
    make_pod,
    make_search,
    make_settings,
    make_spec,
    make_state,
)
from operator_plans import decide, status_of

from blockqnn.contract.preparation import PreparationResult
from blockqnn_api.status import BlockSearchStatus, Condition, ConditionType, Phase
from blockqnn_operator.core.jobs.preparation import preparation_job
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.events import transitions
from blockqnn_operator.core.planning.trials import Plan

CLAIM = {"persistentVolumeClaim": {"claimName": "datasets"}}
ON_A_VOLUME: dict[str, Any] = {
    "dataset": {"name": "imagefolder", "path": "/images", "imageSize": 64, "volume": CLAIM}
}


def spec_of(**changes: Any) -> dict[str, Any]:
    return make_spec(**{**ON_A_VOLUME, **changes})


def manifest_of(**changes: Any) -> dict[str, Any]:
    settings = make_settings(**{**ON_A_VOLUME, **changes})
    return preparation_job(make_search(spec_of(**changes)), settings)


def prepares(manifest: dict[str, Any] | None = None, **changes: Any) -> PreparationJob:
    """The Job as it is observed."""
    job = PreparationJob.read({**(manifest or manifest_of()), "status": {}})
    assert job is not None
    return replace(job, **changes)


def said(job: PreparationJob, exit_code: int, **result: Any) -> TrialPod:
    words = {"prepared": exit_code == 0, "reason": "Prepared", "message": "1,000 images."} | result
    text = PreparationResult.model_validate(words).write()
    name = f"{job.name}-{exit_code}"
    return make_pod(name=name, job=job.name, exit_code=exit_code, message=text)


def seen(
    *preparations: PreparationJob, pods: tuple[TrialPod, ...] = (), **changes: Any
) -> tuple[Observed, dict[str, Any]]:
    jobs = changes.pop("jobs", ())
    now = changes.pop("now", NOW)
    spec = spec_of(**changes)
    observed = make_observed(*jobs, pods=pods, search=make_search(spec), now=now)
    return Observed(observed.search, observed.jobs, observed.pods, now, preparations), changes


def planned(*preparations: PreparationJob, **changes: Any) -> Plan:
    observed, settings = seen(*preparations, **changes)
    return decide(observed, make_state(**{**ON_A_VOLUME, **settings}))


def reported(*preparations: PreparationJob, **changes: Any) -> BlockSearchStatus:
    observed, settings = seen(*preparations, **changes)
    state = make_state(**{**ON_A_VOLUME, **settings})
    return status_of(observed, state)


def condition(status: BlockSearchStatus, kind: ConditionType) -> Condition:
    return next(c for c in status.conditions if c.type is kind)


def ready(status: BlockSearchStatus) -> tuple[str, str, str]:
    matching = condition(status, ConditionType.DATASET_READY)
    return matching.status, matching.reason, matching.message


class TestWhen:
    def test_it_comes_before_the_first_trial(self) -> None:
        decided = planned()
        assert decided.assessment.preparation.create == manifest_of()
        assert decided.create == ()
        assert ready(reported())[:2] == ("False", "Preparing")

    def test_while_it_runs_nothing_is_started(self) -> None:
        decided = planned(prepares())
        assert decided.assessment.preparation.create is None
        assert decided.create == ()

    def test_trials_start_when_it_has_completed(self) -> None:
        done = prepares(condition="Complete")
        decided = planned(done)
        assert len(decided.create) == 2
        assert decided.assessment.preparation.create is None
        assert ready(reported(done))[:2] == ("True", "Prepared")

    def test_it_says_what_there_is_for_as_long_as_its_pod_is_there(self) -> None:
        done = prepares(condition="Complete")
        status = reported(done, pods=(said(done, 0),))
        assert ready(status) == ("True", "Prepared", "1,000 images.")

    def test_it_is_no_trial(self) -> None:
        status = reported(prepares())
        assert status.trials is not None
        assert (status.trials.total, status.trials.running) == (0, 0)
        assert status.message.startswith("Trials are waiting for the dataset: ")

    def test_a_suspended_search_prepares_nothing(self) -> None:
        decided = planned(suspend=True)
        assert decided.assessment.preparation.create is None
        assert ready(reported(suspend=True))[:2] == ("False", "Suspended")

    def test_suspending_lets_it_end_or_stops_it(self) -> None:
        assert planned(prepares(), suspend=True).cleanup.delete == ()
        stopped = planned(prepares(), suspend=True, suspendPolicy="Stop")
        assert stopped.cleanup.delete == (prepares().name,)

    def test_a_job_of_another_search_of_the_same_name_is_none(self) -> None:
        assert planned(prepares(owner_uid="other", condition="Complete")).create == ()

    def test_one_that_somebody_deletes_is_made_again(self) -> None:
        decided = planned(prepares(condition="Complete", deleting=True))
        assert decided.assessment.preparation.create == manifest_of()

    def test_another_volume_is_prepared_anew_and_running_trials_go_on(self) -> None:
        old = prepares(condition="Complete")
        other = {**ON_A_VOLUME["dataset"], "volume": {"hostPath": {"path": "/images"}}}
        decided = planned(old, jobs=(make_job(0, A),), dataset=other)
        assert decided.assessment.preparation.create == manifest_of(dataset=other)
        assert decided.create == ()
        assert decided.cleanup.delete == (old.name,)

    def test_one_whose_volume_is_taken_away_is_deleted(self) -> None:
        without = {"name": "imagefolder", "path": "/images", "imageSize": 64}
        decided = planned(prepares(), dataset=without)
        assert decided.cleanup.delete == (prepares().name,)
        assert len(decided.create) == 2

    def test_another_image_needs_no_other_preparation_once_it_is_done(self) -> None:
        done = prepares(condition="Complete")
        decided = planned(done, trial={"image": "registry.example/trainer:2"})
        assert decided.assessment.preparation.ready
        assert decided.cleanup.delete == ()

    def test_another_image_replaces_a_preparation_that_cannot_start(self) -> None:
        stuck = prepares()
        other = {"image": "registry.example/trainer:2"}
        decided = planned(stuck, trial=other)
        assert decided.assessment.preparation.create == manifest_of(trial=other)
        assert decided.cleanup.delete == (stuck.name,)

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"dataset": {"name": "digits"}}, "part of the trainer's image"),
            ({"dataset": {"name": "cifar10"}}, "no spec.dataset.volume"),
            ({"dataset": {"name": "cifar10", "volume": {"emptyDir": {}}}}, "of kind emptyDir"),
            (
                {
                    "trial": {
                        "podTemplate": {
                            "spec": {"containers": [{"name": "trainer", "command": ["train"]}]}
                        }
                    }
                },
                "their own command",
            ),
        ],
    )
    def test_some_searches_need_none(self, changes: dict[str, Any], why: str) -> None:
        base = {} if "dataset" in changes else ON_A_VOLUME
        spec = {**base, **changes}
        search = make_search(make_spec(**spec))
        observed = make_observed(search=search)
        state = make_state(**spec)
        decided = decide(observed, state)
        assert decided.assessment.preparation.create is None
        assert len(decided.create) == 2
        status = status_of(observed, state)
        assert ready(status)[:2] == ("True", "NotNeeded")
        assert why in ready(status)[2]
        assert transitions((), status) == (), "nobody is told of what was not to be done"


class TestFailing:
    @pytest.mark.parametrize(
        ("exit_code", "reason", "shown"),
        [
            (2, "DatasetInvalid", "DatasetInvalid"),
            (2, "DatasetMissing", "DatasetMissing"),
            (2, "DatasetTooLarge", "DatasetTooLarge"),
            (2, "VolumeUnusable", "VolumeUnusable"),
            (1, "DownloadFailed", "DownloadFailed"),
            (1, "Error", "PreparationFailed"),
        ],
    )
    def test_it_says_why_and_what_to_do(self, exit_code: int, reason: str, shown: str) -> None:
        job = prepares(condition="Failed", finished_at=NOW, failed_pods=1)
        pod = said(job, exit_code, reason=reason, message="It is wrong there.")
        status = reported(job, pods=(pod,))
        message = f"It is wrong there. Fix this, then delete Job {job.name} to try "
        assert ready(status) == ("False", shown, f"{message}again.")
        assert status.phase is Phase.FAILED
        failed = condition(status, ConditionType.FAILED)
        assert (failed.status, failed.reason) == ("True", "DatasetNotReady")
        assert "It is wrong there." in failed.message
        events = {event.reason: event for event in transitions((), status)}
        assert events["Failed"].type == "Warning"
        assert "It is wrong there." in events["Failed"].message
        decided = planned(job, pods=(pod,))
        assert decided.create == ()
        assert decided.assessment.preparation.create is None

    def test_its_last_words_are_waited_for_and_not_for_ever(self) -> None:
        job = prepares(condition="Failed", finished_at=NOW, failed_pods=1, message="Too often.")
        decided = planned(job)
        assert not decided.assessment.preparation.failed
        assert decided.requeue_after == 60
        status = reported(job, now=at(61))
        assert ready(status)[1] == "PreparationFailed"
        assert "Too often." in ready(status)[2]

    def test_one_that_was_killed_is_quoted(self) -> None:
        job = prepares(condition="Failed", finished_at=NOW, failed_pods=1)
        pod = make_pod(job=job.name, exit_code=137, reason="OOMKilled")
        assert "ended with OOMKilled, status 137." in ready(reported(job, pods=(pod,)))[2]

    def test_while_it_is_tried_again_its_last_failure_is_shown(self) -> None:
        job = prepares(failed_pods=1)
        pod = said(job, 1, reason="DownloadFailed", message="No answer.")
        status = reported(job, pods=(pod,))
        assert ready(status) == ("False", "Preparing", "Trying again: No answer.")
        assert status.phase is Phase.RUNNING

    def test_a_pod_that_cannot_start_needs_an_eye_and_may_yet_start(self) -> None:
        job = prepares()
        pod = make_pod(job=job.name, reason="ImagePullBackOff", message="Back-off pulling.")
        status = reported(job, pods=(pod,))
        assert ready(status)[1:] == ("Preparing", "Its Pod cannot start: Back-off pulling.")
        assert status.phase is Phase.RUNNING
        degraded = condition(status, ConditionType.DEGRADED)
        assert (degraded.status, degraded.reason) == ("True", "DatasetNotReady")

    def test_a_pod_without_a_node_is_news_after_a_while(self) -> None:
        job = prepares()
        pod = make_pod(job=job.name, unplaced="0/3 nodes are available.")
        assert planned(job, pods=(pod,)).requeue_after == 10
        assert "0/3 nodes" in ready(reported(job, pods=(pod,), now=at(10)))[2]

    def test_a_job_without_a_pod_is_news_after_a_minute(self) -> None:
        job = prepares(created_at=NOW)
        assert planned(job).requeue_after == 60
        status = reported(job, now=at(60))
        assert "has no Pod" in ready(status)[2]
        assert condition(status, ConditionType.DEGRADED).reason == "DatasetNotReady"


class TestTheJob:
    def test_it_writes_where_trials_read_and_asks_for_no_accelerator(self) -> None:
        manifest = manifest_of(
            trial={
                "resources": {"limits": {"nvidia.com/gpu": 1, "cpu": 2}, "requests": {"cpu": 1}},
                "podTemplate": {
                    "spec": {
                        "tolerations": [{"operator": "Exists"}],
                        "containers": [
                            {"name": "trainer", "env": [{"name": "HTTPS_PROXY", "value": "p"}]}
                        ],
                    }
                },
            }
        )
        pod = manifest["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["command"] == [
            "blockqnn-train",
            "prepare",
            "imagefolder",
            "/images",
            "--image-size",
            "64",
        ]
        assert container["resources"] == {"limits": {"cpu": 2}, "requests": {"cpu": 1}}
        assert container["env"] == [{"name": "HTTPS_PROXY", "value": "p"}]
        assert {"name": "dataset", "mountPath": "/images"} in container["volumeMounts"]
        assert {"name": "dataset", **CLAIM} in pod["volumes"]
        assert pod["tolerations"] == [{"operator": "Exists"}]
        assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"]
        assert pod["automountServiceAccountToken"] is False

    def test_it_goes_with_its_search_and_is_read_back(self) -> None:
        manifest = manifest_of()
        assert manifest["metadata"]["ownerReferences"][0]["uid"] == UID
        assert "blockqnn.dev/trial-index" not in manifest["metadata"]["labels"]
        job = prepares(manifest)
        assert (job.name, job.owner_uid) == (manifest["metadata"]["name"], UID)

    def test_its_pods_names_fit_those_of_the_longest_search(self) -> None:
        name = "s" * 40
        settings = make_settings(**ON_A_VOLUME)
        job = preparation_job(make_search(spec_of(), name=name), settings)["metadata"]["name"]
        assert len(f"{job}-abcde") <= 63

    def test_it_is_the_same_whoever_makes_it(self) -> None:
        assert manifest_of() == manifest_of()

    def test_wrong_input_is_not_tried_again(self) -> None:
        rules = manifest_of()["spec"]["podFailurePolicy"]["rules"]
        assert {"FailJob"} == {
            r["action"] for r in rules if 2 in r.get("onExitCodes", {}).get("values", ())
        }
