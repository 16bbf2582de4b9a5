"""A user's own images: npz files with the arrays ``x`` and ``y``."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from blockqnn_trainer.datasets.arrays import MOST_CLASSES, Arrays, Part, check_classes, size_text
from blockqnn_trainer.errors import DatasetInvalid, DatasetMissing

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
    if path.is_dir() and (path / TEST_FILE).is_file():
        return path / TEST_FILE
    raise DatasetMissing(
        f"There is no file {TEST_FILE} in {path}, which dataset.path names, to measure on; "
        "add it, or set dataset.validation.source to train."
    )


def _npz_files(path: Path) -> list[Path]:
    """List one file, or those of a directory in the order of their names, without test images."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DatasetMissing(
            f"There is no file or directory {path}, which dataset.path names; "
            "is the volume with the dataset mounted there?"
        )
    files = sorted(file for file in path.glob("*.npz") if file.name != TEST_FILE)
    if not files:
        raise DatasetMissing(
            f"The directory {path}, which dataset.path names, has no *.npz file to train on "
            f"({TEST_FILE} is left for a final measurement)."
        )
    return files


def _read_npz_file(path: Path) -> Arrays:
    try:
        # Opened here, because numpy leaves a file open that turns out to be no archive.
        with path.open("rb") as stream:
            file = numpy.load(stream, allow_pickle=False)
            if not isinstance(file, numpy.lib.npyio.NpzFile):
                raise DatasetInvalid(
                    f"{path} is a single array; an npz file with the arrays x and y is needed."
                )
            x, y = _member(path, file, "x"), _member(path, file, "y")
    except PermissionError:
        raise DatasetInvalid(
            f"This process, with user id {os.getuid()}, may not read {path}."
        ) from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetInvalid(f"{path} cannot be read as an npz file: {error}.") from None
    _check_arrays(path, x, y)
    return x, y.astype(numpy.int64)


def _member(path: Path, file: numpy.lib.npyio.NpzFile, key: str) -> NDArray[Any]:
    if key not in file.files:
        names = ", ".join(file.files) or "none"
        raise DatasetInvalid(f"{path} has no array {key}; its arrays: {names}.")
    array: NDArray[Any] = file[key]
    return array


def _check_arrays(path: Path, x: NDArray[Any], y: NDArray[Any]) -> None:
    if x.dtype != numpy.uint8 or x.ndim != 4:
        raise DatasetInvalid(
            f"x of {path} is {x.dtype} of shape {x.shape}; it must be uint8 of shape "
            "(images, height, width, channels)."
        )
    if y.dtype.kind not in "iu" or y.ndim != 1:
        raise DatasetInvalid(
            f"y of {path} is {y.dtype} of shape {y.shape}; it must be whole numbers of shape "
            "(images,)."
        )
    if len(x) != len(y):
        raise DatasetInvalid(f"{path} has {len(x)} images in x and {len(y)} labels in y.")
    if x.size == 0:
        raise DatasetInvalid(f"x of {path} is empty: its shape is {x.shape}.")
    lowest, highest = int(y.min()), int(y.max())
    if lowest < 0 or highest >= MOST_CLASSES:
        raise DatasetInvalid(
            f"The labels y of {path} run from {lowest} to {highest}; classes are numbered from 0 "
            f"to at most {MOST_CLASSES - 1}."
        )
