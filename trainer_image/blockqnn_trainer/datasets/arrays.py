"""The common form of all sources of images: bytes and labels, and the checks of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy
from numpy.typing import NDArray

from blockqnn_trainer.errors import DatasetInvalid

Arrays = tuple[NDArray[numpy.uint8], NDArray[numpy.int64]]
"""Pixels, N x height x width x channels, and labels, N, from 0."""

Part = Literal["train", "test"]
"""The images a dataset offers for training, or those it sets apart for a final measurement."""

_WATCHED = 64
"""Images that are compared at a time."""

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

    def watched(self, name: str) -> "Source":
        """Return the same source, refused at its end as :func:`watch` does."""
        return Source(self.labels, self.shape, lambda: watch(name, self.pieces()))

    def collect(self) -> Arrays:
        """Read all images into the memory."""
        pixels = numpy.empty((len(self.labels), *self.shape), numpy.uint8)
        start = 0
        for piece in self.pieces():
            pixels[start : start + len(piece)] = piece
            start += len(piece)
        return pixels, self.labels


def watch(
    name: str, pieces: Iterable[NDArray[numpy.uint8]], *, flat_allowed: bool = False
) -> Iterator[NDArray[numpy.uint8]]:
    """Pass images on, and refuse them at the end if there is nothing to be learned from them.

    Args:
        name: the dataset, as the message names it.
        pieces: images x height x width x channels each.
        flat_allowed: whether all images may be of a single colour.

    Raises:
        DatasetInvalid: when all images are the same, or each is of a single colour.
    """
    first: NDArray[numpy.uint8] | None = None
    differ, pictured = False, flat_allowed
    for piece in pieces:
        # A few at a time: those that begin a good dataset settle it.
        for start in range(0, len(piece), _WATCHED):
            if differ and pictured:
                break
            images = piece[start : start + _WATCHED]
            first = images[0].copy() if first is None else first
            differ = differ or bool((images != first).any())
            # An image of a single pixel is all that it can be.
            pictured = pictured or first[..., 0].size == 1
            pictured = pictured or bool((images != images[:, :1, :1]).any())
        yield piece
    if not differ:
        raise DatasetInvalid(
            f"All images of {name} to train on are the same; check the program that wrote them."
        )
    if not pictured:
        raise DatasetInvalid(
            f"Every image of {name} to train on is of a single colour, so that there is no picture "
            "in it; check the program that wrote them."
        )


def check_images(name: str, pixels: NDArray[numpy.uint8], *, flat_allowed: bool = False) -> None:
    """Refuse images from which nothing can be learned.

    Raises:
        DatasetInvalid: as :func:`watch`.
    """
    for _ in watch(name, [pixels], flat_allowed=flat_allowed):
        pass


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


def check_parts(name: str, parts: Sequence[Source]) -> None:
    """Refuse parts of a dataset that do not fit together.

    Raises:
        DatasetInvalid: when their images have different sizes.
    """
    training, *apart = parts
    for part in apart:
        if part.shape != training.shape:
            raise DatasetInvalid(
                f"The images of {name} to train on are {size_text(training.shape)}, those "
                f"to test on {size_text(part.shape)}; all must have one size."
            )


def size_text(shape: tuple[int, ...]) -> str:
    """Write a shape as people do: 32x32x3."""
    return "x".join(str(length) for length in shape)
