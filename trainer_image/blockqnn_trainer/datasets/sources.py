"""Sources of images: prepared images, official files, a folder of images, npz files, digits.

Each source gives uint8 pixels, N x height x width x channels, and int64 labels, N, from 0.
"""

import gzip
import importlib.util
from pathlib import Path

import numpy

from blockqnn.contract.dataset import DatasetSpec
from blockqnn_trainer.datasets.arrays import Arrays, Part, Source, check_classes, check_images
from blockqnn_trainer.datasets.npz import read_npz
from blockqnn_trainer.datasets.official import read_official
from blockqnn_trainer.datasets.prepared import read_prepared
from blockqnn_trainer.errors import DatasetMissing

_DIGITS_BRIGHTEST = 16


def read_images(dataset: DatasetSpec, part: Part) -> Arrays:
    """Read the images that a dataset has for training, or those it sets apart.

    Images that ``blockqnn-train prepare`` wrote are preferred to the files they were made from.

    Raises:
        DatasetMissing: when it is not where `dataset.path` says, or not installed, or has no such
            part.
        DatasetInvalid: when it cannot be used; the sentence names the file and what is wrong.
    """
    prepared = read_prepared(dataset, part)
    arrays = prepared if prepared is not None else open_source(dataset, part).collect()
    if part == "train":
        # Flat images are refused when they are prepared; a search that trains on them goes on.
        check_images(source_title(dataset), arrays[0], flat_allowed=True)
    return arrays


def source_title(dataset: DatasetSpec) -> str:
    """Return how messages name a dataset."""
    return dataset.name if dataset.name == "digits" else f"{dataset.name} at {dataset.path}"


def open_source(dataset: DatasetSpec, part: Part) -> Source:
    """Open the images in their original form, without regard to prepared ones.

    Raises:
        DatasetMissing: as :func:`read_images`.
        DatasetInvalid: as :func:`read_images`.
    """
    match dataset.name:
        case "digits":
            return Source.of(_read_digits(part))
        case "npz":
            return Source.of(read_npz(Path(dataset.path), part))
        case "imagefolder":
            # Imported here because of the library that decodes images.
            from blockqnn_trainer.datasets.image_folder import ImageFolder

            return ImageFolder(Path(dataset.path), part, dataset.image_size).source()
        case _:
            pixels, labels = read_official(dataset.name, Path(dataset.path), part)
            if part == "train":
                check_classes(dataset.name, labels)
            return Source.of((pixels, labels))


def _read_digits(part: Part) -> Arrays:
    """Read the 1,797 grey images of 8x8 pixels that scikit-learn ships.

    Its data file is read without importing it: the import takes longer (0.9 s, compiled bytecode,
    warm) than reading these images and training a small network on them for an epoch.
    """
    if part == "test":
        raise DatasetMissing(
            "The digits images have no test images; set dataset.validation.source to train."
        )
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
