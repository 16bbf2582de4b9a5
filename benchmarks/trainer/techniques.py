"""Techniques that make the trainer fast, each with a way to do without it.

Nothing of this is an option of the trainer: a technique is switched off here, by putting what one
would write without it in its place.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from blockqnn.block.nsc import Layer, LayerType
from blockqnn.contract.training import Optimizer
from blockqnn_trainer.datasets.split import Images
from blockqnn_trainer.network import block as block_module
from blockqnn_trainer.network.block import Values
from blockqnn_trainer.network.network import Network
from blockqnn_trainer.training import early_stop as train_module
from blockqnn_trainer.training.cuda_graphs import Step
from blockqnn_trainer.training.early_stop import batch_bounds

Without = Callable[[], AbstractContextManager[object]]
"""Builds and trains without a technique inside the context that it makes."""


class _Loader:
    """Batches of images on their way from the processes of a DataLoader."""

    def __init__(self, images: Images, workers: int) -> None:
        self._device = images.labels.device
        self.batches: list[list[int]] = []
        """The indices of each batch of the next epoch, refilled for each."""
        self._loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            _Normalised(images),
            batch_sampler=self.batches,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self._device.type == "cuda",
        )

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for pixels, labels in self._loader:
            images = pixels.to(self._device, non_blocking=True)
            yield images.to(memory_format=torch.channels_last), labels.to(self._device)


class _Normalised(Dataset[tuple[Tensor, Tensor]]):
    """Images that a worker normalises one by one."""

    def __init__(self, images: Images) -> None:
        self._pixels, self._labels = images.pixels.cpu(), images.labels.cpu()
        self._mean, self._deviation = images.mean.cpu(), images.deviation.cpu()

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        pixels = (self._pixels[index].float() - self._mean) / self._deviation
        return pixels.permute(2, 0, 1), self._labels[index]


@contextmanager
def _loaded_by_workers(workers: int) -> Iterator[None]:
    """Let the processes of a DataLoader gather and normalise the batches."""
    loaders: dict[int, _Loader] = {}
    arrived: list[tuple[Tensor, Tensor]] = []

    def go_through(run: train_module._Run, order: Tensor, step: Step) -> None:
        bounds = batch_bounds(len(order), run._spec.batch_size)
        training = step is run._train_batch
        images = run._training._images if training else run._evaluation._images
        if id(images) not in loaders:
            loaders[id(images)] = _Loader(images, workers)
        loader = loaders[id(images)]
        loader.batches[:] = [order[start:end].tolist() for start, end in bounds]
        for batch, (start, end) in zip(loader, bounds, strict=True):
            arrived.append(batch)
            step(order[start:end])

    with (
        patch.object(train_module._Run, "_go_through", go_through),
        patch.object(Images, "batch", lambda _images, _chosen: arrived.pop()),
        # A CUDA graph repeats what it recorded, and a batch that arrives is recorded nowhere.
        patch.object(train_module, "repeated", lambda step, _device: step),
    ):
        yield


@contextmanager
def _channels_first() -> Iterator[None]:
    """Keep images and weights channel by channel, as torch does by default."""
    gather = Images.batch

    def batch(images: Images, chosen: Tensor) -> tuple[Tensor, Tensor]:
        pixels, labels = gather(images, chosen)
        # Images of one channel are contiguous in either order; their strides say which is meant.
        return torch.empty(pixels.shape, device=pixels.device).copy_(pixels), labels

    def to(network: Network, *arguments: Any, **options: Any) -> Network:
        options.pop("memory_format", None)
        return nn.Module.to(network, *arguments, **options)

    with patch.object(Images, "batch", batch), patch.object(Network, "to", to, create=True):
        yield


@contextmanager
def _waiting_for_each_loss() -> Iterator[None]:
    """Read the loss after each step, as a loop does that prints it."""
    go_through = train_module._Run._go_through

    def waiting(run: train_module._Run, order: Tensor, step: Step) -> None:
        def then_wait(chosen: Tensor) -> None:
            step(chosen)
            run._training._total.item()

        go_through(run, order, then_wait)

    with patch.object(train_module._Run, "_go_through", waiting):
        yield


class TutorialAdam:
    """``torch.optim.Adam`` as it comes."""

    def __init__(self, network: nn.Module, spec: Optimizer) -> None:
        self._adam = torch.optim.Adam(
            network.parameters(), spec.learning_rate, (spec.beta1, spec.beta2), spec.epsilon
        )

    def step(self, learning_rate: float | Tensor) -> None:
        """Move every parameter by its gradient."""
        self._adam.param_groups[0]["lr"] = float(learning_rate)
        self._adam.step()

    def forget_gradients(self) -> None:
        """Set no gradient to be added to."""
        self._adam.zero_grad()


def _rectified_each_time(values: Values, node: int) -> Tensor:
    return functional.relu(values[node])


class _Copy(nn.Module):
    def __init__(self, source: int) -> None:
        super().__init__()
        self.source = source

    def forward(self, values: Values) -> Tensor:
        return values[self.source]


@contextmanager
def _unfolded() -> Iterator[None]:
    """Run identities and pooling of kernel 1 like any other layer."""
    operation = block_module._operation

    def with_identities(
        layer: Layer, sources: tuple[int, ...], widths: tuple[int, ...], stage: int
    ) -> nn.Module:
        if layer.type is LayerType.IDENTITY:
            return _Copy(sources[0])
        return operation(layer, sources, widths, stage)

    with (
        patch.object(block_module, "is_folded", lambda _layer: False),
        patch.object(block_module, "_operation", with_identities),
    ):
        yield


def _concatenated(values: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(values), 1)


@contextmanager
def rounding_plainly() -> Iterator[None]:
    """Do without every technique that adds and multiplies in another order, but for the optimizer.

    What is left, with :class:`TutorialAdam`, computes what the plain loop computes, bit by bit.
    """
    with (
        _channels_first(),
        _unfolded(),
        patch.object(Values, "rectified", _rectified_each_time),
        # Its gradients lie channels last, in which a batch norm sums in another order.
        patch.object(block_module, "concatenate", _concatenated),
    ):
        yield


def arms(workers: int, device: torch.device) -> dict[str, Without]:
    """The trainer as it is, and without each technique, by a name for people."""
    everywhere: dict[str, Without] = {
        "this trainer": nullcontext,
        "without resident images (DataLoader)": lambda: _loaded_by_workers(workers),
        "without channels_last (NCHW)": _channels_first,
        "without the fused optimizer": lambda: patch.object(train_module, "Adam", TutorialAdam),
        "without shared ReLUs": lambda: patch.object(Values, "rectified", _rectified_each_time),
        "without folding identities": _unfolded,
        "waiting for each step's loss": _waiting_for_each_loss,
    }
    if device.type == "cuda":
        eager = patch.object(train_module, "repeated", lambda step, _device: step)
        float32 = patch.object(train_module, "choose_dtype", lambda _asked, _device: torch.float32)
        return {
            **everywhere,
            "without CUDA graphs": lambda: eager,
            "without bfloat16 (float32)": lambda: float32,
        }
    return everywhere
