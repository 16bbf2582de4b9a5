"""The frame of a Job's process, by a kind that the operator does not have: it measures latency."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from latency_process import SOURCE, LatencyProcess, LatencyProgress, LatencyResult, variables

from blockqnn_trainer.errors import DatasetMissing, InvalidTrial
from blockqnn_trainer.process import progress as clock
from blockqnn_trainer.process.job_process import JobProcess, Stopped, run_process
from blockqnn_trainer.process.progress import Stage
from blockqnn_trainer.run.progress import TrialProgress


@pytest.fixture
def message(tmp_path: Path) -> Path:
    return tmp_path / "message"


def run(message: Path, error: BaseException) -> tuple[int, str, str]:
    """The exit status, reason and message of a measurement that raises an error."""

    class Failing(LatencyProcess):
        def measure(self, progress: LatencyProgress) -> LatencyResult:
            raise error

    status = Failing(variables(message)).run()
    result = LatencyResult.read(message.read_text())
    return status, result.reason, result.message


def test_a_verdict_is_the_message_and_status_0(
    message: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert LatencyProcess(variables(message)).run() == 0
    assert message.read_text() == '{"reason":"Completed","message":"","milliseconds":1.5}'
    assert capsys.readouterr() == (message.read_text() + "\n", "")


def test_what_cannot_be_read_is_a_sentence_and_status_2(message: Path) -> None:
    assert LatencyProcess({"TERMINATION_MESSAGE_PATH": str(message)}).run() == 2
    assert message.read_text() == (
        "There is no block to measure: set the environment variable LATENCY to its "
        "specification, or pass a file with --spec."
    )
    assert LatencyProcess(variables(message, block="none")).run() == 2
    assert "cannot be read" in message.read_text()


def test_each_kind_says_which_errors_are_worth_another_attempt(message: Path) -> None:
    assert run(message, DatasetMissing("No images.")) == (1, "DatasetMissing", "No images.")
    assert LatencyProcess.worth_retrying == (DatasetMissing,)
    assert JobProcess.worth_retrying == ()


def test_an_unexpected_error_is_one_line_and_status_1(
    message: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(message, OSError("a\nfault")) == (1, "Error", "OSError: a fault")
    assert "Traceback" in capsys.readouterr().err


def test_work_that_stops_when_asked_is_reported_as_ended_by_the_signal(message: Path) -> None:
    assert run(message, Stopped()) == (143, "Terminated", "The measurement was ended by SIGTERM.")


SLEEPING = """
import sys, time
sys.path[:0] = {path!r}
from blockqnn_trainer.process.job_process import run_process
from latency_process import LatencyProcess, variables

class Sleeping(LatencyProcess):
    def measure(self, progress):
        print("measuring", flush=True)
        time.sleep(60)

from pathlib import Path
sys.exit(run_process(Sleeping(variables(Path({message!r})))))
"""


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [
        (signal.SIGTERM, 143, "Terminated"),
        (signal.SIGINT, 130, "Terminated"),
        (signal.SIGKILL, -9, "Killed"),
    ],
)
def test_a_process_that_is_ended_leaves_a_message(
    message: Path, number: signal.Signals, status: int, reason: str
) -> None:
    program = SLEEPING.format(path=sys.path, message=str(message))
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "measuring\n"
        os.kill(process.pid, number)
        process.communicate(timeout=30)
    assert process.returncode == status
    assert LatencyResult.read(message.read_text()).reason == reason


def test_a_process_that_is_run_owns_this_one(
    message: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LatencyProcess, "take_over", lambda process: order.append("take over"))
    monkeypatch.setattr(LatencyProcess, "run", lambda process: order.append("run") or 7)
    order: list[str] = []
    assert run_process(LatencyProcess(variables(message))) == 7
    assert order == ["take over", "run"]


def nestings(depth: int = 3) -> st.SearchStrategy[list[object]]:
    """Stages with the stages inside them: [("train", [("evaluate", [])]), ...]."""
    stages = st.sampled_from(["data", "build", "train", "evaluate", "checkpoint", "export"])
    if not depth:
        return st.just([])
    return st.lists(st.tuples(stages, nestings(depth - 1)), max_size=3)


@settings(max_examples=100, deadline=None)
@given(nestings())
def test_each_second_belongs_to_the_innermost_stage(
    nesting: list[tuple[Stage, list[object]]],
) -> None:
    """By a clock that goes on by one second each time a stage is entered."""
    now = 0.0
    expected: dict[str, float] = {}
    progress = TrialProgress(1, 0, "0123456789abcdef")

    def work(stages: list[tuple[Stage, list[object]]]) -> None:
        nonlocal now
        for stage, inner in stages:
            with progress.timed(stage):
                now += 1
                expected[stage] = expected.get(stage, 0) + 1
                seen = progress.times()
                assert {name: seen[name] for name in expected} == expected
                work(inner)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(clock.time, "monotonic", lambda: now)
        work(nesting)
        now += 100  # belongs to no stage
        times = progress.times()
    assert {name: times[name] for name in times if name not in ("start", "total")} == expected
    assert times["start"] == times["total"] <= time.monotonic()


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    assert SOURCE.read({"LATENCY": "a\udcffb"}, None) == "a?b"
    file = tmp_path / "spec"
    file.write_bytes(b"\xff")
    with pytest.raises(InvalidTrial, match=r"^The file cannot be read: "):
        SOURCE.read({}, file)
