"""The dataset is made ready before the first trial, by a real Job on a real volume."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image
from searching import REAL_TRAINING, WHILE_TRAINING, Searching, search_manifest

from blockqnn.contract.message import Outcome

pytestmark = pytest.mark.long

SIDE = 8
IMAGES_OF_A_CLASS = 40


def draw_folder(root: Path) -> None:
    """Two classes of grey images, bright above or below the middle."""
    rng = numpy.random.default_rng(0)
    for name, half in (("above", slice(0, SIDE // 2)), ("below", slice(SIDE // 2, SIDE))):
        (root / name).mkdir()
        for number in range(IMAGES_OF_A_CLASS):
            pixels = rng.integers(0, 100, (SIDE, SIDE), dtype=numpy.uint8)
            pixels[half] += 100
            Image.fromarray(pixels).save(root / name / f"{number}.png")


def write_npz(root: Path, labels: Any) -> None:
    pixels = numpy.random.default_rng(0).integers(0, 256, (40, SIDE, SIDE, 1), dtype=numpy.uint8)
    numpy.savez(root / "all.npz", x=pixels, y=labels)


def on(root: Path, name: str) -> dict[str, Any]:
    volume = {"hostPath": {"path": str(root), "type": "Directory"}}
    return {"dataset": {"name": name, "path": str(root), "volume": volume}}


SMALL: dict[str, Any] = REAL_TRAINING | {
    "budget": {"trials": 2},
    "agent": {"batchSize": 2},
    "space": {"maxLayers": 3},
    "training": {"epochs": 1, "batchSize": 16},
}


def preparations(searching: Searching) -> list[dict[str, Any]]:
    return searching.items("jobs", "app.kubernetes.io/component=preparation")


def trials(searching: Searching) -> list[dict[str, Any]]:
    return searching.items("jobs", "app.kubernetes.io/component=trial")


def test_a_folder_of_images_is_decoded_once_and_all_trials_read_the_array(
    searching, eventually, tmp_path
):
    draw_folder(tmp_path)
    searching.apply(search_manifest(**SMALL, **on(tmp_path, "imagefolder")))
    ready = eventually(
        lambda: (
            (c := searching.condition("DatasetReady"))["reason"] == "Prepared" and c
            if searching.status()
            else None
        ),
        within=WHILE_TRAINING,
    )
    assert ready["status"] == "True"
    assert "80 images to train on" in ready["message"]
    assert (tmp_path / ".blockqnn" / "imagefolder.json").exists()
    eventually(searching.is_over, within=WHILE_TRAINING)
    assert {record.outcome for record in searching.records()} <= {
        Outcome.SUCCEEDED,
        Outcome.INFEASIBLE,
        Outcome.CACHED,
    }
    (job,) = preparations(searching)
    assert job["status"]["succeeded"] == 1
    assert any("80 images" in said for said in searching.events("DatasetReady"))


def test_a_broken_dataset_is_told_in_a_sentence_and_the_search_goes_on_when_it_is_mended(
    searching, eventually, tmp_path
):
    write_npz(tmp_path, numpy.zeros(40, dtype=numpy.int64))
    searching.apply(search_manifest(**SMALL, **on(tmp_path, "npz")))
    eventually(searching.is_over, within=WHILE_TRAINING)
    ready = searching.condition("DatasetReady")
    (job,) = preparations(searching)
    name = job["metadata"]["name"]
    assert (ready["status"], ready["reason"]) == ("False", "DatasetInvalid")
    assert "at least two classes" in ready["message"]
    assert f"delete Job {name}" in ready["message"]
    assert searching.condition("Failed")["reason"] == "DatasetNotReady"
    assert any("at least two classes" in said for said in searching.events("Failed"))
    assert trials(searching) == []
    assert "Traceback" not in searching.kubectl("logs", f"job/{name}")
    assert "Traceback" not in searching.operator.log.read_text()
    write_npz(tmp_path, numpy.arange(40) % 2)
    searching.kubectl("delete", "job", name)
    eventually(lambda: searching.status()["phase"] == "Complete", within=WHILE_TRAINING)
    assert searching.condition("DatasetReady")["reason"] == "Prepared"
    assert len(searching.records()) == 2


def test_a_fifo_among_the_images_is_refused_and_nothing_waits_for_it(
    searching, eventually, tmp_path
):
    draw_folder(tmp_path)
    os.mkfifo(tmp_path / "above" / "pipe.png")
    searching.apply(search_manifest(**SMALL, **on(tmp_path, "imagefolder")))
    eventually(searching.is_over, within=WHILE_TRAINING)
    ready = searching.condition("DatasetReady")
    assert (ready["status"], ready["reason"]) == ("False", "DatasetInvalid")
    assert f"{tmp_path}/above/pipe.png is a FIFO, where a file is needed" in ready["message"]
    assert trials(searching) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_operator_that_ends_while_images_are_prepared_goes_on_afterwards(
    searching, eventually, tmp_path, number
):
    draw_folder(tmp_path)
    searching.apply(search_manifest(**SMALL, **on(tmp_path, "imagefolder")))
    (job,) = eventually(lambda: preparations(searching))
    if number is signal.SIGKILL:
        searching.operator.kill()
    else:
        searching.operator.stop()
    searching.operator.start()
    eventually(searching.is_over, within=WHILE_TRAINING)
    assert searching.status()["phase"] == "Complete"
    assert [j["metadata"]["uid"] for j in preparations(searching)] == [job["metadata"]["uid"]]


def test_two_searches_on_one_volume_prepare_it_without_harm(searching, eventually, tmp_path):
    draw_folder(tmp_path)
    for name in ("first", "second"):
        searching.apply(search_manifest(name, **SMALL, **on(tmp_path, "imagefolder")))
    for name in ("first", "second"):
        eventually(lambda name=name: searching.is_over(name), within=WHILE_TRAINING)
        assert searching.status(name)["phase"] == "Complete"
    assert len(list((tmp_path / ".blockqnn").glob("*.npy"))) == 2
