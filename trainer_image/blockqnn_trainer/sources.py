"""Where images come from: scikit-learn's digits, npz files, CIFAR's official files.

Each source gives uint8 pixels, N x height x width x channels, and int64 labels, N, from 0: all
images that may be trained on. A test set is never read here.
"""

import gzip
import importlib.util
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy
from numpy.typing import NDArray

from blockqnn.contract import DatasetSpec
from blockqnn_trainer.errors import DatasetInvalid, DatasetMissing

Arrays = tuple[NDArray[numpy.uint8], NDArray[numpy.int64]]

TEST_FILE = "test.npz"
"""The file of an npz directory that is left for a final measurement."""

_MOST_CLASSES = 100_000  # more than ImageNet-21k's 21,841: larger numbers are no class indices
_DIGITS_BRIGHTEST = 16


def read_images(dataset: DatasetSpec) -> Arrays:
    """Read all images that a dataset has for training.

    Raises:
        DatasetMissing: when it is not where `dataset.path` says, or not installed.
        DatasetInvalid: when it cannot be used; the sentence names the file and what is wrong.
    """
    match dataset.name:
        case "digits":
            return _read_digits()
        case "npz":
            return _read_npz(Path(dataset.path))
        case "cifar10" | "cifar100":
            return _read_cifar(dataset.name, dataset.path)


def _read_digits() -> Arrays:
    """Read the 1,797 grey images of 8x8 pixels that scikit-learn ships.

    Its data file is read without importing it: the import takes longer (0.9 s, compiled bytecode,
    warm) than reading these images and training a small network on them for an epoch.
    """
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise DatasetMissing(
            "The digits images are part of scikit-learn, which is not installed here; "
            "install it, or choose another dataset.name."
        )
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            rows = numpy.loadtxt(file, delimiter=",", dtype=numpy.int64)
    except FileNotFoundError:
        raise DatasetMissing(
            f"The scikit-learn installed here has no digits images at {path}."
        ) from None
    pixels = numpy.rint(rows[:, :64] * (255 / _DIGITS_BRIGHTEST)).astype(numpy.uint8)
    return pixels.reshape(-1, 8, 8, 1), numpy.ascontiguousarray(rows[:, 64])


def _read_npz(path: Path) -> Arrays:
    files = _npz_files(path)
    parts = [_read_npz_file(file) for file in files]
    first = parts[0][0].shape[1:]
    for file, (pixels, _) in zip(files, parts, strict=True):
        if pixels.shape[1:] != first:
            raise DatasetInvalid(
                f"The images of {file} are {_size(pixels.shape[1:])} and those of {files[0]} are "
                f"{_size(first)}; all images of a dataset must have one size."
            )
    if len(parts) == 1:
        pixels, labels = parts[0]
    else:
        pixels = numpy.concatenate([part[0] for part in parts])
        labels = numpy.concatenate([part[1] for part in parts])
    _check_classes(path, labels)
    return pixels, labels


def _npz_files(path: Path) -> list[Path]:
    """One file, or those of a directory in the order of their names, without the test images."""
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
            f"{path} may not be read by this process, whose user id is {os.getuid()}."
        ) from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetInvalid(f"{path} cannot be read as an npz file: {error}.") from None
    _check_arrays(path, x, y)
    return x, y.astype(numpy.int64)


def _member(path: Path, file: numpy.lib.npyio.NpzFile, key: str) -> NDArray[Any]:
    if key not in file.files:
        found = ", ".join(file.files) or "none"
        raise DatasetInvalid(f"{path} has no array {key}; its arrays: {found}.")
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
    if lowest < 0 or highest >= _MOST_CLASSES:
        raise DatasetInvalid(
            f"The labels y of {path} run from {lowest} to {highest}; classes are numbered from 0 "
            f"to at most {_MOST_CLASSES - 1}."
        )


def _check_classes(path: Path, labels: NDArray[numpy.int64]) -> None:
    # A part of a dataset may lack a class in the middle; one class leaves nothing to learn.
    if labels.min() == labels.max():
        raise DatasetInvalid(
            f"All {len(labels)} images of {path} have the label {labels[0]}; "
            "at least two classes are needed."
        )


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(length) for length in shape)


def _read_cifar(name: Literal["cifar10", "cifar100"], root: str) -> Arrays:
    """Read the official training files with torchvision, which verifies their checksums."""
    # Imported here because it takes long and no other dataset needs it.
    from torchvision.datasets import (  # type: ignore[import-untyped]
        CIFAR10,
        CIFAR100,
    )

    dataset_class = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    try:
        dataset = dataset_class(root, train=True, download=False)
    except RuntimeError:
        raise DatasetMissing(
            f"The official files of {name} are not in {Path(root) / dataset_class.base_folder}, or "
            "are incomplete; dataset.path must name the directory that holds "
            f"{dataset_class.base_folder}."
        ) from None
    return dataset.data, numpy.asarray(dataset.targets, dtype=numpy.int64)
