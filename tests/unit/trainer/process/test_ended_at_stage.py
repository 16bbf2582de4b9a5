"""SIGTERM at each stage of each process: one sentence, status 143, and no half of a file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from finalist_specs import finalist_fields
from PIL import Image
from repository_paths import ROOT
from trainer_trials import specification

from blockqnn.contract.finalist import FinalistResult
from blockqnn.contract.message import Outcome
from blockqnn.contract.preparation import PreparationResult
from blockqnn.contract.trial import TrialResult

PROGRAM = ROOT / "tests" / "support" / "signal_at_stage.py"


def run(
    message: Path, stage: str, *command: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command that is ended at a stage."""
    completed = subprocess.run(
        [sys.executable, str(PROGRAM), f"blockqnn_trainer.{stage}", *command],
        env={
            **os.environ,
            "TERMINATION_MESSAGE_PATH": str(message),
            "OMP_NUM_THREADS": "1",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert "Traceback" not in completed.stderr, completed.stderr
    return completed


@pytest.fixture
def message(tmp_path: Path) -> Path:
    return tmp_path / "message"


TRIAL_ENDED = "The trial was ended by SIGTERM before it was complete."


@pytest.mark.parametrize(
    ("stage", "epochs"),
    [
        ("datasets.split:load", 0),
        ("network.network:build_network", 0),
        ("training.early_stop:train", 0),
        ("training.early_stop:_Run._evaluate", 0),
        ("training.epoch_log:EpochLog.log", 0),
        ("process.termination_message:Reporter.note", None),
    ],
)
def test_a_trial_that_is_ended_says_so(message: Path, stage: str, epochs: int | None) -> None:
    completed = run(message, stage, "run", BLOCKQNN_TRIAL=json.dumps(specification()))
    assert completed.returncode == 143, completed.stderr
    result = TrialResult.read(message.read_text())
    assert (result.outcome, result.reason) == (Outcome.FAILED, "Terminated")
    assert result.message == TRIAL_ENDED
    assert epochs is None or len(result.curve) == epochs
    assert completed.stdout.splitlines()[-1] == message.read_text()


@pytest.mark.parametrize(
    "stage", ["__main__:run_process", "process.job_process:JobProcess.take_over"]
)
def test_a_trial_that_is_ended_before_it_is_read_says_so(message: Path, stage: str) -> None:
    completed = run(message, stage, "run", BLOCKQNN_TRIAL=json.dumps(specification()))
    assert completed.returncode == 143, completed.stderr
    assert TRIAL_ENDED in message.read_text()


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = numpy.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=numpy.uint8)
    Image.fromarray(values).save(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for seed in range(6):
        draw(tmp_path / "images" / "ab"[seed % 2] / f"{seed}.png", seed)
    return tmp_path / "images"


@pytest.mark.parametrize(
    "stage",
    [
        "run.prepare_process:_PrepareProcess.take_over",
        "process.job_process:JobProcess.run",
        "datasets.image_folder:ImageFolder.fingerprint",
        "datasets.image_folder:decode",
        "datasets.prepared:_check_room",
        "datasets.prepared:complete_file",
        "process.volume:os.fsync",
        "process.volume:Path.replace",
        "process.volume:Path.unlink",
    ],
)
def test_a_preparation_that_is_ended_leaves_nothing_half_done(
    message: Path, images: Path, stage: str
) -> None:
    if stage.endswith("unlink"):  # while it removes what it could not finish
        (images / "b" / "9.png").write_bytes(b"")
    completed = run(message, stage, "prepare", "imagefolder", str(images))
    assert completed.returncode == 143, completed.stderr
    result = PreparationResult.read(message.read_text())
    assert (result.prepared, result.reason) == (False, "Terminated")
    assert result.message == "The preparation was ended by SIGTERM before it was complete."
    assert completed.stderr == result.message + "\n"
    (images / "b" / "9.png").unlink(missing_ok=True)
    again = run(message, "datasets.npz:read_npz", "prepare", "imagefolder", str(images))
    assert again.returncode == 0, again.stderr
    assert "6 images to train on" in message.read_text()
    suffixes = sorted(path.suffix for path in (images / ".blockqnn").iterdir())
    assert suffixes == ["", ".json", ".npy", ".npy"]


def test_a_preparation_that_is_complete_says_so_even_if_it_is_ended_then(
    message: Path, images: Path
) -> None:
    stage = "process.termination_message:Reporter.report"
    completed = run(message, stage, "prepare", "imagefolder", str(images))
    assert (completed.returncode, completed.stderr) == (0, "")
    assert PreparationResult.read(message.read_text()).prepared


@pytest.mark.parametrize(
    ("stage", "epochs", "checkpoint"),
    [
        ("finalists.volume:open_folder", 0, False),
        ("finalists.data_loader:open_feed", 0, False),
        ("finalists.network:build_finalist", 0, False),
        ("finalists.training:Momentum.step", 0, True),
        ("finalists.evaluation:Count.add", 0, True),
        ("finalists.checkpoint:CheckpointStore.write", 1, True),
        ("finalists.export:write_forms", 3, True),
    ],
)
def test_a_finalist_that_is_ended_keeps_what_it_has(
    message: Path, tmp_path: Path, stage: str, epochs: int, checkpoint: bool
) -> None:
    fields = json.dumps(finalist_fields(tmp_path))
    completed = run(message, stage, "finalist", BLOCKQNN_FINALIST=fields)
    assert completed.returncode == 143, completed.stderr
    result = FinalistResult.read(message.read_text())
    assert (result.outcome, result.reason) == (Outcome.FAILED, "Terminated")
    assert result.message == (
        f"The training was ended by SIGTERM after {epochs} of 3 epochs; another attempt continues "
        "from its last checkpoint."
    )
    folder = tmp_path / "digits" / "shortcut"
    assert bool(list(folder.glob("checkpoints/*.checkpoint"))) is checkpoint
    assert not list(folder.rglob("*.unfinished"))
