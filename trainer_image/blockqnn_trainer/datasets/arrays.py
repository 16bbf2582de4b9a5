"""The common form of all sources of images: bytes and labels, and the checks of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy
from numpy.typing import NDArray

from blockqnn_trainer.errors import DatasetInvalid

Arrays = tuple[NDArray[numpy.uint8], NDArray[numpy.int64]]
"""Pixels, N x height x width x channels, and labels, N, from 0."""

Part = Literal["train", "test"]
"""The images a dataset offers for training, or those it sets apart for a final measurement."""

MOST_CLASSES = 100_000
"""More than ImageNet-21k's 21,841: larger numbers are no class indices."""


@dataclass(frozen=True, slots=True)
class Source:
    """A part of a dataset that is read piece by piece, so that it need not fit into the memory."""

    labels: NDArray[numpy.int64]
    """N, from 0."""
    shape: tuple[int, int, int]
    """Height, width and channels of every image."""
    pieces: Callable[[], Iterator[NDArray[numpy.uint8]]]
    """Reads the images in the order of the labels: pieces x height x width x channels."""

    @classmethod
    def of(cls, arrays: Arrays) -> "Source":
        """Make a source of arrays that are already read."""
        pixels, labels = arrays
        height, width, channels = pixels.shape[1:]
        return cls(labels, (height, width, channels), lambda: iter([pixels]))

    def collect(self) -> Arrays:
        """Read all images into the memory."""
        pixels = numpy.empty((len(self.labels), *self.shape), numpy.uint8)
        start = 0
        for piece in self.pieces():
            pixels[start : start + len(piece)] = piece
            start += len(piece)
        return pixels, self.labels


def check_classes(name: str, labels: NDArray[numpy.int64]) -> None:
    """Refuse images of one class, from which nothing can be learned.

    A part of a dataset may lack a class in the middle.

    Raises:
        DatasetInvalid: naming the dataset and the only label.
    """
    if labels.min() == labels.max():
        raise DatasetInvalid(
            f"All {len(labels)} images of {name} have the label {labels[0]}; "
            "at least two classes are needed."
        )


def size_text(shape: tuple[int, ...]) -> str:
    """Write a shape as people do: 32x32x3."""
    return "x".join(str(length) for length in shape)
