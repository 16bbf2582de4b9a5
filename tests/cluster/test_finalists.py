"""Finalists as processes: killed, ended, several at once; real images; the path of ImageNet.

They need no cluster, but too many seconds for the unit tests.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from finalist_specs import finalist_fields
from PIL import Image
from repository_paths import ROOT

from blockqnn.contract.finalist import FinalistResult
from blockqnn.contract.message import Outcome

pytestmark = pytest.mark.long

COMMAND = Path(sys.executable).with_name("blockqnn-train")
CIFAR100 = ROOT.parent / "shared" / "data" / "cifar100"
PATIENCE = 240.0
"""Seconds that a training of a few may take on a machine that does many other things."""


def fields(volume: Path) -> dict[str, Any]:
    """A training on digits of some seconds."""
    return finalist_fields(
        volume,
        folder="finalist",
        training__epochs=6,
        training__batchSize=32,
        training__schedule={"milestones": [4]},
    )


class Finalist:
    """A process that trains one."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        folder.mkdir(exist_ok=True)
        self._place, self._message = folder, folder / "message"
        self._message.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [COMMAND, "finalist"],
            env=os.environ
            | {
                "BLOCKQNN_FINALIST": json.dumps(fields(folder) | changes),
                "TERMINATION_MESSAGE_PATH": str(self._message),
                "OMP_NUM_THREADS": "1",
                "PYTHONUNBUFFERED": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until(self, beginning: str) -> None:
        """Read its output up to a line that begins so."""
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith(beginning):
                return
        pytest.fail(f"no line {beginning!r} in {''.join(lines)}")

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def result(self, status: int = 0) -> FinalistResult:
        """Wait until it has ended with this status, and read what it reported."""
        output, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == status, output
        return FinalistResult.read(self._message.read_text())

    def weights(self) -> bytes:
        return (self._place / "finalist" / "weights.safetensors").read_bytes()


def test_a_killed_training_goes_on_and_ends_with_the_same_bits(tmp_path):
    undisturbed = Finalist(tmp_path / "undisturbed")
    killed = Finalist(tmp_path / "killed")
    killed.until("epoch 3/6")
    killed.end(signal.SIGKILL)
    result = killed.result(-signal.SIGKILL)
    assert (result.outcome, result.reason) == (Outcome.FAILED, "Killed")
    assert result.epoch >= 3
    again = Finalist(tmp_path / "killed", attempt=1)
    resumed, expected = again.result(), undisturbed.result()
    assert (resumed.resumed, expected.resumed) == (1, 0)
    assert resumed.seconds.earlier > 0 == expected.seconds.earlier
    assert resumed.accuracy == expected.accuracy
    assert resumed.curve == expected.curve
    assert again.weights() == undisturbed.weights()


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_leaves_a_checkpoint_in_the_middle_of_an_epoch(tmp_path, processes):
    # One epoch of many steps, so that the signal comes in the middle of it.
    long = fields(tmp_path)["training"] | {"epochs": 2, "batchSize": 2}
    ended = Finalist(tmp_path / "volume", training=long, processes=processes)
    ended.until("digits: ")
    ended.end(signal.SIGTERM)
    result = ended.result(128 + signal.SIGTERM)
    assert (result.outcome, result.reason) == (Outcome.FAILED, "Terminated")
    assert result.message == (
        "The training was ended by SIGTERM after 0 of 2 epochs; another attempt continues from its "
        "last checkpoint."
    )
    [checkpoint] = (tmp_path / "volume" / "finalist" / "checkpoints").iterdir()
    assert checkpoint.name.startswith("00000-")
    again = Finalist(tmp_path / "volume", training=long)
    again.until("continuing after epoch 0, step ")
    again.end(signal.SIGKILL)
    again.process.communicate()


def test_two_processes_reach_what_one_does(tmp_path):
    """As long as roundings have not grown: two epochs of few steps."""
    short = fields(tmp_path)["training"] | {"epochs": 2, "batchSize": 128}
    alone = Finalist(tmp_path / "alone", training=short)
    together = Finalist(tmp_path / "together", training=short, processes=2)
    single, two = alone.result(), together.result()
    assert (single.processes, two.processes) == (1, 2)
    assert two.accuracy == pytest.approx(single.accuracy, abs=0.01)
    assert two.curve == pytest.approx(single.curve, abs=0.01)


def test_a_process_that_is_killed_ends_all_and_another_attempt_goes_on(tmp_path):
    finalist = Finalist(tmp_path / "volume", processes=2)
    finalist.until("epoch 1/6")
    [child] = [
        int(pid)
        for pid in Path(f"/proc/{finalist.process.pid}/task/{finalist.process.pid}/children")
        .read_text()
        .split()
        if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
    ]
    os.kill(child, signal.SIGKILL)
    result = finalist.result(1)
    assert (result.outcome, result.reason) == (Outcome.FAILED, "Error")
    assert result.message == "Process 2 of the training ended by signal 9."
    again = Finalist(tmp_path / "volume", processes=2).result()
    assert again.resumed == 1
    assert again.epoch == 6


NOWHERE = {"name": "npz", "path": "/nowhere", "validation": {"source": "test", "fraction": 0.5}}


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"volume": "/nowhere"}, 2, "VolumeMissing"),
        ({"dataset": NOWHERE}, 2, "DatasetMissing"),
        ({"network": {"filters": [4] * 5, "repeats": 1}}, 2, "NetworkInvalid"),
    ],
)
def test_what_cannot_be_trained_is_told_and_not_tried_again(tmp_path, change, status, reason):
    result = Finalist(tmp_path, **change).result(status)
    assert (result.outcome, result.reason) == (Outcome.FAILED, reason)
    assert result.message.endswith((".", "?"))


@pytest.mark.skipif(not CIFAR100.is_dir(), reason="CIFAR-100 is not there: no shared/data/cifar100")
def test_an_epoch_of_the_recipe_for_cifar_on_a_slice_of_cifar100(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for part, source, count in (("train", "train-1", 10_000), ("test", "test", 1_000)):
        with numpy.load(CIFAR100 / f"{source}.npz") as shard:
            numpy.savez(images / f"{part}.npz", x=shard["x"][:count], y=shard["y"][:count])
    dataset = {
        "name": "npz",
        "path": str(images),
        "validation": {"source": "test", "fraction": 0.5},
    }
    network = {"filters": [8, 16], "repeats": 1}
    finalist = Finalist(
        tmp_path / "volume", dataset=dataset, network=network, training={"epochs": 1}
    )
    result = finalist.result()
    assert result.outcome is Outcome.SUCCEEDED
    assert result.measured_on == "test"
    assert result.top5_accuracy > 0.07  # chance is 0.05
    assert measured_again(tmp_path / "volume" / "finalist").count("accuracy") == 4


def test_the_recipe_for_imagenet_on_a_folder_of_images(tmp_path):
    """Eight classes of images of mixed sizes around 64 pixels, by the same code as ImageNet's."""
    random = numpy.random.default_rng(0)
    for part, count in (("train", 24), ("val", 6)):
        for label in range(8):
            folder = tmp_path / "images" / part / f"class-{label}"
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = random.integers(64, 90, 2)
                pixels = random.integers(0, 90, (height, width, 3))
                # The class is the colour, which survives every crop and scale.
                pixels += [160 * (label >> bit & 1) for bit in range(3)]
                Image.fromarray(pixels.astype(numpy.uint8)).save(folder / f"{number}.png")
    dataset = {
        "name": "imagefolder",
        "path": str(tmp_path / "images"),
        "validation": {"source": "test", "fraction": 0.5},
    }
    scale = {"shortSide": [64, 96], "crop": 56, "testShortSide": 64}
    finalist = Finalist(
        tmp_path / "volume",
        recipe="imagenet",
        dataset=dataset,
        network={"filters": [8, 8, 8, 8], "repeats": 1},
        training={"epochs": 4, "batchSize": 16, "augmentation": {"scale": scale}},
    )
    result = finalist.result()
    assert result.outcome is Outcome.SUCCEEDED, result.message
    assert result.accuracy > 0.5  # chance is 0.125
    assert result.top5_accuracy >= result.accuracy
    description = json.loads((tmp_path / "volume" / "finalist" / "block.json").read_text())
    assert (description["height"], description["width"], description["channels"]) == (56, 56, 3)
    assert measured_again(tmp_path / "volume" / "finalist").count(f"{result.accuracy:.4f}") == 4


def measured_again(folder: Path) -> str:
    done = subprocess.run(
        [COMMAND, "load", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def on_small_volume(volume: Path, options: str, **changes: Any) -> tuple[int, FinalistResult]:
    """Train on a volume of its own kind, which only this process sees."""
    volume.mkdir()
    script = 'mount -t tmpfs -o "$0" none "$1" && shift && exec "$@"'
    message = volume.parent / "message"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, options, str(volume), COMMAND, "finalist"],
        env=os.environ
        | {
            "BLOCKQNN_FINALIST": json.dumps(fields(volume) | changes),
            "TERMINATION_MESSAGE_PATH": str(message),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if "Operation not permitted" in done.stderr or "permission denied" in done.stderr:
        pytest.skip("this user may not mount anything")
    assert "Traceback" not in done.stderr
    return done.returncode, FinalistResult.read(message.read_text())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [("size=32k", "is full; enlarge it"), ("ro", "is mounted read-only")],
)
def test_a_volume_that_is_full_or_read_only_is_told(tmp_path, options, sentence):
    status, result = on_small_volume(tmp_path / "volume", options)
    assert (status, result.outcome, result.reason) == (2, Outcome.FAILED, "VolumeUnusable")
    assert sentence in result.message
