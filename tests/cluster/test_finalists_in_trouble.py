"""Finalists that are overtaken, stopped, damaged, out of room or given up, on a real cluster."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from cluster_finalists import COMPLETE, PATIENCE, finalists, on, results
from searching import CUSTOM_TRAINER, WHILE_TRAINING, Searching, search_manifest

from blockqnn.contract.message import Outcome
from blockqnn_api.history.finalist_record import Finalist
from blockqnn_api.history.replay import best
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_cli.__main__ import main

pytestmark = pytest.mark.long

QUICK: dict[str, Any] = {**CUSTOM_TRAINER, "network": {"filters": [4], "repeats": 1}}
"""Trials of no time at all, finalists of some seconds."""

SHORT: dict[str, Any] = {
    "epochs": 2,
    "batchSize": 64,
    "schedule": {"milestones": [1]},
    "augmentation": {"flip": False},
}
LONGER = SHORT | {"epochs": 12, "batchSize": 4}
"""Long enough to be stopped in the middle."""


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Folder of the models of a test."""
    path = tmp_path / "models"
    path.mkdir()
    return path


@pytest.fixture
def command(
    searching: Searching, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """Return a function that asks `kubectl blockqnn` about the search, in a wide terminal."""
    monkeypatch.setenv("COLUMNS", "250")
    options = ["search", "-n", searching.namespace, "--kubeconfig"]

    def ask(name: str) -> str:
        assert main([name, *options, str(searching.cluster.kubeconfig)]) == 0
        return " ".join(capsys.readouterr().out.split())

    return ask


def leaders(records: list[TrialRecord], count: int) -> list[int]:
    """The trials with the highest rewards; none repeats another network."""
    trained = [record for record in records if record.outcome is Outcome.SUCCEEDED]
    return [record.trial for record in best(trained, count)]


def test_blocks_that_are_overtaken_during_the_search_keep_their_results_and_cannot_win(
    searching, volume, command
):
    """Two at a time from two seeds, from the end of the first of three iterations on."""
    asked = on(volume, count=2, seeds=2, continuous=True, training=SHORT)
    agent = {"batchSize": 4, "epsilonSchedule": [{"epsilon": 1.0, "iterations": 3}]}
    budget = {"trials": 12}
    manifest = search_manifest(**QUICK, seed=9, agent=agent, budget=budget, finalists=asked)
    searching.apply(manifest)
    searching.wait(COMPLETE, PATIENCE)
    records, finalist_records, status = searching.records(), results(searching), searching.status()
    first, last = leaders(records[:4], 2), leaders(records, 2)
    overtaken = {finalist.trial for finalist in finalist_records} - set(last)
    assert overtaken, "else this search would show nothing"
    assert overtaken <= set(first)
    for record in finalist_records.values():
        assert (volume / record.folder / "result.json").is_file()

    wanted = [Finalist(trial, "", seed) for trial in last for seed in (0, 1)]
    assert set(wanted) <= set(finalist_records)
    finalists_status = status["finalists"]
    assert (
        finalists_status["progress"],
        finalists_status["running"],
        finalists_status["records"],
    ) == ("4/4", 0, len(finalist_records))
    accuracies = {trial: [finalist_records[Finalist(trial, "", seed)].accuracy for seed in (0, 1)]
                  for trial in last}  # fmt: skip
    winner = max(last, key=lambda trial: (fmean(accuracies[trial]), -trial))
    assert status["best"]["trial"] == finalists_status["best"]["trial"] == winner
    assert status["best"]["convergedAccuracy"] == pytest.approx(fmean(accuracies[winner]), abs=1e-6)
    assert finalists_status["best"]["deviation"] == pytest.approx(
        stdev(accuracies[winner]), abs=1e-6
    )
    assert finalists_status["best"]["seeds"] == 2
    assert "over 2 seeds" in searching.condition("FinalistsReady")["message"]
    assert not finalists(searching)
    assert "(the search's own), overtaken" in command("finalists")
    assert "finalists 4/4" in command("status")


def under_way(volume: Path, eventually: Any, count: int) -> list[Path]:
    """Wait until so many finalists have left two checkpoints; return their directories."""

    def begun() -> list[Path]:
        folders = sorted(volume.glob("*/*/trial-*/seed-0/checkpoints"))
        return [f for f in folders if len(list(f.glob("*.checkpoint"))) > 1]

    begun_paths: list[Path] = eventually(lambda: len(x := begun()) >= count and x, within=PATIENCE)
    return begun_paths


def test_a_suspended_search_drains_its_finalists_and_starts_the_others_when_it_is_resumed(
    searching, volume, eventually
):
    asked = on(volume, count=2, parallelism=1, training=LONGER)
    searching.apply(search_manifest(**QUICK, finalists=asked))
    under_way(volume, eventually, 1)
    searching.patch({"suspend": True, "suspendPolicy": "Drain"})
    searching.wait("jsonpath={.status.finalists.succeeded}=1", PATIENCE)
    status = searching.status()
    assert (status["phase"], status["finalists"]["progress"]) == ("Suspended", "1/2")
    assert searching.condition("FinalistsReady")["reason"] == "Suspended"
    assert not [job for job in finalists(searching) if not job["status"].get("succeeded")]
    searching.patch({"suspend": False})
    searching.wait(COMPLETE, PATIENCE)
    assert [record.resumed for record in results(searching).values()] == [0, 0]


def test_finalists_that_are_stopped_go_on_later_whatever_became_of_their_checkpoints(
    searching, volume, eventually, command
):
    """Of two that are stopped one finds its newest checkpoint damaged, the other all of them."""
    asked = on(volume, count=3, training=LONGER)
    searching.apply(search_manifest(**QUICK, finalists=asked))
    under_way(volume, eventually, 2)
    searching.patch({"suspend": True, "suspendPolicy": "Stop"})
    eventually(lambda: not finalists(searching) and not pods_of_finalists(searching), within=60)
    searching.wait("jsonpath={.status.phase}=Suspended", 30)
    assert searching.status()["finalists"]["running"] == 0
    assert results(searching) == {}
    newest, every = under_way(volume, eventually, 2)
    damage(sorted(newest.iterdir())[-1:])
    damage(sorted(every.iterdir()))
    searching.patch({"suspend": False})
    searching.wait(COMPLETE, PATIENCE)

    records_by_trial = {record.trial: record for record in results(searching).values()}
    damaged, other = records_by_trial[trial_of(newest)], records_by_trial[trial_of(every)]
    assert (damaged.damaged_checkpoints, damaged.resumed) == (1, 1)
    assert (other.damaged_checkpoints, other.resumed) == (2, 0)
    assert damaged.seconds.earlier > 0
    assert [record.epochs for record in records_by_trial.values()] == [12, 12, 12]
    messages = sorted(searching.events("CheckpointDamaged"))
    assert len(messages) == 2
    assert any(
        "1 checkpoint on the volume" in said and "continued from" in said for said in messages
    )
    assert any(
        "2 checkpoints on the volume" in said and "started anew" in said for said in messages
    )
    assert "2 checkpoints on the volume could not be read" in command("finalists")


def pods_of_finalists(searching: Searching) -> list[dict[str, Any]]:
    return searching.items("pods", "app.kubernetes.io/component=finalist")


def trial_of(checkpoints: Path) -> int:
    return int(checkpoints.parts[-3].removeprefix("trial-"))


def damage(checkpoints: list[Path]) -> None:
    for path in checkpoints:
        path.write_bytes(path.read_bytes()[:-100])


def test_a_restored_history_brings_the_finalists_back_and_nothing_is_trained_again(
    searching, volume, eventually, tmp_path
):
    """The operator has seen the search that they are restored to, suspended and empty."""
    manifest = search_manifest(**QUICK, finalists=on(volume, count=1, training=SHORT))
    searching.apply(manifest)
    searching.wait(COMPLETE, PATIENCE)
    before, finalist_records, file = (
        searching.status(),
        results(searching),
        tmp_path / "history.jsonl",
    )
    arguments = ["search", str(file), "-n", searching.namespace, "--kubeconfig"]
    kubeconfig = str(searching.cluster.kubeconfig)
    assert main(["history", "export", *arguments, kubeconfig]) == 0
    searching.kubectl("delete", "bs", "search", "--wait=true", "--timeout=20s")
    eventually(lambda: not searching.items("configmaps,jobs", "blockqnn.dev/search"))

    searching.apply({**manifest, "spec": {**manifest["spec"], "suspend": True}})
    searching.wait("jsonpath={.status.phase}=Suspended", 60)
    begun = len(searching.operator.log.read_text())
    assert main(["history", "import", *arguments, kubeconfig]) == 0
    searching.patch({"suspend": False})
    searching.wait(COMPLETE, PATIENCE)
    after = searching.status()
    assert results(searching) == finalist_records
    assert (after["best"], after["finalists"]) == (before["best"], before["finalists"])
    said = searching.operator.log.read_text()[begun:]
    assert " trains a finalist" not in said
    assert " started: " not in said


@pytest.fixture
def small_volume(volume: Path) -> Iterator[Path]:
    """A volume of 16 MiB, which a file can fill."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(volume)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"NOT TESTED: this user may not mount a small volume: {done.stderr.strip()}")
    yield volume
    subprocess.run(["umount", "--lazy", str(volume)], check=True)


def test_a_full_volume_is_told_and_what_was_trained_before_is_kept(
    searching, small_volume, command
):
    asked = on(small_volume, count=1, parallelism=1, training=SHORT)
    searching.apply(search_manifest(**QUICK, finalists=asked))
    searching.wait(COMPLETE, PATIENCE)
    before = results(searching)
    filler = small_volume / "filler"
    fill(filler)
    searching.patch({"finalists": {"count": 3}})
    searching.wait("condition=Failed", PATIENCE)
    ready = searching.condition("FinalistsReady")
    assert ready["reason"] == "VolumeUnusable"
    assert "is full; enlarge it" in ready["message"]
    assert results(searching) == before
    status = searching.status()
    assert status["finalists"]["best"]["trial"] == next(iter(before)).trial
    (job,) = finalists(searching)
    assert f"delete Job {job['metadata']['name']}" in ready["message"]
    assert "is full" in command("status")

    filler.unlink()
    searching.kubectl("delete", "job", job["metadata"]["name"])
    searching.wait(COMPLETE, PATIENCE)
    assert len(results(searching)) == 3
    assert searching.condition("Degraded")["status"] == "False"


def fill(path: Path) -> None:
    """Write a file until nothing more fits."""
    done = subprocess.run(
        ["dd", "if=/dev/zero", f"of={path}", "bs=4096"], capture_output=True, text=True, check=False
    )
    assert "No space left on device" in done.stderr


def test_one_that_fails_after_its_retries_is_given_up_and_the_others_go_on(
    searching, volume, command
):
    """A file stands where its directory should be."""
    searching.apply(search_manifest(**QUICK))
    searching.wait(COMPLETE, WHILE_TRAINING)
    first, second, _ = leaders(searching.records(), 3)
    uid = json.loads(searching.kubectl("get", "bs", "search", "-o", "json"))["metadata"]["uid"]
    obstacle = volume / searching.namespace / f"search-{uid[:8]}" / f"trial-{first:05d}"
    obstacle.parent.mkdir(parents=True)
    obstacle.touch()
    wide = {"name": "wide", "network": {"filters": [8]}}
    asked = on(volume, count=2, retries=1, training=SHORT, targets=[wide])
    searching.patch({"finalists": asked})
    searching.wait("condition=Degraded", PATIENCE)
    searching.wait(COMPLETE, PATIENCE)

    status, finalist_records = searching.status(), results(searching)
    assert set(finalist_records) == {Finalist(second, "", 0), Finalist(second, "wide", 0)}
    assert (status["finalists"]["progress"], status["finalists"]["failed"]) == ("2/3", 1)
    assert status["best"]["trial"] == second
    assert status["best"]["convergedAccuracy"]
    assert searching.condition("Complete")["status"] == "True"
    assert searching.condition("Failed")["status"] == "False"
    ready, degraded = searching.condition("FinalistsReady"), searching.condition("Degraded")
    assert (ready["status"], ready["reason"]) == ("False", "FinalistsFailed")
    assert (degraded["status"], degraded["reason"]) == ("True", "FinalistsNotReady")
    (job,) = finalists(searching)
    assert job["status"]["failed"] == 2, "it was tried again once"
    assert (
        "1 finalist has failed; the condition FinalistsReady gives the reason." in status["message"]
    )
    for said in (ready["message"], degraded["message"]):
        assert f"Finalist of trial {first}, seed 0 failed: " in said
        assert f"delete Job {job['metadata']['name']}" in said
    (event,) = searching.events("FinalistFailed")
    assert "Not a directory" in event
    assert "' When" not in ready["message"], "what Python says ends without a full stop"
    assert "finalists 2/3 running 0 failed 1" in command("status")

    obstacle.unlink()
    searching.kubectl("delete", "job", job["metadata"]["name"])
    searching.wait("condition=FinalistsReady", PATIENCE)
    searching.wait(COMPLETE, PATIENCE)
    assert Finalist(first, "", 0) in results(searching)
    assert searching.condition("Degraded")["status"] == "False"
