"""A trial as a process: exit status, termination message, and what a person reads."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from trainer_trials import CODE, COMMAND, environment, specification

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import TrialResult
from blockqnn.network.cost import network_macs, network_parameters
from blockqnn_trainer import __main__ as command
from blockqnn_trainer.network.network import build_network
from blockqnn_trainer.process.termination_message import Reporter
from blockqnn_trainer.run import trial
from blockqnn_trainer.run.trial_process import TrialProcess

torch.set_num_threads(1)


@pytest.fixture
def message(tmp_path: Path) -> Path:
    return tmp_path / "termination-message"


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # which a trial sets for its process


def run(message: Path, fields: dict[str, Any]) -> tuple[int, TrialResult]:
    status = TrialProcess(environment(message, json.dumps(fields))).run()
    return status, TrialResult.read(message.read_text())


def test_a_trial_is_trained_and_reported(message: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, result = run(message, specification())
    block = Block.parse(CODE)
    assert status == 0
    assert (result.trial, result.attempt) == (7, 1)
    assert result.block_hash == canonical_hash(block)
    assert (result.outcome, result.reason, result.message) == (Outcome.SUCCEEDED, "Completed", "")
    assert result.accuracy is not None
    assert result.accuracy > 0.3  # chance is 0.1; a width of 4 does not reach far in 2 epochs
    assert result.curve[-1] == round(result.accuracy, 6)
    assert len(result.curve) == 2
    network = trial.TrialSpec.read(json.dumps(specification())).network
    assert result.parameters == network_parameters(block, network, (1, 8, 8), 10)
    assert result.macs == network_macs(block, network, (1, 8, 8), 10)
    assert (result.restarts, result.device) == (0, "cpu")
    seconds = result.seconds
    spent = seconds.start + seconds.data + seconds.build + seconds.train + seconds.evaluate
    assert min(seconds.start, seconds.train, seconds.evaluate) > 0
    assert spent <= seconds.total + 0.01  # clock ticks of the kernel
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[0] == (
        f"trial 7 attempt 1 of default/test: block {CODE}, {result.parameters:,} parameters, "
        f"{result.macs:,} MACs, on cpu with 1 thread(s)"
    )
    assert [line.partition(":")[0] for line in out.splitlines()[2:4]] == ["epoch 1/2", "epoch 2/2"]


NO_TRIAL = (
    "There is no trial to run: set the environment variable BLOCKQNN_TRIAL to its specification, "
    "or pass a file with --trial."
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, NO_TRIAL),
        ("", "The trial specification is wrong: Invalid JSON: EOF while parsing a value at line 1"),
        ("\udcff", "The trial specification is wrong: Invalid JSON: expected value at line 1"),
        (
            json.dumps(specification(training__epochs=0)),
            "The trial specification is wrong at training.epochs: Input should be greater than or "
            "equal to 1.",
        ),
        (
            json.dumps(specification(block="(1,1,3,0,0)(2,1,3,5,0)(3,7,0,0,0)")),
            "Layer (2,1,3,5,0) refers forward to layer 5; a predecessor has a smaller index than "
            "2.",
        ),
        (json.dumps(specification(block="ResNet")), "The code of the block cannot be read at"),
    ],
)
def test_what_is_no_trial_is_refused_in_a_sentence(
    message: Path, capsys: pytest.CaptureFixture[str], text: str | None, sentence: str
) -> None:
    assert TrialProcess(environment(message, text)).run() == 2
    assert message.read_text().startswith(sentence)
    assert "\n" not in message.read_text()
    assert capsys.readouterr().err == message.read_text() + "\n"


@pytest.mark.parametrize(
    ("changes", "reason", "sentence"),
    [
        (
            {"dataset__validation": {"source": "train", "fraction": 0.0001}},
            "DatasetInvalid",
            "Of 1797 images, dataset.validation.fraction 0.0001 leaves 1797 to train on and holds "
            "0 out; at least 2 and 1 are needed.",
        ),
        (
            {"network__filters": [4, 4, 4, 4, 4]},
            "NetworkInvalid",
            "network.filters names 5 stages, between which the image is halved, but images of 8x8 "
            "pixels allow only 4; give at most 4 filters.",
        ),
        (
            {"network__filters": [4, 4, 4, 4], "training__batchSize": 1},
            "NetworkInvalid",
            "training.batchSize is 1 and the 4 stages of network.filters leave an image one pixel, "
            "so batch norm has a single value; give a larger batch size or fewer filters.",
        ),
    ],
)
def test_an_input_that_stays_wrong_fails_with_status_2(
    message: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    reason: str,
    sentence: str,
) -> None:
    status, result = run(message, specification(**changes))
    assert status == 2
    assert (result.outcome, result.reason, result.message) == (Outcome.FAILED, reason, sentence)
    assert result.accuracy is None
    assert capsys.readouterr().err == sentence + "\n"


def test_images_that_are_not_there_are_worth_another_attempt(
    message: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = specification(dataset__name="npz", dataset__path="/nowhere")
    status, result = run(message, fields)
    assert status == 1
    assert (result.outcome, result.reason) == (Outcome.FAILED, "DatasetMissing")
    assert result.message == (
        "There is no file or directory /nowhere, which dataset.path names; is the volume with "
        "the dataset mounted there?"
    )
    assert capsys.readouterr().err == result.message + "\n"


def test_a_wrong_number_of_threads_fails_with_status_2(message: Path) -> None:
    variables = environment(message, json.dumps(specification()))
    assert TrialProcess({**variables, "BLOCKQNN_THREADS": "all"}).run() == 2
    assert TrialResult.read(message.read_text()).reason == "InvalidTrial"


def test_a_trial_file_is_read_instead_of_the_environment(message: Path, tmp_path: Path) -> None:
    file = tmp_path / "trial.json"
    assert TrialProcess(environment(message, None), file).run() == 2
    assert message.read_text().startswith("The trial file cannot be read: [Errno 2]")
    file.write_text(json.dumps(specification(training__epochs=1)))
    assert TrialProcess(environment(message, None), file).run() == 0
    assert TrialResult.read(message.read_text()).outcome is Outcome.SUCCEEDED


def test_a_block_that_never_learns_is_infeasible(message: Path, tmp_path: Path) -> None:
    # All images but one are the same, and those held out have another label than those trained on.
    held_out = torch.randperm(256, generator=torch.Generator().manual_seed(2))[:64]
    labels = numpy.zeros(256, dtype=numpy.uint8)
    labels[held_out.numpy()] = 1
    file = tmp_path / "grey.npz"
    images = numpy.full((256, 4, 4, 1), 9, dtype=numpy.uint8)
    images[0, 0] = 8
    numpy.savez(file, x=images, y=labels)
    status, result = run(
        message,
        specification(
            dataset__name="npz",
            dataset__path=str(file),
            dataset__validation={"source": "train", "fraction": 0.25},
            training__batchSize=4,
        ),
    )
    assert status == 0
    assert (result.outcome, result.reason) == (Outcome.INFEASIBLE, "NeverLearned")
    assert (result.accuracy, result.curve, result.restarts) == (None, (0.0,), 1)
    assert result.message == (
        "The first epoch ends with the validation accuracy 0.0000, no better than chance (0.5000), "
        "tried 2 times, the last time with the learning rate 0.004."
    )


def test_a_network_larger_than_the_memory_is_infeasible_before_it_is_built(message: Path) -> None:
    status, result = run(message, specification(network__filters=[4096] * 3, network__repeats=32))
    parameters = 4096 * 4096 * 9 * 96  # and a little more
    assert status == 0
    assert (result.outcome, result.reason) == (Outcome.INFEASIBLE, "OutOfMemory")
    assert result.message.startswith(f"The network has {parameters // 10**9},")
    assert "gradients and Adam's moments need 231.9 GB of memory" in result.message
    assert result.seconds.build == 0


def test_the_literal_growth_of_concatenations_is_infeasible_where_it_outgrows_the_memory(
    message: Path,
) -> None:
    """Two doublings in each of fourteen blocks: 4 channels become 4 * 4**14."""
    doubling = "(1,4,0,0,0)(2,2,3,1,0)(3,6,0,1,2)(4,2,3,3,0)(5,6,0,3,4)(6,7,0,0,0)"
    fields = specification(
        block=doubling, network__filters=[4], network__repeats=14, training__epochs=1
    )
    status, result = run(message, fields)
    # Whether so small a network beats chance within an epoch depends on the processor's rounding.
    assert (status, result.reason) in {
        (0, "Completed"),
        (0, "NeverLearned"),
    }, "with the projection it is small"
    fields["network"]["outputProjection"] = False
    status, result = run(message, fields)
    assert status == 0
    assert (result.outcome, result.reason) == (Outcome.INFEASIBLE, "OutOfMemory")
    assert result.seconds.build == 0


@pytest.mark.parametrize("kind", ["allocator", "size", "accelerator", "python", "onednn"])
def test_running_out_of_memory_is_infeasible(
    message: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def exhaust(*arguments: Any, **options: Any) -> None:
        if kind == "python":
            raise MemoryError
        if kind == "accelerator":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        if kind == "onednn":
            raise RuntimeError("could not create a primitive")
        # Torch's own errors: 2**50 bytes, and more than 64 bits can count.
        torch.empty(2**50 if kind == "allocator" else (2**40, 2**40), dtype=torch.uint8)

    monkeypatch.setattr(trial, "build_network", exhaust)
    status, result = run(message, specification())
    assert status == 0
    assert (result.outcome, result.reason) == (Outcome.INFEASIBLE, "OutOfMemory")
    assert result.message.startswith("The network or its training does not fit into the memory")
    assert "\n" not in result.message


def test_an_unexpected_error_is_one_line_and_its_traceback_is_in_the_log(
    message: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access\nwas encountered")

    monkeypatch.setattr(trial, "build_network", fail)
    status, result = run(message, specification())
    assert status == 1
    assert (result.outcome, result.reason) == (Outcome.FAILED, "Error")
    assert result.message == "RuntimeError: CUDA error: an illegal memory access was encountered"
    assert "Traceback (most recent call last):" in capsys.readouterr().err


def test_the_command_says_in_one_line_what_is_wrong(message: Path, tmp_path: Path) -> None:
    fields = specification(dataset__name="npz", dataset__path=str(tmp_path))
    completed = subprocess.run(
        [COMMAND, "run"],
        env={**os.environ, **environment(message, json.dumps(fields))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    sentence = (
        f"The directory {tmp_path}, which dataset.path names, has no *.npz file to train on "
        "(test.npz is left for a final measurement)."
    )
    assert completed.returncode == 1
    assert completed.stderr == sentence + "\n"
    result = TrialResult.read(message.read_text())
    assert completed.stdout == message.read_text() + "\n"
    assert (result.outcome, result.reason, result.message) == (
        Outcome.FAILED,
        "DatasetMissing",
        sentence,
    )


def test_sigterm_reports_what_there_is_within_a_second(message: Path) -> None:
    fields = specification(training__epochs=10_000)
    with subprocess.Popen(
        [COMMAND, "run"],
        env={**os.environ, **environment(message, json.dumps(fields))},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("epoch 3/") for line in lines)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        ended = time.monotonic()
    result = TrialResult.read(message.read_text())
    assert process.returncode == 128 + signal.SIGTERM
    assert (result.outcome, result.reason) == (Outcome.FAILED, "Terminated")
    assert result.message == "The trial was ended by SIGTERM before it was complete."
    assert len(result.curve) >= 3
    assert result.seconds.train > 0
    assert ended - began < 1


def test_a_kill_that_asks_nobody_leaves_what_was_noted_last(message: Path) -> None:
    fields = specification(training__epochs=10_000)
    with subprocess.Popen(
        [COMMAND, "run"],
        env={**os.environ, **environment(message, json.dumps(fields))},
        stdout=subprocess.DEVNULL,
    ) as process:
        while not message.exists() or not message.read_text():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    result = TrialResult.read(message.read_text())
    assert process.returncode == -signal.SIGKILL
    assert (result.outcome, result.reason) == (Outcome.FAILED, "Killed")
    assert result.message.endswith("as the kernel does when memory runs out.")


def test_each_epoch_is_noted(message: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[TrialResult] = []
    monkeypatch.setattr(Reporter, "note", lambda _reporter, result: noted.append(result))
    _, result = run(message, specification())
    assert [len(result.curve) for result in noted] == [0, 1, 2]
    assert noted[-1].curve == result.curve
    assert noted[-1].macs == result.macs


FRESH = """
import json, os, sys
from blockqnn_trainer.process import machine
from blockqnn_trainer.process.termination_message import Reporter
from blockqnn_trainer.run.trial_process import TrialProcess

assert "torch" not in sys.modules, "torch is imported before the input is read"
process = TrialProcess(os.environ)
process.take_over()
status = process.run()
heavy = "torchvision sklearn scipy pandas matplotlib sympy torch._dynamo torch._inductor".split()
imported = sorted(name for name in heavy if name in sys.modules)
machine.limit_memory(400 * 2**20)
large = json.loads(os.environ["BLOCKQNN_TRIAL"])
large["network"] = {"filters": [128], "repeats": 8, "outputProjection": True}
large["training"]["batchSize"] = 4096
os.environ["BLOCKQNN_TRIAL"] = json.dumps(large)
again = TrialProcess(os.environ).run()
print(json.dumps([status, imported, again]))
"""


def test_a_fresh_process_imports_little_and_survives_a_network_too_large(message: Path) -> None:
    fields = specification(training__epochs=1)
    completed = subprocess.run(
        [sys.executable, "-c", FRESH],
        env={**os.environ, **environment(message, json.dumps(fields))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    # Each of them would take from a fifth of a second to several, at every trial.
    assert json.loads(completed.stdout.splitlines()[-1]) == [0, [], 0]
    result = TrialResult.read(message.read_text())
    assert (result.outcome, result.reason) == (Outcome.INFEASIBLE, "OutOfMemory")
    assert "does not fit into the memory" in result.message


def test_describe_prints_a_network_or_one_line_of_what_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def describe(*arguments: str) -> tuple[int, str, str]:
        status = command.describe_command(command.parse(["describe", *arguments]))
        return status, *capsys.readouterr()

    status, out, err = describe(CODE, "--filters", "4", "--repeats", "1", "--image", "8", "8", "1")
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == f"block {canonical_hash(Block.parse(CODE))}"
    network = build_network(
        Block.parse(CODE),
        trial.TrialSpec.read(json.dumps(specification(network__filters=[4]))).network,
        (1, 8, 8),
        10,
    )
    assert f"parameters {sum(p.numel() for p in network.parameters())}" in out.splitlines()
    status, out, err = describe("(1,1,3,0,0)")
    assert (status, out) == (2, "")
    assert err == (
        "The block ends with (1,1,3,0,0); its last layer must be a terminal, (2,7,0,0,0).\n"
    )


def test_a_network_over_the_constraints_is_infeasible_before_it_is_built(message: Path) -> None:
    fields = specification()
    spec = trial.TrialSpec.read(json.dumps(fields))
    parameters = network_parameters(Block.parse(CODE), spec.network, (1, 8, 8), 10)
    status, result = run(message, {**fields, "constraints": {"maxParameters": parameters - 1}})
    assert status == 0
    assert (result.outcome, result.reason) == (Outcome.INFEASIBLE, "OverConstraint")
    assert result.message.startswith(f"The network has {parameters:,} parameters")
    assert result.seconds.build == 0
    fields["training"]["epochs"] = 1
    status, result = run(message, {**fields, "constraints": {"maxParameters": parameters}})
    assert result.outcome is Outcome.SUCCEEDED


def test_images_of_another_shape_than_was_said_are_refused(message: Path, tmp_path: Path) -> None:
    file = tmp_path / "images.npz"
    images = numpy.arange(40 * 8 * 8 * 3).reshape(40, 8, 8, 3).astype(numpy.uint8)
    numpy.savez(file, x=images, y=numpy.arange(40) % 4)
    shape = {"channels": 3, "height": 8, "width": 8, "classes": 5}
    status, result = run(
        message,
        specification(dataset__name="npz", dataset__path=str(file), dataset__shape=shape),
    )
    assert (status, result.reason) == (2, "DatasetInvalid")
    assert "8x8x3" in result.message
    assert "in 5 classes, but they are" in result.message


def test_a_block_of_separate_layers_learns(message: Path) -> None:
    """ReLU, convolution and batch norm as layers of their own, with a shortcut around them."""
    code = (
        "(1,8,3,0,0)(2,10,0,1,0)(3,9,0,2,0)(4,8,3,3,0)(5,10,0,4,0)(6,5,0,1,5)(7,9,0,6,0)(8,7,0,0,0)"
    )
    status, result = run(message, specification(block=code))
    assert (status, result.outcome) == (0, Outcome.SUCCEEDED)
    assert result.accuracy is not None
    assert result.accuracy > 0.3  # chance is 0.1
