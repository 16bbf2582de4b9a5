"""A search, then its finalists, on a real control plane with real trainings."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest
from cluster_finalists import COMPLETE, FINALISTS, PATIENCE, finalists, on, results
from searching import CUSTOM_TRAINER, REAL_TRAINING, WHILE_TRAINING, Searching, search_manifest

from blockqnn.contract.finalist import FINALIST_VARIABLE, FinalistResult
from blockqnn.contract.message import Outcome
from blockqnn_api.history.finalist_record import Finalist, FinalistRecord

pytestmark = pytest.mark.long


COMMAND = Path(sys.executable).with_name("blockqnn-train")


ONE_ITERATION: dict[str, Any] = {
    **REAL_TRAINING,
    "trial": {**REAL_TRAINING["trial"], "blocksPerJob": 8},
    "agent": {"batchSize": 8, "epsilonSchedule": [{"epsilon": 1.0, "iterations": 1}]},
}
"""Eight blocks in one Job."""


def told_to(job: dict[str, Any]) -> dict[str, Any]:
    """Specification that the trainer of a finalist gets."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    text = next(v["value"] for v in container["env"] if v["name"] == FINALIST_VARIABLE)
    specification: dict[str, Any] = json.loads(text)
    return specification


def measured_again(folders: Sequence[Path]) -> list[list[float]]:
    """The accuracies of models in all their forms, as a user measures them; the reported first."""
    done = subprocess.run(
        [COMMAND, "load", *folders], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    accuracies: list[list[float]] = []
    for line in done.stdout.splitlines():
        if "accuracy" in line:
            accuracies[-1].append(float(line.split("accuracy ")[1].split(",")[0]))
        else:
            accuracies.append([])
    return accuracies


def test_the_best_blocks_become_models_whatever_is_killed_on_the_way(
    searching, eventually, tmp_path
):
    """Five finalists; the Pod of one is deleted in the middle, and the operator is killed then."""
    volume = tmp_path / "models"
    volume.mkdir()
    searching.apply(search_manifest(**ONE_ITERATION, finalists=on(volume, count=5)))
    checkpoint = eventually(
        lambda: next(volume.glob("*/*/trial-*/seed-0/checkpoints/*.checkpoint"), None),
        within=PATIENCE,
    )
    trial_number = checkpoint.parts[-4].removeprefix("trial-")
    selector = f"blockqnn.dev/finalist={trial_number}"
    searching.kubectl("delete", "pods", "-l", selector, "--wait=false")
    (job,) = searching.items("jobs", selector)
    assert searching.status()["phase"] == "TrainingFinalists"
    searching.operator.kill()
    searching.operator.start()
    searching.wait(COMPLETE, PATIENCE)

    status, finalist_records = searching.status(), results(searching)
    assert status["phase"] == "Complete", status["message"]
    assert searching.condition("FinalistsReady")["reason"] == "Trained"
    assert len(finalist_records) == status["finalists"]["succeeded"] == 5
    assert eventually(lambda: not finalists(searching))
    measured = measured_again([volume / record.folder for record in finalist_records.values()])
    for record, (reported, *forms) in zip(finalist_records.values(), measured, strict=True):
        assert record.outcome is Outcome.SUCCEEDED
        assert reported == round(record.accuracy or 0, 4)
        assert forms == [reported] * 3
    assert_best_is_the_winner(status, finalist_records)

    disturbed = finalist_records[Finalist(int(trial_number), "", 0)]
    assert disturbed.resumed == 1
    undisturbed = trained_here(told_to(job) | {"volume": str(tmp_path)}, tmp_path / "message")
    assert (undisturbed.resumed, undisturbed.accuracy) == (0, disturbed.accuracy)
    assert undisturbed.weights == disturbed.weights


def assert_best_is_the_winner(
    status: dict[str, Any], finalist_records: dict[Finalist, FinalistRecord]
) -> None:
    winner = max(
        finalist_records.values(), key=lambda record: (record.accuracy or 0, -record.trial)
    )
    assert status["best"]["trial"] == status["finalists"]["best"]["trial"] == winner.trial
    assert status["best"]["convergedAccuracy"] == round(winner.accuracy or 0, 6)
    assert status["best"]["accuracy"] != status["best"]["convergedAccuracy"]


def trained_here(spec: dict[str, Any], message: Path) -> FinalistResult:
    """Train a finalist outside of the cluster, in one go."""
    subprocess.run(
        [COMMAND, "finalist"],
        env=os.environ
        | {
            FINALIST_VARIABLE: json.dumps(spec),
            "TERMINATION_MESSAGE_PATH": str(message),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    return FinalistResult.read(message.read_text())


def draw_colours(root: Path) -> None:
    """Red and blue images of another size than digits."""
    random = numpy.random.default_rng(0)
    labels = numpy.arange(60) % 2
    pixels = random.integers(0, 100, (60, 12, 12, 3), dtype=numpy.uint8)
    pixels[labels == 0, :, :, 0] += 100
    pixels[labels == 1, :, :, 2] += 100
    numpy.savez(root / "all.npz", x=pixels, y=labels)


def target(name: str, images: Path) -> dict[str, Any]:
    """A target on images of one's own."""
    source = {"hostPath": {"path": str(images), "type": ""}}
    dataset = {"name": "npz", "path": str(images), "volume": source}
    return {"name": name, "dataset": dataset, "training": {"epochs": 2, "batchSize": 8}}


def test_what_is_missing_is_told_and_earlier_results_stay_until_it_is_there(searching, tmp_path):
    """First the volume is not there, then the images of a target that has other channels."""
    volume, images = tmp_path / "models", tmp_path / "images"
    asked = on(volume, count=1, targets=[target("colours", images)])
    asked["volume"] = {"hostPath": {"path": str(volume), "type": ""}}
    asked["training"] = {**asked["training"], "epochs": 2, "schedule": {"milestones": [1]}}
    searching.apply(search_manifest(**ONE_ITERATION, finalists=asked))
    assert waits_for_a_person(searching) == "VolumeMissing"
    assert len(searching.records()) == 8
    assert results(searching) == {}

    volume.mkdir()
    delete_job_of(searching, "finalist")
    searching.wait("jsonpath={.status.finalists.succeeded}=1", PATIENCE)
    (own,) = results(searching)
    assert waits_for_a_person(searching) == "DatasetMissing"
    status = searching.status()
    assert status["finalists"]["best"]["trial"] == own.trial
    assert status["finalists"]["total"] == 2
    assert finalists(searching) == [], "its images were to be prepared first"

    images.mkdir()
    draw_colours(images)
    delete_job_of(searching, "preparation")
    searching.wait(COMPLETE, PATIENCE)
    finalist_records = results(searching)
    assert set(finalist_records) == {own, Finalist(own.trial, "colours", 0)}
    (on_target,) = searching.status()["finalists"]["targets"]
    assert on_target["name"] == "colours"
    description = json.loads((volume / on_target["best"]["folder"] / "block.json").read_text())
    shape = [description[side] for side in ("channels", "height", "width", "classes")]
    assert shape == [3, 12, 12, 2]
    assert "Traceback" not in searching.operator.log.read_text()


def waits_for_a_person(searching: Searching) -> str:
    """Wait until the search has stopped for its finalists; return why."""
    searching.wait("condition=Failed", PATIENCE)
    ready = searching.condition("FinalistsReady")
    assert "delete Job" in ready["message"]
    assert searching.condition("Failed")["reason"] == "FinalistsNotReady"
    assert searching.condition("Complete")["reason"] == "FinalistsNotReady"
    return str(ready["reason"])


def delete_job_of(searching: Searching, component: str) -> None:
    """Delete the one Job of a component, as the condition says to."""
    (job,) = searching.items("jobs", f"app.kubernetes.io/component={component}")
    name = job["metadata"]["name"]
    assert f"delete Job {name}" in searching.condition("FinalistsReady")["message"]
    searching.kubectl("delete", "job", name)


def test_a_claim_that_does_not_exist_is_told_while_the_finalist_waits_for_it(searching, eventually):
    claim = {"persistentVolumeClaim": {"claimName": "nowhere"}}
    asked = FINALISTS | {"volume": claim, "count": 1}
    searching.apply(search_manifest(**CUSTOM_TRAINER, finalists=asked))
    ready = eventually(
        lambda: (c := searching.condition("FinalistsReady")).get("reason") == "VolumeMissing" and c,
        within=WHILE_TRAINING,
    )
    assert "persistentvolumeclaim" in ready["message"]
    assert "nowhere" in ready["message"]
    assert searching.status()["phase"] == "TrainingFinalists"
    assert searching.condition("Degraded")["reason"] == "FinalistsNotReady"
    assert len(searching.records()) == 8
    searching.kubectl("delete", "bs", "search")
    eventually(lambda: not searching.jobs() and not searching.items("configmaps", OURS))


OURS = "blockqnn.dev/search=search"
