"""Budgets that end a search early, and pausing, on a real control plane."""

import pytest
from searching import CUSTOM_TRAINER, search_manifest, trainer_of


@pytest.mark.long
def test_a_search_ends_when_its_goal_is_reached_and_goes_on_when_that_is_taken_away(
    searching, eventually
):
    budget = {"trials": 8, "targetAccuracy": 0.15}
    searching.apply(search_manifest(**CUSTOM_TRAINER, budget=budget, parallelism=1))
    eventually(searching.is_over, within=60)
    assert searching.condition("Complete")["reason"] == "GoalReached"
    cut = searching.records()
    assert 0 < len(cut) < 8
    assert max(record.accuracy or 0 for record in cut) >= 0.15
    assert not searching.items("jobs", "blockqnn.dev/archived!=true")
    searching.patch({"budget": {"targetAccuracy": None}})
    eventually(lambda: len(searching.records()) == 8, within=60)
    eventually(searching.is_over)
    assert searching.condition("Complete")["reason"] == "BudgetSpent"
    assert searching.records()[: len(cut)] == cut


def test_searches_share_the_operators_jobs_and_all_come_to_their_end(make_searching, eventually):
    searching = make_searching()
    searching.operator.start("--max-jobs-in-flight", "1")
    trial = trainer_of("sleep", "60")
    for name in ("first", "second"):
        searching.apply(search_manifest(name, trial=trial))
    eventually(lambda: "limit of 1 Jobs" in searching.status("first").get("message", "x"))
    eventually(lambda: "limit of 1 Jobs" in searching.status("second").get("message", "x"))
    (job,) = searching.jobs()
    running = job["metadata"]["labels"]["blockqnn.dev/search"]
    searching.kubectl("delete", "bs", running, "--wait=false")
    other = {"first": "second", "second": "first"}[running]
    eventually(lambda: searching.items("jobs", f"blockqnn.dev/search={other}"))


def test_a_search_ends_when_its_time_is_up_and_stops_what_runs(searching, eventually):
    budget = {"trials": 8, "duration": "3s"}
    trial = trainer_of("sleep", "60")
    searching.apply(search_manifest(budget=budget, trial=trial, suspendPolicy="Stop"))
    eventually(searching.jobs)
    eventually(searching.is_over)
    # Nothing has a result: that the time is up is no success.
    failed = searching.condition("Failed")
    assert (failed["status"], failed["reason"]) == ("True", "NoResults")
    assert failed["message"].startswith("The search has lasted for spec.budget.duration, 3s.")
    eventually(lambda: not searching.items("jobs,pods", "blockqnn.dev/search"))
    assert not searching.records()


def test_a_search_that_is_suspended_and_told_to_stop_tries_its_trials_anew(
    searching, eventually, tmp_path
):
    gate = tmp_path / "gate"
    quick = " ".join(CUSTOM_TRAINER["trial"]["podTemplate"]["spec"]["containers"][0]["command"])
    trial = trainer_of("sh", "-c", f"[ -e {gate} ] || exec sleep 60; exec {quick}")
    searching.apply(search_manifest(trial=trial))
    eventually(lambda: len(searching.jobs()) == 2)
    searching.patch({"suspend": True, "suspendPolicy": "Stop"})
    eventually(lambda: not searching.items("jobs,pods", "blockqnn.dev/search"))
    gate.touch()
    searching.patch({"suspend": False})
    eventually(searching.is_over, within=60)
    assert [record.attempt for record in searching.records()] == [0] * 8
    assert not searching.events("JobDeleted")
