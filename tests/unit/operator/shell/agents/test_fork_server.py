"""The process that agents are forked from: it starts, or the operator says why it cannot."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
from blockqnn_operator.errors import AgentsUnavailable
from blockqnn_operator.shell.agents.process import prepare
try:
    prepare()
except AgentsUnavailable as error:
    print(error)
"""


def said_with(folder: Path) -> str:
    """Return the words of a process whose temporary files are in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_long_path_of_temporary_files_is_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 20)
    said = said_with(folder)
    assert str(folder) in said
    assert "TMPDIR" in said


def test_the_process_starts_where_the_path_is_short(tmp_path_factory) -> None:
    assert said_with(tmp_path_factory.mktemp("short")) == ""
