"""The plain arm: the training one writes after reading the papers and torch's tutorials.

A module for each layer, NCHW, float32, eager; a Dataset of numpy images that are normalised one by
one; a DataLoader with workers; ``torch.optim.Adam`` and ``StepLR``. It is spared what would make it
slower than it need be: no PIL, no torchvision, workers that live as long as the training.

Weights and the order of images are drawn as the trainer draws them, so both train alike.

As a program, ``python -m benchmarks.trainer.plain TRIAL.json WORKERS`` runs a whole trial.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from blockqnn.block.nsc import Block, Layer, LayerType
from blockqnn.contract.trial import TrialSpec
from blockqnn.network.spec import NetworkSpec


def cell(entering: int, width: int, kernel: int) -> nn.Sequential:
    """ReLU, convolution, batch norm."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(entering, width, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
    )


class PlainAdd(nn.Module):
    """Adds two values, of which the narrower is brought to the width of the wider."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__()
        self.first_is_narrow = first < second
        self.projection = (
            cell(min(first, second), max(first, second), 1) if first != second else None
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Add."""
        narrow, wide = (first, second) if self.first_is_narrow else (second, first)
        return wide + (narrow if self.projection is None else self.projection(narrow))


class PlainConcat(nn.Module):
    """Concatenates two values."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Concatenate."""
        return torch.cat([first, second], 1)


class PlainBlock(nn.Module):
    """One block, layer by layer as the code says."""

    def __init__(self, block: Block, entering: int, stage: int, projected: bool) -> None:
        super().__init__()
        self.block = block
        widths = [entering]
        self.layers = nn.ModuleList()
        for layer in block.body:
            incoming = [widths[index] for index in layer.predecessors]
            self.layers.append(plain_layer(layer, incoming, stage))
            widths.append(plain_width(layer, incoming, stage))
        self.width = sum(widths[index] for index in block.loose_ends)
        self.projection: nn.Module = nn.Identity()
        if projected and self.width != stage:
            self.projection = cell(self.width, stage, 1)
            self.width = stage

    def forward(self, value: Tensor) -> Tensor:
        """Compute all layers, concatenate the loose ends."""
        values = [value]
        for layer, module in zip(self.block.body, self.layers, strict=True):
            values.append(module(*[values[index] for index in layer.predecessors]))
        output: Tensor = self.projection(torch.cat([values[i] for i in self.block.loose_ends], 1))
        return output


def plain_layer(layer: Layer, incoming: list[int], stage: int) -> nn.Module:
    """The module of a layer."""
    kernel = layer.kernel
    match layer.type:
        case LayerType.CONVOLUTION:
            return cell(incoming[0], stage, kernel)
        case LayerType.MAX_POOLING:
            return nn.MaxPool2d(kernel, 1, kernel // 2)
        case LayerType.AVERAGE_POOLING:
            return nn.AvgPool2d(kernel, 1, kernel // 2, count_include_pad=False)
        case LayerType.ADD:
            return PlainAdd(*incoming)
        case LayerType.CONCAT:
            return PlainConcat()
        case LayerType.IDENTITY:
            return nn.Identity()
        case _:
            raise ValueError(f"{layer} is of no type of CVPR 2018, table 1")


def plain_width(layer: Layer, incoming: list[int], stage: int) -> int:
    """The channels of a layer's output."""
    if layer.type is LayerType.CONVOLUTION:
        return stage
    return sum(incoming) if layer.type is LayerType.CONCAT else max(incoming)


def plain_network(block: Block, spec: NetworkSpec, channels: int, classes: int) -> nn.Sequential:
    """The network of a block, its weights yet to be drawn."""
    width = spec.filters[0]
    parts: list[nn.Module] = [
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
    ]
    for number, stage in enumerate(spec.filters):
        if number:
            parts.append(nn.MaxPool2d(2))
        for _ in range(spec.repeats):
            repeated = PlainBlock(block, width, stage, spec.output_projection)
            parts.append(repeated)
            width = repeated.width
    head = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]
    return nn.Sequential(*parts, *head)


def draw_weights(network: nn.Module, generator: torch.Generator) -> None:
    """He initialisation."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


class PlainImages(Dataset[tuple[Tensor, int]]):
    """Images that are normalised one by one."""

    def __init__(
        self,
        pixels: NDArray[numpy.uint8],
        labels: NDArray[numpy.int64],
        mean: NDArray[numpy.float32],
        deviation: NDArray[numpy.float32],
    ) -> None:
        self.pixels, self.labels = pixels, labels
        self.mean = torch.from_numpy(mean).view(-1, 1, 1)
        self.deviation = torch.from_numpy(deviation).view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.from_numpy(self.pixels[index]).permute(2, 0, 1).float()
        return (image - self.mean) / self.deviation, int(self.labels[index])


class PlainSplit(NamedTuple):
    """The images to train on and those held out."""

    training: PlainImages
    validation: PlainImages
    classes: int


def read_split(spec: TrialSpec) -> PlainSplit:
    """Read an npz file, and hold out the images that the trainer holds out."""
    with numpy.load(spec.dataset.path) as file:
        pixels, labels = file["x"], file["y"].astype(numpy.int64)
    generator = torch.Generator().manual_seed(spec.split_seed)
    order = torch.randperm(len(labels), generator=generator).numpy()
    held_out = round(len(labels) * spec.dataset.validation.fraction)
    kept, rest = order[held_out:], order[:held_out]
    mean = pixels[kept].mean((0, 1, 2), dtype=numpy.float64).astype(numpy.float32)
    deviation = pixels[kept].std((0, 1, 2), dtype=numpy.float64).astype(numpy.float32)
    return PlainSplit(
        PlainImages(pixels[kept], labels[kept], mean, deviation),
        PlainImages(pixels[rest], labels[rest], mean, deviation),
        int(labels.max()) + 1,
    )


class _Order:
    """A sampler: the permutations that the trainer's generator draws."""

    def __init__(self, length: int, generator: torch.Generator) -> None:
        self._length, self._generator = length, generator

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self._length, generator=self._generator).tolist())

    def __len__(self) -> int:
        return self._length


class PlainTraining:
    """A network, its optimizer, its loaders, as a tutorial has them."""

    def __init__(
        self,
        spec: TrialSpec,
        split: PlainSplit,
        generator: torch.Generator,
        workers: int,
        rate: float,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        channels = split.training.pixels.shape[3]
        block = Block.parse(spec.block)
        self.network: nn.Module = plain_network(block, spec.network, channels, split.classes)
        draw_weights(self.network, generator)
        self.network.to(device, dtype)
        settings = spec.training.optimizer
        self.adam = torch.optim.Adam(
            self.network.parameters(), rate, (settings.beta1, settings.beta2), settings.epsilon
        )
        schedule = spec.training.schedule
        self.schedule = torch.optim.lr_scheduler.StepLR(self.adam, schedule.every, schedule.factor)
        self.device, self.dtype = device, dtype

        def loader(images: PlainImages, sampler: _Order | None) -> "DataLoader[list[Tensor]]":
            return DataLoader(
                images,  # type: ignore[arg-type]
                spec.training.batch_size,
                sampler=sampler,
                num_workers=workers,
                persistent_workers=workers > 0,
                pin_memory=device.type == "cuda",
            )

        self.training = loader(split.training, _Order(len(split.training), generator))
        self.validation = loader(split.validation, None)
        self.losses: list[float] = []

    def train_epoch(self) -> None:
        """Train one epoch; note each loss."""
        self.network.train()
        for images, labels in self.training:
            self.adam.zero_grad()
            logits = self.network(images.to(self.device, self.dtype, non_blocking=True))
            loss = nn.functional.cross_entropy(logits, labels.to(self.device, non_blocking=True))
            loss.backward()  # type: ignore[no-untyped-call]
            self.adam.step()
            self.losses.append(loss.item())
        self.schedule.step()

    def evaluate(self) -> float:
        """Measure the validation accuracy."""
        self.network.eval()
        right = count = 0
        with torch.no_grad():
            for images, labels in self.validation:
                predicted = self.network(images.to(self.device, self.dtype)).argmax(1).cpu()
                right += int((predicted == labels).sum())
                count += len(labels)
        return right / count


def train_plainly(spec: TrialSpec, split: PlainSplit, workers: int, device: torch.device) -> float:
    """Train a whole trial, restarts included; return the accuracy."""
    generator = torch.Generator().manual_seed(spec.seed)
    rate = spec.training.optimizer.learning_rate
    for _ in range(spec.training.restarts.maximum + 1):
        run = PlainTraining(spec, split, generator, workers, rate, device)
        run.train_epoch()
        accuracy = run.evaluate()
        if accuracy > 1 / split.classes:
            for _ in range(1, spec.training.epochs):
                run.train_epoch()
                accuracy = run.evaluate()
            return accuracy
        rate *= spec.training.restarts.factor
    return accuracy


def main() -> None:
    """Run a trial as a process."""
    spec = TrialSpec.read(Path(sys.argv[1]).read_text())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    began = time.perf_counter()
    accuracy = train_plainly(spec, read_split(spec), int(sys.argv[2]), device)
    print(json.dumps({"accuracy": accuracy, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
