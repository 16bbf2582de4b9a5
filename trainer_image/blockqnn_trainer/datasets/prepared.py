"""Prepared images: one array of bytes on the volume, and its manifest.

``blockqnn-train prepare`` writes them once, trials read them::

    PATH/.blockqnn/cifar10.json       the manifest; written last, replaced as a whole
    PATH/.blockqnn/cifar10-1f0c5a2e.crc32-0a1b2c3d-4e5f6071.pixels.npy
                                      uint8, images x height x width x channels
    PATH/.blockqnn/cifar10-1f0c5a2e.crc32-8192a3b4-c5d6e7f8.labels.npy
                                      int64, images

The images for training come first, then those the dataset sets apart. PATH is `dataset.path`. The
array is mapped into the memory, so trials on one node share it and read only what they keep.

The names of the arrays hold the CRC-32 of both parts: a file that is replaced never has the name
of another content, and trainers of earlier versions read them as before. Arrays that those wrote
have no checksums and are read all the same.
"""

import re
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy
from numpy.lib import format as npy
from numpy.typing import NDArray
from pydantic import ValidationError

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.fields import Count
from blockqnn.model import Model
from blockqnn_trainer.datasets.arrays import Arrays, Part, Source, check_parts, size_text
from blockqnn_trainer.datasets.files import file_size, is_of_the_file, open_file
from blockqnn_trainer.errors import DatasetInvalid, DatasetMissing, VolumeUnusable
from blockqnn_trainer.process.volume import UNFINISHED, complete_file

FOLDER = ".blockqnn"
"""The folder of prepared images in `dataset.path`."""

_SUMMED = 2**24
"""Numbers whose checksum is computed at a time."""

_AGAIN = "run blockqnn-train prepare again, or start a search, which does"
_CHECKSUMS = re.compile(r"\.crc32-(?P<train>[0-9a-f]{8})-(?P<test>[0-9a-f]{8})\.")


class Manifest(Model):
    """Description of the prepared images."""

    version: Literal[1] = 1
    source: str
    """Name of the files that the images come from: other files have another name."""
    pixels: str
    """The file of the images; its name holds their checksums."""
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
    with suppress(PermissionError):  # which is told where it is opened
        if not path.exists():
            return None
    with open_file(path) as file:
        try:
            return Manifest.model_validate_json(file.read())
        except ValidationError as error:
            first_line = str(error).partition("\n")[0]
            raise DatasetInvalid(
                f"{path} cannot be read: {first_line}. Delete it, and {_AGAIN}."
            ) from None


def read_prepared(dataset: DatasetSpec, part: Part) -> Arrays | None:
    """Map the images of a part into the memory; None when the dataset was not prepared.

    Raises:
        DatasetMissing: when there are no images of this part.
        DatasetInvalid: when a file does not match the manifest, or its checksum.
    """
    while True:
        written = _written(manifest_path(dataset))
        manifest = read_manifest(dataset)
        if manifest is None:
            return None
        try:
            return _read(dataset, manifest, part)
        except DatasetInvalid:
            # Prepared anew since the manifest was read, so that the earlier arrays are gone?
            if _written(manifest_path(dataset)) == written:
                raise


def _written(path: Path) -> tuple[int, int] | None:
    """Return what differs when a file has been written again; None where it cannot be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read(dataset: DatasetSpec, manifest: Manifest, part: Part) -> Arrays:
    if part == "test" and not manifest.test:
        raise DatasetMissing(
            f"{manifest_path(dataset)} has no test images; set dataset.validation.source to train."
        )
    folder = manifest_path(dataset).parent
    pixels = _open_array(folder / manifest.pixels, manifest.shape, numpy.uint8)
    labels = _open_array(folder / manifest.labels, manifest.shape[:1], numpy.int64)
    chosen = slice(manifest.training) if part == "train" else slice(manifest.training, None)
    for name, array in ((manifest.pixels, pixels), (manifest.labels, labels)):
        _check_sum(folder / name, array[chosen], part)
    own_labels = numpy.array(labels[chosen])
    # Arrays of earlier versions have no checksums; a label too large would make a network huge.
    if own_labels.min() < 0 or own_labels.max() >= manifest.classes:
        raise DatasetInvalid(
            f"{folder / manifest.labels} has labels from {own_labels.min()} to {own_labels.max()}, "
            f"but its manifest says {manifest.classes} classes: it is damaged; {_AGAIN}."
        )
    return pixels[chosen], own_labels


def _open_array(path: Path, shape: tuple[int, ...], dtype: type[numpy.generic]) -> NDArray[Any]:
    try:
        file_size(path)
        array: NDArray[Any] = numpy.load(path, mmap_mode="r", allow_pickle=False)
        if array.shape == shape and array.dtype == dtype and array.flags.c_contiguous:
            return array
        difference = (
            f"is {array.dtype} of shape {array.shape}, but its manifest says {numpy.dtype(dtype)} "
            f"of shape {shape}"
        )
    except DatasetInvalid as error:
        raise DatasetInvalid(f"{str(error).removesuffix('.')}; {_AGAIN}.") from None
    except Exception as error:
        # A header that is damaged can lead the reader anywhere.
        if not is_of_the_file(error) and not isinstance(error, FileNotFoundError):
            raise
        difference = f"cannot be read: {str(error).rstrip('.')}"
    raise DatasetInvalid(f"{path} {difference}; {_AGAIN}.")


def _check_sum(path: Path, content: NDArray[Any], part: Part) -> None:
    """Compare a part of an array with the checksum in the name of its file, if it has one.

    That takes 0.07 s for CIFAR-10, once for each process of a trial, which reads them anyway.
    """
    expected = _CHECKSUMS.search(path.name)
    if expected is None:
        return
    numbers = content.reshape(-1)
    checksum = 0
    for start in range(0, len(numbers), _SUMMED):
        # In pieces, between which a signal is answered.
        checksum = zlib.crc32(numbers[start : start + _SUMMED].data, checksum)
    measured = f"{checksum:08x}"
    if measured != expected[part]:
        raise DatasetInvalid(
            f"{path} is damaged: the CRC-32 of its images to {part} on is {measured}, not "
            f"{expected[part]}; {_AGAIN}."
        )


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
    check_parts(dataset.name, parts)
    manifest = _describe(dataset, source, training, apart)
    path = manifest_path(dataset)
    for unfinished in path.parent.glob(f"{path.stem}-????????.*{UNFINISHED}"):
        unfinished.unlink()  # of one who was killed
    _check_room(path.parent, manifest)
    shape = manifest.shape
    pixels = [part.pieces() for part in parts]
    labels = [iter([part.labels.astype("<i8")]) for part in parts]
    manifest = manifest.model_copy(
        update={
            "pixels": _write_array(path.parent / manifest.pixels, shape, "|u1", pixels),
            "labels": _write_array(path.parent / manifest.labels, shape[:1], "<i8", labels),
        }
    )
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


def _write_array(
    path: Path,
    shape: tuple[int, ...],
    descr: str,
    parts: Sequence[Iterator[NDArray[Any]]],
) -> str:
    """Write a npy file in pieces; return its name, which holds the checksums of its parts.

    Args:
        path: its name without them.
        shape: of the whole array.
        descr: the type of its numbers, as the format writes it.
        parts: the pieces of the images to train on, and, if there are any, of the others.
    """
    checksums = {"train": 0, "test": 0}

    def named() -> Path:
        stem, kind = path.name.split(".", 1)
        both = "-".join(f"{checksum:08x}" for checksum in checksums.values())
        return path.with_name(f"{stem}.crc32-{both}.{kind}")

    header = {"descr": descr, "fortran_order": False, "shape": shape}
    with complete_file(path, named) as file:
        npy.write_array_header_1_0(file, header)
        for name, pieces in zip(checksums, parts, strict=False):
            for piece in pieces:
                content = numpy.ascontiguousarray(piece).reshape(-1).data
                checksums[name] = zlib.crc32(content, checksums[name])
                file.write(content)
    return named().name
