"""The interface that feeds a training with batches of images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.finalist import Augmentation

Batches = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """The images of a feed, and their variation."""

    dataset: DatasetSpec
    """The path of the images, and those that are held out or set apart."""
    augmentation: Augmentation
    """The variation of training images, and the cut of test images."""
    seed: int
    """Decides the variation, together with the epoch."""
    split_seed: int
    """Decides which images are held out."""


class Feed(Protocol):
    """The images of one dataset."""

    classes: int
    """Number of classes."""
    input_shape: tuple[int, int, int]
    """Channels, height and width of an image as it enters the network, in pixels."""
    training_images: int
    test_images: int
    mean: Tensor
    """float32, of each channel of the training images, 0 to 255, on the CPU."""
    deviation: Tensor
    """float32, of each channel of the training images, on the CPU."""

    def training_batches(self, epoch: int, batches: Sequence[Tensor]) -> Batches:
        """Give training images, varied and normalised.

        Args:
            epoch: from 0; decides the variation of the images.
            batches: the indices of each batch: int64, on the CPU.

        Yields:
            float32 images, B x channels x height x width, and int64 labels, both on the device.
        """

    def test_batches(self, batches: Sequence[Tensor]) -> Batches:
        """Give test images: uint8, B x height x width x channels, and labels, on the device."""
