"""The Job of several trials: its manifest, how it is read, and what becomes of each trial."""

import json
from dataclasses import replace
from typing import Any

import pytest
from operator_builders import (
    NOW,
    A,
    B,
    C,
    at,
    make_job,
    make_pod,
    make_proposal,
    make_result,
    make_search,
    make_settings,
    make_state,
)
from operator_verdicts import failure_of, judged

from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import TrialResult
from blockqnn.contract.trial_group import TRIALS_VARIABLE, read_trials, write_results
from blockqnn_api.errors import ObjectUnreadable
from blockqnn_cli.searches import _trained_by
from blockqnn_operator.core.jobs.trial import trial_job
from blockqnn_operator.core.jobs.trial_group import job_of
from blockqnn_operator.core.judging.result import JobAssessment
from blockqnn_operator.core.judging.trial import TrialAssessment
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.planning.events import Event, events_of
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.open_trials import OpenTrial, OpenTrials
from blockqnn_operator.core.reporting.search_totals import count_open
from blockqnn_operator.shell.kubernetes.write_through import GonePods

BLOCKS = (A, B, C)
SETTINGS = make_settings(failurePolicy={"trialTimeout": "10m"}, trial={"blocksPerJob": 4})


def open_trial(number: int, attempt: int = 0, failures: int = 0) -> OpenTrial:
    proposal = make_proposal(number, BLOCKS[number % 3])
    return OpenTrial(proposal=proposal, stage=Stage.UNSTARTED, attempt=attempt, failures=failures)


def manifest_of(*trials: OpenTrial) -> dict[str, Any]:
    return job_of(make_search(), SETTINGS, trials)


class TestManifest:
    """Objects for the API server."""

    def test_a_single_trial_gets_the_job_that_it_always_got(self) -> None:
        expected = trial_job(make_search(), SETTINGS, make_proposal(4, B), 1, 1)
        assert manifest_of(open_trial(4, attempt=1, failures=1)) == expected

    def test_the_trainer_is_told_of_all_trials_in_order(self) -> None:
        body = manifest_of(open_trial(4), open_trial(6))
        assert body["metadata"]["name"] == "digits-t00004-a0"
        (container,) = body["spec"]["template"]["spec"]["containers"]
        variables = {variable["name"]: variable["value"] for variable in container["env"]}
        assert [(s.trial, s.block) for s in read_trials(variables[TRIALS_VARIABLE])] == [
            (4, str(B)),
            (6, str(A)),
        ]
        assert "BLOCKQNN_TRIAL" not in variables

    def test_its_pod_is_never_replaced_and_has_the_time_of_all_trials(self) -> None:
        body = manifest_of(open_trial(4), open_trial(5), open_trial(6))
        assert body["spec"]["backoffLimit"] == 0
        assert body["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 3 * 600
        assert [rule["action"] for rule in body["spec"]["podFailurePolicy"]["rules"]] == ["FailJob"]


def observed_job(body: dict[str, Any], **annotations: str) -> TrialJob:
    """The Job as the API server returns it."""
    metadata = {
        **body["metadata"],
        "creationTimestamp": "2024-05-01T12:00:00Z",
        "annotations": {**body["metadata"]["annotations"], **annotations},
    }
    job = TrialJob.read({**body, "metadata": metadata})
    assert job is not None
    return job


class TestReading:
    """Objects that are read back from it."""

    def test_each_trial_has_its_part(self) -> None:
        body = manifest_of(open_trial(4, 1, failures=0), open_trial(6, 1, failures=1))
        result = make_result(6).write()
        job = observed_job(body, **{"blockqnn.dev/result-00006": result})
        first, second = job.parts
        assert (first.trial, first.block, first.failures, first.result) == (4, str(B), 0, None)
        assert (second.trial, second.block, second.failures) == (6, str(A), 1)
        assert second.result == result
        assert job.attempt == 1
        assert (job.before(4), job.before(6)) == ((), (first,))
        assert first.result_annotation == "blockqnn.dev/result-00004"
        assert not job.is_over

    def test_it_is_over_once_each_trial_has_its_result(self) -> None:
        body = manifest_of(open_trial(4), open_trial(6))
        texts = {f"blockqnn.dev/result-0000{n}": make_result(n).write() for n in (4, 6)}
        assert observed_job(body, **texts).is_over

    @pytest.mark.parametrize("blocks", ["", "null", "{}", "[1]", '[{"trial":4}]', "[" * 5000])
    def test_an_annotation_that_somebody_has_spoilt_is_named(self, blocks: str) -> None:
        body = manifest_of(open_trial(4), open_trial(6))
        with pytest.raises(ObjectUnreadable, match=r"^metadata.annotations\[blockqnn.dev/blocks\]"):
            observed_job(body, **{"blockqnn.dev/blocks": blocks})


GOOD = [make_result(number, block) for number, block in enumerate(BLOCKS)]
BROKEN = make_result(1, B, outcome=Outcome.FAILED, reason="Error", message="The disk is full.")
KILLED = make_result(1, B, outcome=Outcome.FAILED, reason="Killed", message="It was killed.")


def job_of_three(**changes: Any) -> TrialJob:
    """A Job of three trials."""
    parts = [
        replace(make_job(number, block).parts[0], shared=True)
        for number, block in enumerate(BLOCKS)
    ]
    return make_job(parts=tuple(parts), **changes)


def with_part(job: TrialJob, trial: int, **changes: Any) -> TrialJob:
    """A Job one of whose parts is different."""
    changed = [replace(p, **changes) if p.trial == trial else p for p in job.parts]
    return replace(job, parts=tuple(changed))


RUNNING = job_of_three()
COMPLETE = job_of_three(condition="Complete")
FAILED = job_of_three(condition="Failed", reason="BackoffLimitExceeded", failed_pods=1)


def pod_saying(*results: TrialResult, exit_code: int | None = 0, **changes: Any) -> TrialPod:
    return make_pod(exit_code=exit_code, message=write_results(results), **changes)


def all_judged(job: TrialJob, *pods: TrialPod) -> list[TrialAssessment]:
    return [judged(job, *pods, trial=part.trial) for part in job.parts]


def retried(assessment: TrialAssessment) -> tuple[str, bool]:
    """Why a trial is tried again, and whether that is blamed on nobody."""
    assert assessment.verdict is not None
    assert assessment.verdict.retry
    assert assessment.annotate is None
    return assessment.verdict.reason, assessment.verdict.blameless


class TestVerdicts:
    """Verdict on each trial."""

    @pytest.mark.parametrize("job", [RUNNING, COMPLETE])
    def test_each_result_is_collected_from_the_one_message(self, job: TrialJob) -> None:
        assessments = all_judged(job, pod_saying(*GOOD))
        assert [assessment.annotate for assessment in assessments] == GOOD

    def test_nothing_is_read_before_the_container_has_ended(self) -> None:
        assert all_judged(RUNNING, pod_saying(GOOD[0], exit_code=None)) == [JobAssessment()] * 3

    def test_what_was_trained_counts_however_the_pod_ended(self) -> None:
        for exit_code in (1, 2, 137, 143):
            pod = pod_saying(GOOD[0], GOOD[1], exit_code=exit_code)
            first, second, _ = all_judged(FAILED, pod)
            assert (first.annotate, second.annotate) == (GOOD[0], GOOD[1])

    def test_the_trial_that_failed_is_tried_again_and_those_behind_it_are_not_to_blame(
        self,
    ) -> None:
        pod = pod_saying(GOOD[0], BROKEN, exit_code=1)
        _, second, third = all_judged(FAILED, pod)
        assert retried(second) == ("BackoffLimitExceeded", False)
        assert retried(third) == ("NotBegun", True)

    def test_the_last_attempt_fails_with_the_words_of_its_trial(self) -> None:
        pod = pod_saying(GOOD[0], BROKEN, exit_code=1)
        job = with_part(FAILED, 1, failures=2)
        assert judged(job, pod, trial=1).annotate == BROKEN

    def test_bad_input_fails_its_trial_at_once_and_no_other(self) -> None:
        pod = pod_saying(GOOD[0], BROKEN, exit_code=2)
        _, second, third = all_judged(FAILED, pod)
        assert second.annotate == BROKEN
        assert retried(third) == ("NotBegun", True)

    def test_a_deleted_pod_is_to_blame_for_nothing(self) -> None:
        pod = pod_saying(GOOD[0], KILLED, exit_code=143, interrupted="It was deleted.", gone=True)
        first, second, third = all_judged(FAILED, pod)
        assert first.annotate == GOOD[0]
        assert retried(second) == ("Interrupted", True)
        assert second.interruptions == ((pod.name, "It was deleted."),)
        assert retried(third) == ("NotBegun", True)

    def test_a_pod_that_went_without_a_word_ends_the_wait(self) -> None:
        pod = make_pod(interrupted="It was deleted.", gone=True)
        first, *others = all_judged(FAILED, pod)
        assert retried(first) == ("Interrupted", True)
        assert {retried(part) for part in others} == {("NotBegun", True)}

    def test_a_pod_that_nobody_has_seen_is_waited_for_a_minute_and_costs_a_retry(self) -> None:
        assert judged(FAILED) == JobAssessment(wait_until=at(60))
        assert retried(judged(FAILED, now=at(60))) == ("BackoffLimitExceeded", False)

    def test_the_memory_of_the_first_trial_is_its_own(self) -> None:
        said = make_result(0, A, outcome=Outcome.FAILED, reason="Killed", message="It was killed.")
        pod = pod_saying(said, exit_code=137, reason="OOMKilled")
        annotated = judged(FAILED, pod).annotate
        assert annotated is not None
        assert (annotated.outcome, annotated.reason) == (Outcome.INFEASIBLE, "OutOfMemory")

    def test_a_later_trial_that_was_killed_over_memory_gets_a_process_of_its_own(self) -> None:
        pod = pod_saying(GOOD[0], KILLED, exit_code=137, reason="OOMKilled")
        _, second, third = all_judged(FAILED, pod)
        assert retried(second) == ("OutOfMemory", True)
        assert retried(third) == ("NotBegun", True)

    def test_a_trial_that_took_too_long_has_failed(self) -> None:
        pod = pod_saying(GOOD[0], KILLED, exit_code=143, out_of_time=True)
        _, second, third = all_judged(FAILED, pod)
        assert second.annotate is not None
        assert second.annotate.reason == "DeadlineExceeded"
        assert retried(third) == ("NotBegun", True)

    def test_a_result_that_is_missing_or_wrong_is_asked_for_again(self) -> None:
        wrong = GOOD[1].model_copy(update={"attempt": 3})
        first, second, third = all_judged(COMPLETE, pod_saying(GOOD[0], wrong))
        assert first.annotate == GOOD[0]
        assert retried(second) == ("ResultInvalid", False)
        assert "attempt 3" in second.invalid
        assert retried(third) == ("ResultMissing", False)

    def test_the_message_of_one_trial_alone_is_no_answer(self) -> None:
        for assessment in all_judged(COMPLETE, make_pod(exit_code=0, message=GOOD[0])):
            assert failure_of(assessment)[0] == "ResultInvalid"

    def test_plain_words_of_a_trainer_that_refused_its_input_are_quoted(self) -> None:
        pod = make_pod(exit_code=2, message="The list of trial specifications is empty.")
        first, second, _ = all_judged(FAILED, pod)
        assert first.verdict is not None
        assert not first.verdict.retry
        assert first.verdict.message.endswith(
            "status 2: The list of trial specifications is empty."
        )
        assert retried(second) == ("NotBegun", True)


def events(*trials: OpenTrial) -> tuple[Event, ...]:
    return events_of(OpenTrials(trials, ()), make_state(), ())


def retried_trial(number: int, job: TrialJob, assessment: TrialAssessment) -> OpenTrial:
    return OpenTrial(
        proposal=make_proposal(number, BLOCKS[number]),
        stage=Stage.UNSTARTED,
        job=job,
        assessment=assessment,
        attempt=1,
    )


def test_trials_of_one_job_have_events_of_their_own() -> None:
    pod = pod_saying(GOOD[0], BROKEN, exit_code=2)
    infeasible = make_result(0, A, outcome=Outcome.INFEASIBLE)
    job = with_part(with_part(FAILED, 0, result=infeasible.write()), 1, failures=2)
    assessments = [judged(job, pod, trial=n) for n in (0, 1)]
    trials = [
        OpenTrial(
            proposal=make_proposal(n, BLOCKS[n]),
            stage=Stage.OVER,
            job=job,
            verdict=assessment.verdict,
            assessment=assessment,
        )
        for n, assessment in enumerate(assessments)
    ]
    failed_once = with_part(FAILED, 1, failures=1)
    again = judged(failed_once, pod_saying(GOOD[0], BROKEN, exit_code=1), trial=1)
    trials.append(retried_trial(1, FAILED, again))
    third = replace(FAILED, parts=FAILED.parts[2:])
    trials.append(retried_trial(2, third, judged(third, pod_saying(exit_code=1))))
    keys = [event.key for event in events(*trials)]
    assert keys == [
        "digits-t00000-a0/0/Infeasible",
        "digits-t00000-a0/1/TrialRetried",
        "digits-t00000-a0/2/TrialRetried",
    ]


class TestGonePods:
    """Pods that somebody has deleted are remembered for as long as they matter."""

    POD = make_pod(exit_code=143, interrupted="It was deleted.", created_at=at(5))
    JOB = replace(RUNNING, created_at=NOW)

    def test_the_pod_of_a_job_of_several_trials_is_kept_with_its_message(self) -> None:
        gone = GonePods()
        gone.add(self.POD)
        for _ in range(2):
            assert gone.of([self.JOB]) == (replace(self.POD, gone=True),)

    @pytest.mark.parametrize(
        "job",
        [
            replace(make_job(), created_at=NOW),
            replace(JOB, name="digits-t00004-a0"),
            replace(JOB, created_at=at(6)),
        ],
        ids=["a job of one trial", "another job", "a later job of the same name"],
    )
    def test_others_are_forgotten(self, job: TrialJob) -> None:
        gone = GonePods()
        gone.add(self.POD)
        assert gone.of([job]) == ()
        assert gone.of([self.JOB]) == ()


def test_the_annotation_of_a_pod_says_which_blocks_it_trains() -> None:
    body = manifest_of(open_trial(4), open_trial(6))
    annotations = body["spec"]["template"]["metadata"]["annotations"]
    assert (
        annotations["blockqnn.dev/blocks"] == body["metadata"]["annotations"]["blockqnn.dev/blocks"]
    )
    assert [block["trial"] for block in json.loads(annotations["blockqnn.dev/blocks"])] == [4, 6]


def test_of_the_trials_of_a_job_one_runs_on_its_accelerators() -> None:
    trials = [
        OpenTrial(proposal=make_proposal(n), stage=Stage.RUNNING, job=RUNNING) for n in range(3)
    ]
    another = OpenTrial(proposal=make_proposal(4), stage=Stage.RUNNING, job=make_job(4))
    counted = count_open(OpenTrials((*trials, another), ()), 0)
    assert (counted.running, counted.gpus) == (2, 2)


def test_the_pod_of_a_trial_is_found_among_those_of_several() -> None:
    body = manifest_of(open_trial(4), open_trial(6))
    assert _trained_by(body["spec"]["template"]["metadata"]) == {4, 6}
    alone = manifest_of(open_trial(5))["spec"]["template"]["metadata"]
    assert _trained_by(alone) == {5}
