"""The termination message: complete at any moment, never too long, written once."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from latency_process import LatencyProcess, LatencyResult, variables
from trainer_trials import environment, specification

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.message import CURVE_LIMIT, LARGEST_COUNT, RESULT_LIMIT, Outcome
from blockqnn.contract.metrics import MOST_MACS, MOST_PARAMETERS
from blockqnn.contract.preparation import PreparationResult
from blockqnn.contract.trial import TrialResult
from blockqnn_trainer.process import termination_message as result
from blockqnn_trainer.process.termination_message import Reporter, encode, thin
from blockqnn_trainer.run.prepare_process import run_prepare
from blockqnn_trainer.run.progress import TrialProgress
from blockqnn_trainer.run.trial_process import TrialProcess

HASH = "0123456789abcdef"
accuracies = st.floats(0, 1)


def finished(path: Path) -> TrialResult:
    return TrialResult.read(path.read_text())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(accuracies, max_size=400),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=600),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=100),
)
def test_every_result_fits_and_can_be_read(curve: list[float], message: str, device: str) -> None:
    progress = TrialProgress(LARGEST_COUNT, 3, HASH)
    progress.curve = tuple(curve)
    progress.device = device
    progress.measured = {"parameters": MOST_PARAMETERS, "macs": MOST_MACS}
    text = encode(progress.result(Outcome.FAILED, "Error", message))
    assert len(text.encode()) <= RESULT_LIMIT
    read = TrialResult.read(text)
    assert read.curve == thin(tuple(round(accuracy, 6) for accuracy in curve), len(read.curve))
    assert read.message == message.replace("\0", "?") or read.message.endswith("…")


def test_the_longest_result_keeps_its_cause_and_the_end_of_its_curve() -> None:
    progress = TrialProgress(1, 0, HASH)
    progress.curve = tuple(1 / (3 + epoch) for epoch in range(10_000))
    read = TrialResult.read(encode(progress.result(Outcome.FAILED, "Error", "\x01" * 1000)))
    assert read.reason == "Error"
    assert read.message[:100] == "\x01" * 100
    assert read.curve[-1] == round(progress.curve[-1], 6)
    usual = TrialResult.read(encode(progress.result(Outcome.FAILED, "Error", "x" * 1000)))
    assert len(usual.curve) == CURVE_LIMIT
    assert usual.message == "x" * 399 + "…"


@given(st.lists(accuracies, max_size=300), st.integers(1, 200))
def test_a_thinned_curve_is_a_part_of_the_curve_in_order_with_its_end(
    curve: list[float], limit: int
) -> None:
    numbered = tuple(float(number) for number in range(len(curve)))
    thinned = thin(numbered, limit)
    assert len(thinned) == min(limit, len(curve))
    assert list(thinned) == sorted(set(thinned))
    assert thinned[-1:] == numbered[-1:]


def test_seconds_tell_each_stage_the_running_one_included() -> None:
    progress = TrialProgress(1, 0, HASH)
    before = progress.seconds()
    assert before.start == before.total  # nothing but imports so far
    assert before.data == before.train == 0
    progress.start = 0.5
    with progress.timed("train"):
        pass
    with progress.timed("train"):
        while progress.seconds().train < 0.01:
            pass
    trained = progress.seconds().train
    assert trained >= 0.01
    while progress.seconds().total < before.total + 0.05:
        pass
    assert progress.seconds().train == trained
    assert progress.seconds().start == 0.5


def test_the_first_message_stays_and_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "message"
    reporter = Reporter({"TERMINATION_MESSAGE_PATH": str(path)})
    progress = TrialProgress(4, 1, HASH)
    assert reporter.report(progress.result(Outcome.SUCCEEDED, "Completed", accuracy=0.5))
    assert not reporter.report("Something else.")
    assert finished(path).accuracy == 0.5
    assert capsys.readouterr().out == path.read_text() + "\n"


def test_what_is_noted_gives_way_to_the_last_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "message"
    path.write_text("x" * 9000)
    reporter = Reporter({"TERMINATION_MESSAGE_PATH": str(path)})
    progress = TrialProgress(4, 1, HASH)
    reporter.note(progress.result(Outcome.FAILED, "Killed", "It was killed."))
    assert finished(path).reason == "Killed"
    assert capsys.readouterr().out == ""
    reporter.report(progress.result(Outcome.SUCCEEDED, "Completed", accuracy=0.5))
    reporter.note(progress.result(Outcome.FAILED, "Killed", "It was killed."))
    assert finished(path).reason == "Completed"


def test_a_sentence_without_a_result_is_cut_to_what_fits(tmp_path: Path) -> None:
    path = tmp_path / "message"
    assert Reporter({"TERMINATION_MESSAGE_PATH": str(path)}).report("é" * 5000)
    assert path.read_text() == "é" * (RESULT_LIMIT // 2)


def test_a_message_that_cannot_be_written_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none" / "message"
    assert Reporter({"TERMINATION_MESSAGE_PATH": str(path)}).report("It ended.")
    out = capsys.readouterr().out
    assert out.startswith(f"The termination message cannot be written to {path}: ")
    assert out.endswith("\nIt ended.\n")


def test_outside_a_container_the_default_file_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    default = tmp_path / "termination-log"
    monkeypatch.setattr(result, "TERMINATION_FILE", default)
    assert Reporter({}).report("It ended.")
    assert not default.exists()
    assert capsys.readouterr().out == "It ended.\n"
    default.touch()
    assert Reporter({}).report("It ended.")
    assert default.read_text() == "It ended."


def test_every_process_writes_its_messages_in_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that results can travel by something else: tests/unit/operator/core/test_transport.py."""
    written: list[str] = []
    monkeypatch.setattr(Reporter, "_write", lambda _reporter, text: written.append(text))
    message = tmp_path / "message"
    assert LatencyProcess(variables(message)).run() == 0
    assert LatencyResult.read(written.pop()).milliseconds == 1.5
    dataset = DatasetSpec.model_validate(specification()["dataset"])
    assert run_prepare(dataset, environment(message, None)) == 0
    assert PreparationResult.read(written.pop()).prepared
    trial = specification(dataset__name="npz", dataset__path=str(tmp_path / "nothing"))
    assert TrialProcess(environment(message, json.dumps(trial))).run() == 1
    assert TrialResult.read(written.pop()).reason == "DatasetMissing"
    assert not message.exists()
