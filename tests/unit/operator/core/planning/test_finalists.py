"""Which finalists are trained, in which order, and what the status says of them."""

from collections.abc import Sequence
from typing import Any

import pytest
from operator_builders import BLOCKS, NOW, make_observed, make_record, make_search, make_state
from operator_finalists import (
    CLAIM,
    asking,
    failure,
    make_finalist_record,
    make_job,
    make_pod,
    make_result,
)

from blockqnn.contract.finalist import FinalistSeconds
from blockqnn.contract.message import Outcome
from blockqnn_api import names
from blockqnn_api.errors import HistoryUnreadable
from blockqnn_api.finalist_targets import goals_of
from blockqnn_api.history.finalist_record import Finalist, FinalistArchive, FinalistRecord
from blockqnn_api.history.replay import SearchState
from blockqnn_api.status import Reason
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.planning.finalists import (
    NO_FINALISTS,
    FinalistPlan,
    FinalistState,
    plan_finalists,
)
from blockqnn_operator.core.reporting.finalists import FinalistReport, report_finalists

REWARDS = (10.0, 80.0, 30.0, 80.0, 60.0)
"""Of the trials 0 to 4: 1 and 3 are the best, 1 the earlier of them."""
RECORDS = [
    make_record(trial, BLOCKS[trial], reward=reward, accuracy=reward / 100)
    for trial, reward in enumerate(REWARDS)
]
WIDE = {"name": "wide", "network": {"filters": [8, 16]}}


def own(trial: int, seed: int = 0) -> Finalist:
    return Finalist(trial, "", seed)


def state_of(suspend: bool = False, **finalists: Any) -> SearchState:
    return make_state(records=RECORDS, suspend=suspend, **asking(**finalists))


def archive_of(*records: FinalistRecord) -> FinalistArchive:
    archive = FinalistArchive()
    archive.extend(records)
    return archive


def planned(
    *jobs: FinalistJob,
    records: Sequence[FinalistRecord] = (),
    pods: Sequence[TrialPod] = (),
    over: bool = True,
    **changes: Any,
) -> FinalistPlan:
    kept = FinalistState(archive_of(*records))
    observed = make_observed(pods=pods)
    return plan_finalists(observed, state_of(**changes), kept, jobs, over=over)


def reported(
    *jobs: FinalistJob,
    records: Sequence[FinalistRecord] = (),
    over: bool = True,
    **changes: Any,
) -> FinalistReport:
    decided = planned(*jobs, records=records, over=over, **changes)
    finalists_report = report_finalists(
        state_of(**changes), archive_of(*records), decided, over=over
    )
    assert finalists_report is not None
    return finalists_report


def created(decided: FinalistPlan) -> list[tuple[int, str, int]]:
    labels = [body["metadata"]["labels"] for body in decided.create]
    return [
        (
            int(job_labels[names.FINALIST_LABEL]),
            job_labels[names.TARGET_LABEL],
            int(job_labels[names.SEED_LABEL]),
        )
        for job_labels in labels
    ]


def test_the_best_by_reward_are_trained_the_earliest_of_equals_first() -> None:
    assert created(planned(count=3, parallelism=9)) == [own(1), own(3), own(4)]


def test_a_search_that_asks_for_none_has_none() -> None:
    state = make_state(records=RECORDS)
    kept = FinalistState()
    assert plan_finalists(make_observed(), state, kept, (), over=True) is NO_FINALISTS
    assert report_finalists(state, kept.archive, NO_FINALISTS, over=True) is None


def test_what_repeats_another_network_or_failed_is_no_finalist() -> None:
    records = [
        make_record(0, BLOCKS[0], outcome=Outcome.CACHED, reward=99.0),
        make_record(1, BLOCKS[1], outcome=Outcome.INFEASIBLE, reward=99.0),
        make_record(2, BLOCKS[2], reward=1.0),
    ]
    state = make_state(records=records, **asking(count=3))
    decided = plan_finalists(make_observed(), state, FinalistState(), (), over=True)
    assert created(decided) == [own(2)]


def test_nothing_begins_before_the_search_is_over_unless_it_shall() -> None:
    assert planned(over=False).wanted == ()
    assert created(planned(over=False, continuous=True)) == [own(1), own(3)]


def test_as_many_run_as_the_parallelism_says_and_by_default_as_many_as_trials() -> None:
    assert created(planned(count=5, parallelism=1)) == [own(1)]
    assert created(planned(count=5)) == [own(1), own(3)]
    running = make_job(own(1), BLOCKS[1])
    assert created(planned(running, count=5)) == [own(3)]


def test_each_block_is_trained_from_every_seed() -> None:
    decided = planned(count=1, seeds=3, parallelism=9)
    assert created(decided) == [own(1), own(1, 1), own(1, 2)]


def test_annotation_then_history_then_deletion() -> None:
    finalist = own(1)
    job, good = make_job(finalist, BLOCKS[1]), make_result(finalist, BLOCKS[1])
    pod = make_pod(job, message=good, exit_code=0)
    first = planned(job, pods=[pod])
    assert [x.assessment.annotate for x in first.annotate] == [good]
    assert (first.archive, first.delete) == ((), ())
    second = planned(make_job(finalist, BLOCKS[1], result=good))
    assert [record.finalist for record in second.archive] == [finalist]
    assert (second.annotate, second.delete) == ((), ())
    third = planned(make_job(finalist, BLOCKS[1], result=good), records=second.archive)
    assert third.delete == (job.name,)
    assert third.archive == ()


def test_the_targets_come_when_all_on_the_own_dataset_are_over_with_the_best_by_accuracy() -> None:
    half = [make_finalist_record(own(1), 0.7)]
    assert planned(records=half, targets=[WIDE], parallelism=9).wanted == (own(1), own(3))
    both = [*half, make_finalist_record(own(3), 0.9)]
    decided = planned(records=both, targets=[WIDE], parallelism=9)
    assert created(decided) == [Finalist(3, "wide", 0)]


def test_more_transfers_start_while_others_run() -> None:
    records = [make_finalist_record(own(1), 0.7), make_finalist_record(own(3), 0.9)]
    running = make_job(Finalist(3, "wide", 0), BLOCKS[3])
    decided = planned(running, records=records, targets=[{**WIDE, "count": 2}])
    assert created(decided) == [Finalist(1, "wide", 0)]
    assert len(decided.wanted) == 4


def test_one_that_was_overtaken_is_trained_to_its_end() -> None:
    job = make_job(own(0), BLOCKS[0])
    decided = planned(job, count=1)
    assert [open_finalist.finalist for open_finalist in decided.open] == [own(1), own(0)]
    assert decided.delete == ()
    done = make_finalist_record(own(0), 0.99)
    best = reported(records=[done, make_finalist_record(own(1), 0.5)], count=1).winner
    assert best is not None
    assert best.trial == 1, "only those that are wanted in the end can win"


@pytest.mark.parametrize(
    "reason", ["VolumeMissing", "VolumeUnusable", "DatasetMissing", "DatasetTooLarge"]
)
def test_what_would_end_the_others_too_keeps_them_from_starting(reason: str) -> None:
    job = make_job(own(1), result=failure(reason, own(1)))
    assert planned(job, count=5).create == ()
    finalists_report = reported(make_job(own(1), result=failure(reason, own(1))), count=5)
    assert (finalists_report.reason, finalists_report.stopped, finalists_report.status.failed) == (
        reason,
        True,
        1,
    )
    assert f"delete Job {job.name}" in finalists_report.message
    assert "It is so." in finalists_report.message


def test_what_is_wrong_with_one_alone_does_not() -> None:
    job = make_job(own(1), result=failure("FolderTaken", own(1)))
    assert created(planned(job, count=2)) == [own(3)]


def test_one_that_failed_for_good_leaves_the_search_complete_with_the_best_of_the_others() -> None:
    job = make_job(own(1), result=failure("FolderTaken", own(1)))
    others = [make_finalist_record(own(3), 0.9), make_finalist_record(own(4), 0.7)]
    finalists_report = reported(job, records=others, count=3)
    assert (
        finalists_report.ready,
        finalists_report.given_up,
        finalists_report.stopped,
        finalists_report.hindered,
    ) == (False, True, False, True)
    assert finalists_report.winner is not None
    assert finalists_report.winner.trial == 3
    assert finalists_report.message == (
        "2 finalists are trained; the best is the block of trial 3, with an accuracy of 90.00%. "
        "Finalist of trial 1, seed 0 failed: It is so. Fix this, then delete Job "
        f"{job.name} to try again; it continues from its last checkpoint."
    )
    assert finalists_report.summary == (
        "2 finalists are trained; the best is the block of trial 3, with an accuracy of 90.00%. "
        "1 finalist has failed; the condition FinalistsReady gives the reason."
    )


def test_a_failure_gives_nothing_up_while_others_run_or_when_none_has_a_result() -> None:
    job = make_job(own(1), result=failure("FolderTaken", own(1)))
    done = make_finalist_record(own(3), 0.9)
    running = make_job(own(4), BLOCKS[4])
    assert not reported(job, running, records=[done], count=3).given_up
    assert not reported(job, records=[done], count=3).given_up, "one is to be started"
    assert not reported(job, records=[done], count=2, over=False, continuous=True).given_up
    nothing = reported(job, count=1)
    assert (nothing.given_up, nothing.stopped, nothing.winner) == (False, True, None)


def test_the_transfers_go_on_without_one_that_failed() -> None:
    job = make_job(own(1), result=failure("FolderTaken", own(1)))
    done = make_finalist_record(own(3), 0.9)
    decided = planned(job, records=[done], targets=[WIDE])
    assert created(decided) == [Finalist(3, "wide", 0)]
    assert not reported(job, records=[done], targets=[WIDE]).finished
    over = [done, make_finalist_record(Finalist(3, "wide", 0), 0.8)]
    assert reported(job, records=over, targets=[WIDE]).given_up


def test_gpu_time_counts_the_pods_before_the_last() -> None:
    seconds = FinalistSeconds(total=30.0, earlier=70.0)
    record = make_finalist_record(own(1)).model_copy(update={"gpus": 4, "seconds": seconds})
    plain = make_finalist_record(own(3))
    assert reported(records=[record, plain]).status.gpu_seconds == 400.0


def test_damaged_checkpoints_are_an_event() -> None:
    finalist = own(1)
    for damaged, resumed, said in (
        (
            1,
            1,
            "1 checkpoint on the volume could not be read and was ignored; the training continu",
        ),
        (2, 0, "2 checkpoints on the volume could not be read and were ignored; the training star"),
    ):
        good = make_result(finalist, BLOCKS[1], damaged_checkpoints=damaged, resumed=resumed)
        decided = planned(make_job(finalist, BLOCKS[1], result=good))
        (warning,) = [event for event in decided.events if event.type == "Warning"]
        assert warning.reason == "CheckpointDamaged"
        assert said in warning.message
        assert decided.archive[0].damaged_checkpoints == damaged


def test_a_target_whose_images_are_missing_leaves_other_targets_alone() -> None:
    records = [make_finalist_record(own(1), 0.7)]
    bad = make_job(Finalist(1, "wide", 0), result=failure("DatasetMissing", Finalist(1, "wide", 0)))
    targets = [WIDE, {"name": "deep", "network": {"repeats": 9}}]
    decided = planned(bad, records=records, count=1, targets=targets)
    assert created(decided) == [Finalist(1, "deep", 0)]


def test_a_missing_result_is_asked_for_as_often_as_retries_say() -> None:
    silent = make_job(own(1), BLOCKS[1], condition="Complete")
    pods = [make_pod(silent, exit_code=0)]
    (again, _) = planned(silent, pods=pods, retries=1).create
    assert again["metadata"]["name"] == "digits-f00001-s0-a1"
    second = make_job(own(1), BLOCKS[1], condition="Complete", attempt=1)
    both = planned(silent, second, pods=[*pods, make_pod(second, exit_code=0)], retries=1)
    assert own(1) not in created(both)
    assert both.delete == (silent.name,)


def test_a_suspended_search_starts_none_and_stops_those_that_run_only_if_it_shall() -> None:
    running = make_job(own(1), BLOCKS[1])
    drained = planned(running, suspend=True)
    assert (drained.create, drained.delete) == ((), ())
    state = make_state(records=RECORDS, suspend=True, suspendPolicy="Stop", **asking())
    stopped = plan_finalists(make_observed(), state, FinalistState(), [running], over=True)
    assert stopped.delete == (running.name,)
    finalists_report = reported(suspend=True)
    assert (finalists_report.reason, finalists_report.stopped) == (Reason.SUSPENDED, False)


def test_jobs_of_an_earlier_search_of_the_name_are_no_concern() -> None:
    other = make_job(own(1), BLOCKS[1], owner_uid="another")
    assert created(planned(other)) == [own(1), own(3)]


IMAGES = {"name": "cifar10", "volume": CLAIM}


def test_the_images_of_a_target_are_prepared_before_it_is_trained_on() -> None:
    records = [make_finalist_record(own(1), 0.7)]
    target = {"name": "cifar10", "dataset": IMAGES}
    decided = planned(records=records, count=1, targets=[target])
    assert decided.create == ()
    preparation = decided.preparations["cifar10"].create
    assert preparation is not None
    command = preparation["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command == ["blockqnn-train", "prepare", "cifar10", "/data"]
    finalists_report = reported(records=records, count=1, targets=[target])
    assert (finalists_report.reason, finalists_report.ready, finalists_report.stopped) == (
        Reason.PREPARING,
        False,
        False,
    )


def test_the_winner_has_the_highest_mean_over_its_seeds() -> None:
    records = [
        make_finalist_record(own(1), 0.95),
        make_finalist_record(own(1, 1), 0.65),
        make_finalist_record(own(3), 0.82),
        make_finalist_record(own(3, 1), 0.84),
    ]
    finalists_report = reported(records=records, seeds=2)
    assert (finalists_report.ready, finalists_report.reason) == (True, Reason.TRAINED)
    assert finalists_report.winner is not None
    assert finalists_report.winner.trial == 3
    best = finalists_report.status.best
    assert best is not None
    assert (best.accuracy, best.seeds) == (0.83, 2)
    assert best.deviation == pytest.approx(0.014142, abs=1e-6)
    assert best.folder.endswith("seed-1"), "that of the best seed"
    assert "83.00% ± 1.41% over 2 seeds" in finalists_report.message


def test_infeasible_finalists_are_over_and_win_nothing() -> None:
    records = [make_finalist_record(own(1), None), make_finalist_record(own(3), 0.4)]
    finalists_report = reported(records=records)
    assert (finalists_report.status.succeeded, finalists_report.status.infeasible) == (1, 1)
    assert finalists_report.winner is not None
    assert finalists_report.winner.trial == 3


def test_a_search_without_a_block_to_be_trained_is_ready() -> None:
    state = make_state(**asking())
    decided = plan_finalists(make_observed(), state, FinalistState(), (), over=True)
    finalists_report = report_finalists(state, FinalistArchive(), decided, over=True)
    assert finalists_report is not None
    assert (finalists_report.ready, finalists_report.message) == (
        True,
        "There is no block to train.",
    )


def test_what_runs_waits_or_is_queued_is_told() -> None:
    running = make_job(own(1), BLOCKS[1])
    assert "1 finalist is running" in reported(running, count=1).message
    queued = make_job(own(1), BLOCKS[1], suspended=True)
    assert reported(queued, count=1).reason is Reason.QUEUED
    observed = make_observed(
        pods=[make_pod(running, unplaced="0/1 nodes are available.", created_at=NOW)],
        search=make_search(),
    )
    decided = plan_finalists(observed, state_of(), FinalistState(), [running], over=True)
    assert decided.wait_until is not None


def test_a_history_that_says_something_twice_cannot_be_read() -> None:
    record = make_finalist_record(own(1))
    with pytest.raises(HistoryUnreadable, match="two results"):
        archive_of(record, record)


def test_a_record_is_read_as_it_was_written() -> None:
    record = make_finalist_record(own(1, 2))
    assert FinalistRecord.read(record.write()) == record
    with pytest.raises(HistoryUnreadable):
        FinalistRecord.read(record.write().replace('"version":1', '"version":2'))


def test_goals_are_the_own_dataset_and_the_targets_in_order() -> None:
    goals = goals_of(state_of(seeds=2, targets=[WIDE, {"name": "again", "seeds": 5}]).settings)
    assert [(goal.name, goal.seeds) for goal in goals] == [("", 2), ("wide", 2), ("again", 5)]
