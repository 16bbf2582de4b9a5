"""Images that do not fit into the memory are not blamed on a block."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from finalist_specs import finalist_fields
from trainer_trials import specification

from blockqnn.contract.finalist import FINALIST_VARIABLE
from blockqnn.contract.preparation import PreparationResult
from blockqnn.contract.trial import TRIAL_VARIABLE

SHORT_OF_MEMORY = """
import re, resource, sys
from pathlib import Path
from blockqnn_trainer import __main__
from blockqnn_trainer.datasets import split

load = split.load

def load_with_little(*arguments):
    # What is mapped already, and a little more: as a container's limit leaves it.
    status = Path("/proc/self/status").read_text()
    mapped = int(re.search("VmData:[^0-9]*([0-9]+)", status)[1]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (mapped + 20_000_000, resource.RLIM_INFINITY))
    return load(*arguments)

split.load = load_with_little
sys.argv = ["blockqnn-train", *sys.argv[1:]]
__main__.main()
"""


LITTLE_MEMORY = """
import sys
from blockqnn_trainer import __main__
from blockqnn_trainer.datasets import npz
from blockqnn_trainer.run import prepare_process

prepare_process.memory_limit = lambda: 90_000_000  # what the container has, beside what is mapped
sys.argv = ["blockqnn-train", *sys.argv[1:]]
__main__.main()
"""


def test_images_that_cannot_be_prepared_in_the_memory_are_told_as_such(tmp_path: Path) -> None:
    file, message = tmp_path / "images.npz", tmp_path / "message"
    numpy.savez_compressed(
        file, x=numpy.zeros((200, 1000, 1000, 1), numpy.uint8), y=numpy.arange(200) % 2
    )
    completed = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY, "prepare", "npz", str(file)],
        env={**os.environ, "TERMINATION_MESSAGE_PATH": str(message)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    result = PreparationResult.read(message.read_text())
    assert (completed.returncode, result.reason) == (2, "DatasetTooLarge"), completed.stderr
    assert result.message == (
        f"The images of npz at {file} do not fit into the memory, where they are prepared; give "
        "the container more, or use fewer or smaller images."
    )


@pytest.mark.parametrize(
    ("command", "variable", "status"),
    [("run", TRIAL_VARIABLE, 1), ("finalist", FINALIST_VARIABLE, 2)],
)
def test_images_that_do_not_fit_are_told_as_such(
    tmp_path: Path, command: str, variable: str, status: int
) -> None:
    file, message = tmp_path / "images.npz", tmp_path / "message"
    images = numpy.zeros((100, 1000, 1000, 1), numpy.uint8)
    images[::2, 0, 0] = 9
    numpy.savez_compressed(file, x=images, y=numpy.arange(100) % 2)
    changes: dict[str, Any] = {"dataset__name": "npz", "dataset__path": str(file)}
    fields = specification(**changes) if command == "run" else finalist_fields(tmp_path, **changes)
    completed = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY, command],
        env={**os.environ, "TERMINATION_MESSAGE_PATH": str(message), variable: json.dumps(fields)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    result = json.loads(message.read_text())
    assert (completed.returncode, result["outcome"], result["reason"]) == (
        status,
        "Failed",
        "DatasetTooLarge",
    ), result
    assert result["message"].startswith(
        f"The images of npz at {file} do not fit into the memory, where a training keeps all of "
        "them; give the container more, or use fewer or smaller images ("
    )
    assert "Traceback" not in completed.stderr
