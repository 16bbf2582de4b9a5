"""A finalist from its specification to its files: every form answers as was reported."""

import json
import os
import shutil
from pathlib import Path

import numpy
import onnxruntime
import pytest
import torch
from finalist_specs import SHORTCUT, finalist_fields
from repository_paths import ROOT

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FinalistResult
from blockqnn.contract.message import Outcome
from blockqnn.network.spec import NetworkSpec
from blockqnn_trainer.__main__ import load_command, parse
from blockqnn_trainer.errors import ModelInvalid
from blockqnn_trainer.finalists.export import (
    DESCRIPTION,
    ONNX,
    PROGRAM,
    WEIGHTS,
    DeployedModel,
    write_forms,
)
from blockqnn_trainer.finalists.finish import RESULT
from blockqnn_trainer.finalists.load import load_model
from blockqnn_trainer.finalists.process import FinalistProcess
from blockqnn_trainer.finalists.verify import verify
from blockqnn_trainer.network.network import build_network

torch.set_num_threads(1)


def train(volume: Path, **changes: object) -> tuple[int, str]:
    """Train a finalist in this process; return the exit status and the message."""
    message = volume / "message"
    variables = {
        "TERMINATION_MESSAGE_PATH": str(message),
        "OMP_NUM_THREADS": "1",
        "BLOCKQNN_FINALIST": json.dumps(finalist_fields(volume, **changes)),
    }
    before = os.environ.get("OMP_NUM_THREADS")
    try:
        status = FinalistProcess(variables).run()
    finally:
        if before is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = before
    return status, message.read_text()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FinalistResult]:
    """The directory of a finalist that was trained on digits, and its result."""
    volume = tmp_path_factory.mktemp("volume")
    status, message = train(volume)
    assert status == 0, message
    return volume / "digits" / "shortcut", FinalistResult.read(message)


@pytest.fixture
def damaged(finished: tuple[Path, FinalistResult], tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(finished[0], tmp_path / "copy"))


def test_a_finalist_is_trained_and_reported(finished: tuple[Path, FinalistResult]) -> None:
    folder, result = finished
    assert (result.outcome, result.reason, result.message) == (Outcome.SUCCEEDED, "Completed", "")
    assert result.block_hash == canonical_hash(Block.parse(SHORTCUT))
    assert result.accuracy is not None
    assert result.accuracy > 0.5  # chance is 0.1
    assert result.top5_accuracy is not None
    assert result.accuracy <= result.top5_accuracy <= 1
    assert (result.epoch, result.epochs, len(result.curve)) == (3, 3, 3)
    assert result.curve[-1] == pytest.approx(result.accuracy, abs=1e-6)
    assert (result.measured_on, result.device, result.processes) == ("train", "cpu", 1)
    assert result.seconds.export > 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "block.json", "block.svg", "model.onnx", "model.pt2", "result.json",
        "weights.safetensors",
    ]  # fmt: skip
    assert json.loads((folder / RESULT).read_text())["result"]["accuracy"] == result.accuracy


def test_every_form_reproduces_the_reported_accuracy(
    finished: tuple[Path, FinalistResult], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, result = finished
    assert load_command(parse(["load", str(folder)])) == 0
    reported, *forms = capsys.readouterr().out.splitlines()
    assert reported == (
        f"reported: accuracy {result.accuracy:.4f}, top-5 {result.top5_accuracy:.4f}"
    )
    assert [line.partition(":")[0] for line in forms] == [WEIGHTS, PROGRAM, ONNX]
    assert {line.partition(": ")[2] for line in forms} == {reported.partition(": ")[2]}


def test_the_example_of_the_documentation_runs(
    finished: tuple[Path, FinalistResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "tasks" / "train-finalists.md").read_text()
    example = text.partition("```python\n")[2].partition("```")[0]
    assert len([line for line in example.splitlines() if line]) == 5
    monkeypatch.chdir(finished[0])
    variables: dict[str, object] = {}
    exec(example.replace("images.npy", str(_some_images(finished[0].parent))), variables)
    assert numpy.shape(variables["classes"]) == (3,)


def _some_images(folder: Path) -> Path:
    path = folder / "images.npy"
    numpy.save(path, numpy.arange(3 * 64, dtype=numpy.uint8).reshape(3, 8, 8, 1))
    return path


def test_a_model_takes_any_number_of_images(finished: tuple[Path, FinalistResult]) -> None:
    folder, _ = finished
    model, program = load_model(folder), torch.export.load(folder / PROGRAM).module()
    session = onnxruntime.InferenceSession(folder / ONNX, providers=["CPUExecutionProvider"])
    for count in (1, 2, 7):
        images = torch.randint(0, 256, (count, 8, 8, 1), dtype=torch.uint8)
        with torch.inference_mode():
            expected = model(images)
            torch.testing.assert_close(program(images), expected)
        [logits] = session.run(["logits"], {"images": images.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-4)


def test_models_of_every_type_of_layer_answer_the_same_in_all_forms(tmp_path: Path) -> None:
    block = Block.parse("(1,12,1,0,0)(2,11,3,1,0)(3,13,0,0,0)(4,5,0,2,3)(5,7,0,0,0)")
    spec = NetworkSpec(filters=(4, 8), repeats=2, output_projection=True)
    network = build_network(block, spec, (3, 8, 8), 5).eval()
    model = DeployedModel(network, torch.full((3,), 128.0), torch.full((3,), 60.0)).eval()
    images = torch.randint(0, 256, (4, 8, 8, 3), dtype=torch.uint8)
    assert set(write_forms(model, images, tmp_path)) == {WEIGHTS, PROGRAM, ONNX}
    with torch.inference_mode():
        expected = model(images)
        torch.testing.assert_close(torch.export.load(tmp_path / PROGRAM).module()(images), expected)
    session = onnxruntime.InferenceSession(tmp_path / ONNX, providers=["CPUExecutionProvider"])
    [logits] = session.run(["logits"], {"images": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-4)


def test_the_card_shows_block_recipe_data_and_figures(
    finished: tuple[Path, FinalistResult],
) -> None:
    folder, result = finished
    card = (folder / "README.md").read_text()
    assert result.accuracy is not None
    for part in (
        SHORTCUT,
        "●─┘   4  add           of 1 and 3",
        "![The block](block.svg)",
        f"| top-1 error | {1 - result.accuracy:.2%} |",
        "| recipe | cifar |",
        "| seed | 1 |",
        "Trained on 1,438 images of `digits`, measured on 359",
        "| search | default/test |",
        "| commit | unknown |",
    ):
        assert part in card
    assert "<svg" in (folder / "block.svg").read_text()


def test_a_complete_training_is_not_done_again(
    finished: tuple[Path, FinalistResult], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, result = finished
    status, message = train(folder.parents[1], attempt=1)
    again = FinalistResult.read(message)
    assert status == 0
    assert (again.accuracy, again.attempt, again.weights) == (result.accuracy, 1, result.weights)
    assert "epoch" not in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize("form", [WEIGHTS, PROGRAM, ONNX])
def test_a_damaged_form_is_told(damaged: Path, form: str) -> None:
    content = bytearray((damaged / form).read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / form).write_bytes(content)
    with pytest.raises(ModelInvalid, match=rf"The checksum of \S+{form} is not the one in"):
        verify(damaged, None, 1)
    (damaged / form).unlink()
    with pytest.raises(ModelInvalid, match=rf"{form} cannot be read: No such file or directory"):
        verify(damaged, None, 1)


def test_another_accuracy_than_the_reported_one_is_told(
    damaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    description = json.loads((damaged / DESCRIPTION).read_text())
    description["accuracy"] -= 0.1
    (damaged / DESCRIPTION).write_text(json.dumps(description))
    assert load_command(parse(["load", str(damaged)])) == 2
    error = capsys.readouterr().err
    assert "was reported with the accuracy" in error
    assert error.count("\n") == 1


def test_weights_of_another_block_are_told(damaged: Path) -> None:
    description = json.loads((damaged / DESCRIPTION).read_text())
    description["block"] = "(1,1,3,0,0)(2,7,0,0,0)"
    (damaged / DESCRIPTION).write_text(json.dumps(description))
    with pytest.raises(ModelInvalid, match="does not fit the block"):
        load_model(damaged)


@pytest.mark.parametrize("content", [None, "", "{}", "\udcff"])
def test_a_directory_without_a_model_is_told(
    damaged: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is None:
        (damaged / DESCRIPTION).unlink()
    else:
        (damaged / DESCRIPTION).write_bytes(content.encode(errors="surrogateescape"))
    assert load_command(parse(["load", str(damaged)])) == 2
    assert capsys.readouterr().err.startswith(("There is no", str(damaged)))
