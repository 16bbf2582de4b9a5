"""Prepared images: one array of bytes on the volume, and its manifest.

``blockqnn-train prepare`` writes them once, trials read them::

    PATH/.blockqnn/cifar10.json                  the manifest; written last, replaced as a whole
    PATH/.blockqnn/cifar10-1f0c5a2e.pixels.npy   uint8, images x height x width x channels
    PATH/.blockqnn/cifar10-1f0c5a2e.labels.npy   int64, images

The images for training come first, then those the dataset sets apart. PATH is `dataset.path`. The
array is mapped into the memory, so trials on one node share it and read only what they keep.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy
from numpy.typing import NDArray
from pydantic import ValidationError

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.fields import Count
from blockqnn.model import Model
from blockqnn_trainer.datasets.arrays import Arrays, Part, Source, size_text
from blockqnn_trainer.errors import DatasetInvalid, DatasetMissing, VolumeUnusable
from blockqnn_trainer.process.volume import complete_file

FOLDER = ".blockqnn"
"""The folder of prepared images in `dataset.path`."""


class Manifest(Model):
    """Description of the prepared images."""

    version: Literal[1] = 1
    source: str
    """Name of the files that the images come from: other files have another name."""
    pixels: str
    """The file of the images."""
    labels: str
    """The file of their labels."""
    training: Count
    """The images to train on, which come first."""
    test: Count
    """The images that are set apart, which follow."""
    height: Count
    width: Count
    channels: Count
    classes: Count

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the array of images."""
        return self.training + self.test, self.height, self.width, self.channels

    def __str__(self) -> str:
        size = size_text(self.shape[1:])
        apart = f" and {self.test:,} to test on" if self.test else ""
        return f"{self.training:,} images to train on{apart}, {size}, {self.classes} classes"


def manifest_path(dataset: DatasetSpec) -> Path:
    """Return the path of the manifest of a dataset."""
    size = f"-{dataset.image_size}" if dataset.image_size is not None else ""
    return Path(dataset.path) / FOLDER / f"{dataset.name}{size}.json"


def read_manifest(dataset: DatasetSpec) -> Manifest | None:
    """Read the manifest of a dataset; None when it was not prepared.

    Raises:
        DatasetInvalid: when the manifest cannot be read.
    """
    path = manifest_path(dataset)
    try:
        manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        first_line = str(error).partition("\n")[0]
        raise DatasetInvalid(
            f"{path} cannot be read: {first_line}. Delete it, and run blockqnn-train prepare again."
        ) from None
    return manifest


def read_prepared(dataset: DatasetSpec, part: Part) -> Arrays | None:
    """Map the images of a part into the memory; None when the dataset was not prepared.

    Raises:
        DatasetMissing: when there are no images of this part.
        DatasetInvalid: when a file does not match the manifest.
    """
    manifest = read_manifest(dataset)
    if manifest is None:
        return None
    if part == "test" and not manifest.test:
        raise DatasetMissing(
            f"{manifest_path(dataset)} has no test images; set dataset.validation.source to train."
        )
    folder = manifest_path(dataset).parent
    pixels = _open_array(folder / manifest.pixels, manifest.shape, numpy.uint8)
    labels = _open_array(folder / manifest.labels, manifest.shape[:1], numpy.int64)
    chosen = slice(manifest.training) if part == "train" else slice(manifest.training, None)
    return pixels[chosen], numpy.array(labels[chosen])


def _open_array(path: Path, shape: tuple[int, ...], dtype: type[numpy.generic]) -> NDArray[Any]:
    try:
        array: NDArray[Any] = numpy.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DatasetInvalid(
            f"{path} cannot be read: {error}. Run blockqnn-train prepare again."
        ) from None
    if array.shape != shape or array.dtype != dtype:
        raise DatasetInvalid(
            f"{path} is {array.dtype} of shape {array.shape}, but its manifest says "
            f"{numpy.dtype(dtype)} of shape {shape}. Run blockqnn-train prepare again."
        )
    return array


def write_prepared(dataset: DatasetSpec, source: str, parts: Sequence[Source]) -> Manifest:
    """Write images and manifest; the earlier ones stay until the last moment.

    Args:
        dataset: the dataset of the images.
        source: the name of the files that they come from.
        parts: the images to train on, and, if there are any, those that are set apart.

    Raises:
        VolumeUnusable: when the volume has too little room.
        DatasetInvalid: when the parts do not fit together, or an image cannot be read.
        OSError: when the volume cannot be written for another reason.
    """
    training, *apart = parts
    for part in apart:
        if part.shape != training.shape:
            raise DatasetInvalid(
                f"The images of {dataset.name} to train on are {size_text(training.shape)}, those "
                f"to test on {size_text(part.shape)}; all must have one size."
            )
    manifest = _describe(dataset, source, training, apart)
    path = manifest_path(dataset)
    _check_room(path.parent, manifest)
    labels = numpy.concatenate([part.labels for part in parts])
    with _array_file(path.parent / manifest.pixels, manifest.shape, "|u1") as file:
        for part in parts:
            for piece in part.pieces():
                file.write(numpy.ascontiguousarray(piece).data)
    with _array_file(path.parent / manifest.labels, labels.shape, "<i8") as file:
        file.write(labels.astype("<i8").data)
    with complete_file(path) as file:
        file.write(manifest.model_dump_json(indent=1).encode())
    for old in path.parent.glob(f"{path.stem}-????????.*.npy"):
        if old.name not in (manifest.pixels, manifest.labels):
            old.unlink()
    return manifest


def _describe(
    dataset: DatasetSpec, source: str, training: Source, apart: Sequence[Source]
) -> Manifest:
    name = f"{manifest_path(dataset).stem}-{source[:8]}"
    height, width, channels = training.shape
    return Manifest(
        source=source,
        pixels=f"{name}.pixels.npy",
        labels=f"{name}.labels.npy",
        training=len(training.labels),
        test=sum(len(part.labels) for part in apart),
        height=height,
        width=width,
        channels=channels,
        classes=1 + max(int(part.labels.max()) for part in (training, *apart)),
    )


def _check_room(folder: Path, manifest: Manifest) -> None:
    images, *sides = manifest.shape
    needed = images * (int(numpy.prod(sides)) + numpy.dtype(numpy.int64).itemsize)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise VolumeUnusable(
            f"The volume of {folder} has {free / 1e9:,.2f} GB left, but {needed / 1e9:,.2f} GB are "
            "needed for the images. Enlarge the volume."
        )


@contextmanager
def _array_file(path: Path, shape: tuple[int, ...], descr: str) -> Iterator[BinaryIO]:
    """Open a npy file with a written header, whose numbers follow in pieces."""
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    with complete_file(path) as file:
        numpy.lib.format.write_array_header_1_0(file, header)
        yield file
