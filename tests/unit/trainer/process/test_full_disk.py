"""A volume without room left, as a real file system of some kilobytes: it is the volume's fault."""

import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from finalist_specs import finalist_fields
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from trainer_trials import specification

from blockqnn.contract.finalist import FinalistResult
from blockqnn.contract.preparation import PreparationResult
from blockqnn.contract.trial import TrialResult
from blockqnn_trainer.process.termination_message import Reporter
from blockqnn_trainer.run.progress import TrialProgress

MOUNT = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]


def can_mount() -> bool:
    """Whether this user may have file systems of their own."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run([*MOUNT, "mount -t tmpfs none /mnt"], capture_output=True, check=False)
    return tried.returncode == 0


needs_mount = pytest.mark.skipif(not can_mount(), reason="no user namespaces here")


def run_on_disk(
    disk: Path, size: str, command: list[str], message: Path, before: str = "true", **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a command where a folder is a file system of its own, with what the folder has in it."""
    copy = disk.with_name("copy")
    disk.mkdir(exist_ok=True)
    shutil.copytree(disk, copy)
    quoted = shlex.quote(str(disk))
    script = (
        f"mount -t tmpfs -o {size} none {quoted} && cp -r {shlex.quote(str(copy))}/. {quoted} && "
        f"{before} && exec {shlex.join(command)}"
    )
    variables = {"TERMINATION_MESSAGE_PATH": str(message), "OMP_NUM_THREADS": "1", **more}
    completed = subprocess.run(
        [*MOUNT, script],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert "Traceback" not in completed.stderr, completed.stderr
    return completed


def draw_all(root: Path, count: int) -> None:
    for seed in range(count):
        path = root / "ab"[seed % 2] / f"{seed}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = numpy.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=numpy.uint8)
        Image.fromarray(values).save(path, quality=20)


WITHOUT_A_LOOK_AT_THE_ROOM = """
import shutil, sys
shutil.disk_usage = lambda path: type("Usage", (), {"free": 2**60})
from blockqnn_trainer import __main__
sys.argv = ["blockqnn-train", *sys.argv[1:]]
__main__.main()
"""


@needs_mount
@pytest.mark.parametrize(
    ("size", "looks", "sentence"),
    [
        ("size=200k", True, "GB are needed for the images. Enlarge the volume."),
        ("size=200k", False, "The volume at DISK is full; enlarge it."),
        ("size=9m,nr_inodes=35", True, "The volume at DISK is full; enlarge it."),
    ],
)
def test_images_that_find_no_room(tmp_path: Path, size: str, looks: bool, sentence: str) -> None:
    disk, message = tmp_path / "disk", tmp_path / "message"
    draw_all(disk, 30)
    program = ["-m", "blockqnn_trainer"] if looks else ["-c", WITHOUT_A_LOOK_AT_THE_ROOM]
    command = [sys.executable, *program, "prepare", "imagefolder", str(disk)]
    listing = shlex.join(["ls", str(disk / ".blockqnn")])
    completed = run_on_disk(
        disk, size, ["sh", "-c", f"{shlex.join(command)}; echo $?; {listing}"], message
    )
    result = PreparationResult.read(message.read_text())
    assert result.reason == "VolumeUnusable", completed.stderr
    assert result.message.endswith(sentence.replace("DISK", str(disk)))
    # The status, and nothing but the lock is left to take room.
    assert completed.stdout.splitlines()[1:] in (["2", "lock"], ["2"])


@needs_mount
@pytest.mark.parametrize("size", ["size=12k", "size=160k"])
def test_a_finalist_that_finds_no_room(tmp_path: Path, size: str) -> None:
    """The smaller disk has no room for a checkpoint, the larger one none for the model."""
    disk, message = tmp_path / "disk", tmp_path / "message"
    completed = run_on_disk(
        disk,
        size,
        [sys.executable, "-m", "blockqnn_trainer", "finalist"],
        message,
        BLOCKQNN_FINALIST=json.dumps(finalist_fields(disk)),
    )
    result = FinalistResult.read(message.read_text())
    assert (completed.returncode, result.reason) == (2, "VolumeUnusable"), completed.stderr
    assert result.message.endswith(
        " is full; enlarge it. The training continues from what was written before."
    )
    assert len(result.curve) == (1 if size == "size=12k" else 3)


@needs_mount
def test_a_verdict_that_cannot_be_written_is_no_verdict(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    message = disk / "message"
    completed = run_on_disk(
        disk,
        "size=16k",
        [sys.executable, "-m", "blockqnn_trainer", "run"],
        message,
        before=shlex.join(["sh", "-c", f"cat /dev/zero > {disk}/filler 2>/dev/null; true"]),
        BLOCKQNN_TRIAL=json.dumps(specification()),
    )
    assert completed.returncode == 1
    lines = completed.stdout.splitlines()
    assert f"The termination message cannot be written to {message}: No space left on device." in (
        lines
    )
    assert TrialResult.read(lines[-1]).reason == "Completed"


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 5000), st.booleans())
def test_a_message_is_whole_or_not_there(tmp_path: Path, room: int, noted: bool) -> None:
    """The kernel cuts a write short at a limit of the size of files, as it does on a full disk."""
    path = tmp_path / "message"
    path.unlink(missing_ok=True)
    reporter = Reporter({"TERMINATION_MESSAGE_PATH": str(path)})
    progress = TrialProgress(1, 0, "0123456789abcdef")
    if noted:
        reporter.note(progress.result("Failed", "Killed", "It was killed."))
    progress.curve = tuple(1 / number for number in range(1, 100))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        reporter.report(progress.result("Failed", "Error", "No."))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    text = path.read_text()
    reason = TrialResult.read(text).reason if text else ""
    assert reporter.lost is (reason != "Error")
    # Where there is no room at all, the earlier message stays, which is whole.
    assert reason in ("Error", "", *(["Killed"] if noted else []))
