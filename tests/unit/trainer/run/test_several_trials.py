"""Several trials in one process: each has its result, whatever becomes of the others."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from trainer_trials import COMMAND, environment, specification

from blockqnn.contract.message import RESULT_LIMIT, Outcome
from blockqnn.contract.trial import TrialResult
from blockqnn.contract.trial_group import TRIALS_VARIABLE, result_texts, write_results
from blockqnn_trainer.errors import OutOfMemory
from blockqnn_trainer.process.termination_message import Reporter, encode_all
from blockqnn_trainer.run import trial
from blockqnn_trainer.run.trial_process import FINISHED_VARIABLE, TrialProcess

CODES = ("(1,1,3,0,0)(2,7,0,0,0)", "(1,1,1,0,0)(2,7,0,0,0)", "(1,1,5,0,0)(2,3,3,1,0)(3,7,0,0,0)")


@pytest.fixture
def message(tmp_path: Path) -> Path:
    return tmp_path / "termination-message"


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # which a trial sets for its process


def several(count: int = 3, **changes: Any) -> list[dict[str, Any]]:
    """Trials 4, 5, ... of a second each, of different blocks."""
    return [
        specification(trial=4 + number, block=CODES[number % 3], **changes)
        for number in range(count)
    ]


def variables(message: Path, trials: list[dict[str, Any]], **more: str) -> dict[str, str]:
    return {**environment(message, None), TRIALS_VARIABLE: json.dumps(trials), **more}


def results_in(text: str) -> list[TrialResult]:
    return [TrialResult.read(result_text) for result_text in result_texts(text).values()]


def run(message: Path, trials: list[dict[str, Any]], **more: str) -> tuple[int, list[TrialResult]]:
    status = TrialProcess(variables(message, trials, **more)).run()
    return status, results_in(message.read_text())


def test_each_trial_gives_what_it_gives_alone(message: Path) -> None:
    status, results = run(message, several())
    assert status == 0
    assert [result.trial for result in results] == [4, 5, 6]
    assert results[0].seconds.start > 0
    assert [result.seconds.start for result in results[1:]] == [0, 0]
    for fields, result in zip(several(), results, strict=True):
        assert TrialProcess(environment(message, json.dumps(fields))).run() == 0
        alone = TrialResult.read(message.read_text())
        without_times = {"seconds": alone.seconds}
        assert result.model_copy(update=without_times) == alone


def test_images_are_read_once(message: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial._load_once.cache_clear()
    run(message, several())
    assert trial._load_once.cache_info().misses == 1


def test_each_result_is_in_the_message_as_soon_as_there_is_one(
    message: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[list[tuple[int, str]]] = []
    write = Reporter._write

    def spy(reporter: Reporter, text: str) -> None:
        write(reporter, text)
        said.append([(result.trial, result.reason) for result in results_in(message.read_text())])

    monkeypatch.setattr(Reporter, "_write", spy)
    run(message, several(2))
    assert said == [
        *[[(4, "Killed")]] * 3,  # read, and after each of two epochs
        [(4, "Completed")],
        *[[(4, "Completed"), (5, "Killed")]] * 3,
        [(4, "Completed"), (5, "Completed")],
    ]
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [TrialResult.read(line).trial for line in printed] == [4, 5]


def test_an_infeasible_block_does_not_end_those_behind_it(message: Path) -> None:
    trials = several()
    trials[1]["constraints"] = {"maxParameters": 1}
    status, results = run(message, trials)
    assert status == 0
    assert [result.reason for result in results] == ["Completed", "OverConstraint", "Completed"]


def test_a_trial_that_cannot_be_run_leaves_the_results_before_it(message: Path) -> None:
    trials = several()
    trials[1]["network"] = {"filters": [4] * 5, "repeats": 1, "outputProjection": True}
    status, results = run(message, trials)
    assert status == 2
    assert [(r.trial, r.reason) for r in results] == [(4, "Completed"), (5, "NetworkInvalid")]


def test_a_block_that_is_none_is_not_blamed_on_the_trial_before(
    message: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = several()
    trials[1]["block"] = "ResNet"
    status, results = run(message, trials)
    assert status == 2
    assert [(r.trial, r.reason) for r in results] == [(4, "Completed")]
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "The list of trial specifications is empty."),
        ("\udcff", "The list of trial specifications is wrong: Invalid JSON"),
    ],
)
def test_what_is_no_list_of_trials_is_refused_in_a_sentence(
    message: Path, text: str, sentence: str
) -> None:
    assert TrialProcess({**environment(message, None), TRIALS_VARIABLE: text}).run() == 2
    assert message.read_text().startswith(sentence)


def test_an_unexpected_error_leaves_the_results_before_it(
    message: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = trial.build_network

    def fail(block: Any, *arguments: Any, **options: Any) -> Any:
        if str(block) == CODES[1]:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return build(block, *arguments, **options)

    monkeypatch.setattr(trial, "build_network", fail)
    status, results = run(message, several())
    assert status == 1
    assert [(r.trial, r.outcome) for r in results] == [
        (4, Outcome.SUCCEEDED),
        (5, Outcome.FAILED),
    ]


def start(message: Path, trials: list[dict[str, Any]]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "run"],
        env={**os.environ, **variables(message, trials)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_that_is_ended_keeps_what_is_finished(
    message: Path, number: signal.Signals
) -> None:
    trials = several()
    trials[1]["training"]["epochs"] = 10_000
    with start(message, trials) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("epoch 3/10000") for line in lines)
        process.send_signal(number)
        process.communicate(timeout=60)
    first, second = results_in(message.read_text())
    assert (first.trial, first.outcome) == (4, Outcome.SUCCEEDED)
    expected = "Terminated" if number is signal.SIGTERM else "Killed"
    assert (second.trial, second.outcome, second.reason) == (5, Outcome.FAILED, expected)
    assert len(second.curve) >= 3
    assert process.returncode == (143 if number is signal.SIGTERM else -signal.SIGKILL)


FULL = """
import os, sys
from blockqnn_trainer.run import trial
from blockqnn_trainer.run import trial_process as run
from blockqnn_trainer.errors import OutOfMemory

run_trial = trial.run_trial

def full(spec, block, progress, note):
    first = run.FINISHED_VARIABLE not in os.environ
    if spec.trial == 5 and first:
        return progress.result("Infeasible", "OutOfMemory", "What was there before filled it.")
    return run_trial(spec, block, progress, note)

trial.run_trial = full
process = run.TrialProcess(os.environ)
process.take_over()
sys.exit(process.run())
"""


def test_a_later_trial_without_memory_gets_a_program_of_its_own(message: Path) -> None:
    """The program is another, the process is the same: its parent sees one that ends well."""
    completed = subprocess.run(
        [COMMAND.with_name("python"), "-c", FULL],
        env={**os.environ, **variables(message, several())},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    results = results_in(message.read_text())
    assert [(r.trial, r.reason) for r in results] == [(n, "Completed") for n in (4, 5, 6)]
    assert "trial 5 runs again, with all the memory for itself" in completed.stdout
    assert results[1].seconds.start > 0


def test_the_next_program_begins_with_the_standard_streams_alone(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from blockqnn_trainer.run.trial_process import _leave_files_behind\n"
        "os.set_inheritable(os.open('/dev/null', os.O_RDONLY), True)\n"
        "_leave_files_behind()\n"
        "listing = 'import os; print(len(os.listdir(\"/proc/self/fd\")) - 1)'\n"
        "os.execv(sys.executable, [sys.executable, '-c', listing])\n"
    )
    python = COMMAND.with_name("python")
    completed = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    assert completed.stdout == "3\n"


def test_in_a_program_of_its_own_there_is_no_further_excuse(
    message: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhaust(*arguments: Any, **options: Any) -> None:
        raise OutOfMemory("The network does not fit.")

    monkeypatch.setattr(trial, "build_network", exhaust)
    _, before = run(message, several(1, training__epochs=1))
    finished = write_results(before)
    _, results = run(message, several()[1:2], **{FINISHED_VARIABLE: finished})
    assert [(r.trial, r.reason) for r in results] == [(4, "OutOfMemory"), (5, "OutOfMemory")]


def test_what_does_not_fit_is_shortened_where_it_is_longest(message: Path) -> None:
    _, (result,) = run(message, several(1))
    long = result.model_copy(update={"curve": tuple(round(n / 129, 6) for n in range(128))})
    usual = result.model_copy(update={"curve": long.curve[12:24]})
    results = [long, *[usual.model_copy(update={"trial": 5 + n}) for n in range(7)]]
    text = encode_all(results)
    assert len(text.encode()) <= RESULT_LIMIT
    first, *others = results_in(text)
    assert first.curve[-1] == long.curve[-1]
    assert 1 < len(first.curve) < 128
    assert others == results[1:]
