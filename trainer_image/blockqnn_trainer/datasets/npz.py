"""A user's own images: npz files with the arrays ``x`` and ``y``."""

import math
import os
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from blockqnn_trainer.datasets.arrays import MOST_CLASSES, Arrays, Part, check_classes, size_text
from blockqnn_trainer.datasets.files import (
    is_of_the_file,
    list_folder,
    named,
    open_file,
    why_unreadable,
)
from blockqnn_trainer.datasets.npz_archive import Archive, StoredArray
from blockqnn_trainer.errors import DatasetInvalid, DatasetMissing, DatasetTooLarge, InvalidInput
from blockqnn_trainer.process.machine import memory_limit

TEST_FILE = "test.npz"
"""The file of a directory that is kept for a final measurement, or for ``source: test``."""


def read_npz(path: Path, part: Part) -> Arrays:
    """Read one file, or those of a directory in the order of their names.

    Args:
        path: a file, all of which is trained on, or a directory.
        part: ``train`` reads all files of a directory but ``test.npz``, ``test`` that one.

    Raises:
        DatasetMissing: when there is no such file or directory, or nothing in it.
        DatasetInvalid: when an array is missing or of another shape; the sentence names the file.
    """
    files = _npz_files(path) if part == "train" else [_test_file(path)]
    parts = [_read_npz_file(file) for file in files]
    first = parts[0][0].shape[1:]
    for file, (pixels, _) in zip(files, parts, strict=True):
        if pixels.shape[1:] != first:
            raise DatasetInvalid(
                f"The images of {file} are {size_text(pixels.shape[1:])} and those of {files[0]} "
                f"are {size_text(first)}; all images of a dataset must have one size."
            )
    if len(parts) == 1:
        pixels, labels = parts[0]
    else:
        pixels = numpy.concatenate([part[0] for part in parts])
        labels = numpy.concatenate([part[1] for part in parts])
    if part == "train":
        check_classes(str(path), labels)
    return pixels, labels


def _test_file(path: Path) -> Path:
    if os.path.isdir(path) and os.path.lexists(path / TEST_FILE):
        return path / TEST_FILE
    raise DatasetMissing(
        f"There is no file {TEST_FILE} in {path}, which dataset.path names, to measure on; "
        "add it, or set dataset.validation.source to train."
    )


def _npz_files(path: Path) -> list[Path]:
    """List one file, or those of a directory in the order of their names, without test images."""
    if not os.path.lexists(path):
        raise DatasetMissing(
            f"There is no file or directory {path}, which dataset.path names; "
            "is the volume with the dataset mounted there?"
        )
    if not os.path.isdir(path):
        return [path]
    files = [file for file in list_folder(path) if file.suffix == ".npz" and file.name != TEST_FILE]
    if not files:
        raise DatasetMissing(
            f"The directory {path}, which dataset.path names, has no *.npz file to train on "
            f"({TEST_FILE} is left for a final measurement)."
        )
    return files


def _read_npz_file(path: Path) -> Arrays:
    with open_file(path) as stream:
        try:
            with Archive(path, stream) as archive:
                x, y = archive.find("x"), archive.find("y")
                _check_headers(path, x, y)
                images, labels = x.read(), y.read()
        except (InvalidInput, MemoryError):
            raise
        except Exception as error:
            # Archives and headers that are damaged, or made to do harm, fail in many ways.
            if not is_of_the_file(error):
                raise named(error, path) from error
            reason = why_unreadable(stream) or str(error).rstrip(".") or type(error).__name__
            raise DatasetInvalid(f"{path} cannot be read as an npz file: {reason}.") from None
    _check_labels(path, labels)
    return images, labels.astype(numpy.int64)


def _check_headers(path: Path, x: StoredArray, y: StoredArray) -> None:
    """Refuse arrays by their headers, before there is any memory for their content."""
    if x.dtype != numpy.uint8 or len(x.shape) != 4:
        raise DatasetInvalid(
            f"x of {path} is {x.dtype} of shape {x.shape}; it must be uint8 of shape "
            "(images, height, width, channels)."
        )
    if y.dtype.kind not in "iu" or len(y.shape) != 1:
        raise DatasetInvalid(
            f"y of {path} is {y.dtype} of shape {y.shape}; it must be whole numbers of shape "
            "(images,)."
        )
    if x.shape[0] != y.shape[0]:
        raise DatasetInvalid(f"{path} has {x.shape[0]} images in x and {y.shape[0]} labels in y.")
    if min(x.shape) <= 0:
        raise DatasetInvalid(f"x of {path} is empty: its shape is {x.shape}.")
    for array in (x, y):
        array.check_size()
    needed, memory = math.prod(x.shape), memory_limit()
    if needed > memory:
        raise DatasetTooLarge(
            f"The images x of {path} take {needed / 1e9:,.2f} GB, but there are "
            f"{memory / 1e9:,.2f} GB of memory; give the container more."
        )


def _check_labels(path: Path, y: NDArray[Any]) -> None:
    lowest, highest = int(y.min()), int(y.max())
    if lowest < 0 or highest >= MOST_CLASSES:
        raise DatasetInvalid(
            f"The labels y of {path} run from {lowest} to {highest}; classes are numbered from 0 "
            f"to at most {MOST_CLASSES - 1}."
        )
