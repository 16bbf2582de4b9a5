"""The images of a trial: reads them, holds some out, keeps them on the device.

Every dataset becomes one array of bytes, N x height x width x channels, and one of labels. They
stay on the device as bytes, a quarter of the size of floats, and each batch is gathered and
normalised there. No worker process, no augmentation: the papers' early-stop training has none.
"""

from dataclasses import dataclass
from typing import Self

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from blockqnn.contract.dataset import DatasetSpec
from blockqnn_trainer.datasets.arrays import Arrays, size_text
from blockqnn_trainer.datasets.sources import read_images, source_title
from blockqnn_trainer.errors import DatasetInvalid
from blockqnn_trainer.process.memory_errors import memory_errors_of_images


@dataclass(frozen=True, slots=True)
class Images:
    """Images and their labels on one device, with mean and deviation to normalise them."""

    pixels: Tensor
    """uint8, N x height x width x channels."""
    labels: Tensor
    """int64, N, from 0."""
    mean: Tensor
    """float32, one for each channel: the mean of the training images, 0 to 255."""
    deviation: Tensor
    """float32, one for each channel: the standard deviation of the training images."""

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Gather and normalise images.

        Args:
            chosen: int64 indices, B, on the same device.

        Returns:
            float32 images, B x channels x height x width in channels-last memory order, and int64
            labels, B.
        """
        pixels = self.pixels[chosen].to(torch.float32)
        # A view: bytes that lie channel by channel within a pixel are channels-last already.
        images = pixels.sub_(self.mean).div_(self.deviation).permute(0, 3, 1, 2)
        return images, self.labels[chosen]


@dataclass(frozen=True, slots=True)
class Split:
    """A dataset divided into the images to train on and those to measure the reward on."""

    training: Images
    validation: Images
    classes: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image, in pixels."""
        height, width, channels = self.training.pixels.shape[1:]
        return channels, height, width

    @classmethod
    def make(
        cls,
        pixels: NDArray[numpy.uint8],
        labels: NDArray[numpy.int64],
        fraction: float,
        seed: int,
        device: torch.device,
    ) -> Self:
        """Hold out a share of the images, as :func:`hold_out` does, and move all to a device.

        Args:
            pixels: N x height x width x channels.
            labels: N, from 0.
            fraction: the share to hold out.
            seed: decides which images are held out.
            device: the device for the images.
        """
        training, validation = (part.numpy() for part in hold_out(len(labels), fraction, seed))
        return cls.of(
            (pixels[training], labels[training]), (pixels[validation], labels[validation]), device
        )

    @classmethod
    def of(cls, training: Arrays, validation: Arrays, device: torch.device) -> Self:
        """Move images to a device, with mean and deviation to normalise them.

        Args:
            training: the images to train on, whose channels give mean and deviation.
            validation: the images to measure the reward on.
            device: the device for the images.

        Raises:
            DatasetInvalid: when the two have images of different sizes, or there are too few.
        """
        if len(training[0]) < 2:
            raise DatasetInvalid("There is 1 image to train on; at least 2 are needed.")
        sizes = [size_text(part[0].shape[1:]) for part in (training, validation)]
        if sizes[0] != sizes[1]:
            raise DatasetInvalid(
                f"The images to train on are {sizes[0]}, the test images are {sizes[1]}; "
                "all must have one size."
            )
        mean, deviation = (
            torch.from_numpy(statistic).to(device) for statistic in channel_statistics(training[0])
        )

        def part(arrays: Arrays) -> Images:
            # Prepared images are mapped read-only, which torch's tensors cannot be.
            pixels, labels = (numpy.require(array, requirements="W") for array in arrays)
            return Images(
                torch.from_numpy(pixels).to(device),
                torch.from_numpy(labels).to(device),
                mean,
                deviation,
            )

        classes = 1 + max(int(labels.max()) for _, labels in (training, validation))
        return cls(part(training), part(validation), classes)


def hold_out(images: int, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return the indices of the images to train on and of those that are held out.

    A seeded permutation, as MetaQNN's; not stratified, so the classes of the held-out images are as
    uneven as chance makes them, alike for all trials of a search.

    Args:
        images: their number.
        fraction: the share to hold out, rounded to the nearest whole image.
        seed: decides which images are held out.

    Raises:
        DatasetInvalid: when there are too few images for two of each part.
    """
    held_out = round(images * fraction)
    # Batch norm and a standard deviation need two.
    if held_out < 1 or images - held_out < 2:
        raise DatasetInvalid(
            f"Of {images} images, dataset.validation.fraction {fraction:g} leaves "
            f"{images - held_out} to train on and holds {held_out} out; at least 2 and 1 are "
            "needed."
        )
    order = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    return order[held_out:], order[:held_out]


def load(dataset: DatasetSpec, split_seed: int, device: torch.device) -> Split:
    """Read a dataset and hold out its validation images, or take its test images for that.

    Raises:
        DatasetMissing: when it is not where `dataset.path` says.
        DatasetInvalid: when it cannot be used.
        DatasetTooLarge: when it does not fit into the memory.
    """
    with memory_errors_of_images(source_title(dataset)):
        training = read_images(dataset, "train")
        if dataset.validation.source == "test":
            return Split.of(training, read_images(dataset, "test"), device)
        return Split.make(*training, dataset.validation.fraction, split_seed, device)


def check_shape(dataset: DatasetSpec, split: Split) -> None:
    """Check images against `dataset.shape`, if it is given.

    Raises:
        DatasetInvalid: when their size or number of classes differs.
    """
    if dataset.shape is None:
        return
    shape, input_shape = dataset.shape, split.input_shape
    if (shape.size, shape.classes) != (input_shape, split.classes):
        raise DatasetInvalid(
            "dataset.shape says images of "
            f"{size_text((shape.height, shape.width, shape.channels))} in {shape.classes} classes, "
            f"but they are {size_text(split.training.pixels.shape[1:])} in {split.classes}; "
            "correct dataset.shape in a new search."
        )


_CHUNK = 64
"""Images that are summed at a time. 64 of CIFAR's size are 0.4 MB as 16-bit numbers, which stay in
a processor's cache: 26 times faster than 4,096 in float64 (1.3 to 0.05 s for 20,000 images). The
sums of up to 65,536 squares of bytes fit 32 bits."""


def channel_statistics(
    pixels: NDArray[numpy.uint8],
) -> tuple[NDArray[numpy.float32], NDArray[numpy.float32]]:
    """Return mean and deviation of each channel, 0 to 255; a constant channel has deviation 1.

    The sums are whole numbers and exact, so their order does not matter.
    """
    channels = pixels.shape[3]
    rows = pixels.reshape(len(pixels), -1)
    total = numpy.zeros(rows.shape[1], numpy.uint64)
    squares = numpy.zeros(rows.shape[1], numpy.uint64)
    for start in range(0, len(rows), _CHUNK):
        values = rows[start : start + _CHUNK].astype(numpy.uint16)
        total += values.sum(axis=0, dtype=numpy.uint32)
        values *= values  # at most 255 squared, which fits 16 bits
        squares += values.sum(axis=0, dtype=numpy.uint32)
    count = pixels.size // channels
    mean = total.reshape(-1, channels).sum(axis=0) / count
    variance = squares.reshape(-1, channels).sum(axis=0) / count - mean * mean
    deviation = numpy.sqrt(numpy.maximum(variance, 0))
    deviation[deviation == 0] = 1
    return mean.astype(numpy.float32), deviation.astype(numpy.float32)
