"""Loads a finalist's model, in each of its forms."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import onnxruntime  # type: ignore[import-untyped]
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from blockqnn.block.nsc import Block
from blockqnn.contract.message import describe
from blockqnn.errors import InvalidBlock
from blockqnn_trainer.errors import ModelInvalid
from blockqnn_trainer.finalists.export import (
    DESCRIPTION,
    INPUT,
    ONNX,
    OUTPUT,
    PROGRAM,
    WEIGHTS,
    DeployedModel,
    ModelDescription,
)
from blockqnn_trainer.finalists.network import build_finalist

Classifier = Callable[[Tensor], Tensor]
"""Maps images, uint8, N x height x width x channels, on the CPU, to N x classes logits."""


def read_description(folder: Path) -> ModelDescription:
    """Read the description of the model in a directory.

    Raises:
        ModelInvalid: when there is no model, or it cannot be read.
    """
    path = folder / DESCRIPTION
    try:
        return ModelDescription.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelInvalid(
            f"There is no {path}: the directory holds no finalist whose training is complete."
        ) from None
    except ValidationError as error:
        raise ModelInvalid(f"{path} {describe(error)}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelInvalid(f"{path} cannot be read: {error}.") from None


def load_model(folder: Path | str) -> nn.Module:
    """Build the network of a finalist again and give it its weights.

    Args:
        folder: the finalist's directory on the volume.

    Returns:
        A module in evaluation mode, on the CPU, that maps images as bytes, uint8, N x height x
        width x channels, to N x classes logits.

    Raises:
        ModelInvalid: when the files are not there, damaged, or do not fit the block.
    """
    folder = Path(folder)
    description = read_description(folder)
    content = _read(folder, WEIGHTS, description)
    shape = description.channels, description.height, description.width
    try:
        block = Block.parse(description.block)
        network = build_finalist(block, description.network, shape, description.classes, seed=0)
        network.load_state_dict(load(content))
    except (InvalidBlock, SafetensorError, RuntimeError) as error:
        first_line = str(error).partition("\n")[0]
        raise ModelInvalid(f"{folder / WEIGHTS} does not fit the block: {first_line}") from None
    mean, deviation = (torch.tensor(v) for v in (description.mean, description.deviation))
    return DeployedModel(network, mean, deviation).eval()


def open_form(folder: Path, form: str, description: ModelDescription) -> Classifier:
    """Open one of the forms of a model.

    Args:
        folder: the finalist's directory.
        form: `weights.safetensors`, `model.pt2` or `model.onnx`.
        description: the content of ``block.json``.

    Raises:
        ModelInvalid: when the file is not there or damaged.
    """
    if form == WEIGHTS:
        return cast(Classifier, load_model(folder))
    content = _read(folder, form, description)
    if form == PROGRAM:
        return cast(Classifier, torch.export.load(folder / PROGRAM).module())
    assert form == ONNX
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run([OUTPUT], {INPUT: images.numpy()})[0])


FORMS = (WEIGHTS, PROGRAM, ONNX)


def _read(folder: Path, name: str, description: ModelDescription) -> bytes:
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise ModelInvalid(f"{folder / name} cannot be read: {error.strerror}.") from None
    if hashlib.sha256(content).hexdigest() != description.files.get(name):
        raise ModelInvalid(
            f"The checksum of {folder / name} is not the one in {folder / DESCRIPTION}: it is "
            "damaged, or of another model."
        )
    return content
