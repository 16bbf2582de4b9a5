"""The files of a finalist's model, with which another program can classify images.

::

    block.json            the block, the network, the input and output of the model, checksums
    weights.safetensors   the weights and statistics of the network, in float32
    model.pt2             a program of torch.export
    model.onnx            the same for ONNX runtimes

All of them give the same result: logits for images as bytes, N x height x width x channels,
0 to 255. Mean and deviation are part of the model, so that the images need no normalising.
"""

import hashlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from safetensors.torch import save
from torch import Tensor, nn

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.finalist import Augmentation, FinalistNetwork
from blockqnn.model import Model
from blockqnn_trainer.finalists.augmentation import normalise
from blockqnn_trainer.finalists.volume import volume_errors_named, write_whole
from blockqnn_trainer.network.network import Network

DESCRIPTION = "block.json"
WEIGHTS = "weights.safetensors"
PROGRAM = "model.pt2"
ONNX = "model.onnx"
INPUT, OUTPUT = "images", "logits"
"""The names of the input and the output of an ONNX model."""


class ModelDescription(Model):
    """The content of ``block.json``: enough to build and measure the model again."""

    version: Literal[1] = 1
    block: str
    block_hash: str
    network: FinalistNetwork
    channels: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    """Channels, height and width are those of the input images; the sides are in pixels."""
    classes: Annotated[int, Field(ge=1)]
    mean: tuple[float, ...]
    """Mean of each channel, 0 to 255; the model subtracts it."""
    deviation: tuple[float, ...]
    """Standard deviation of each channel; the model divides by it."""
    dataset: DatasetSpec
    """Dataset that it was trained and measured on."""
    split_seed: int
    """Seed of the choice of held-out images, if none are set apart for a test."""
    augmentation: Augmentation
    """Variation of the training images; `scale` also applies to the cut of test images."""
    test_images: Annotated[int, Field(ge=1)]
    accuracy: Annotated[float, Field(ge=0, le=1)]
    """Share of the test images that it classifies correctly."""
    top5_accuracy: Annotated[float, Field(ge=0, le=1)] | None
    files: dict[str, str]
    """The SHA-256 of each other file."""


class DeployedModel(nn.Module):
    """A network with the normalisation of its images: bytes to logits."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: Network, mean: Tensor, deviation: Tensor) -> None:
        """Take a trained network.

        Args:
            network: on the CPU.
            mean: float32, of each channel, 0 to 255.
            deviation: float32, of each channel.
        """
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8, N x height x width x channels, to N x classes logits."""
        logits: Tensor = self.network(normalise(images, self.mean, self.deviation))
        return logits


def write_forms(model: DeployedModel, example: Tensor, folder: Path) -> dict[str, str]:
    """Write weights, program and ONNX model.

    Args:
        model: in evaluation mode, on the CPU.
        example: uint8 images, 2 or more x height x width x channels.
        folder: the directory for the files.

    Returns:
        The SHA-256 of each file.

    Raises:
        VolumeUnusable: when the volume has no room or cannot be written to.
    """
    batch = torch.export.Dim("batch", min=1)
    with _quiet():
        program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        onnx = torch.onnx.export(
            program, (), dynamo=True, input_names=[INPUT], output_names=[OUTPUT], verbose=False
        )
        assert onnx is not None
        contents = {
            WEIGHTS: save({k: v.contiguous() for k, v in model.network.state_dict().items()}),
            PROGRAM: buffer.getvalue(),
            ONNX: onnx.model_proto.SerializeToString(),
        }
    with volume_errors_named(folder):
        for name, content in contents.items():
            write_whole(folder / name, content)
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def write_description(description: ModelDescription, folder: Path) -> None:
    """Write ``block.json``, after the files that it names.

    Raises:
        VolumeUnusable: when the volume has no room or cannot be written to.
    """
    text = json.dumps(description.model_dump(mode="json"), indent=1) + "\n"
    with volume_errors_named(folder):
        write_whole(folder / DESCRIPTION, text.encode())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' messages to their own developers out of a trainer's log."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)
