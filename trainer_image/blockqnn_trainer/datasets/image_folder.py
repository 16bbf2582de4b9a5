"""A user's own images, or ImageNet: a folder for each class, with image files in it.

::

    PATH/train/CLASS/*.jpg        or, without test images,      PATH/CLASS/*.jpg
    PATH/test/CLASS/*.jpg         (or val, or validation, instead of test)

Classes are numbered and files are read in the order of their names. Every image is read as RGB.
What other tools leave in folders is passed over, at every level.
With a size, its shorter side is scaled to it (bilinear, antialiased), and the middle square is
kept; without, all images must have one size.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy
from numpy.typing import NDArray
from PIL import Image

from blockqnn_trainer.datasets.arrays import Part, Source
from blockqnn_trainer.datasets.decoding import Depth, decode
from blockqnn_trainer.datasets.files import file_size, is_folder, list_folder
from blockqnn_trainer.errors import DatasetInvalid, DatasetMissing

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"})
"""The suffixes that torchvision's ImageFolder takes for images; other files are ignored."""

_TEST_FOLDERS = ("test", "val", "validation")

_PARTS = frozenset(
    {"train", "training", "test", "testing", "val", "valid", "validation", "eval", "evaluation"}
)
"""Names of folders, in lower case, that would be taken for classes if there is no folder train."""


class ImageFolder:
    """The image files of one part of a dataset.

    Attributes:
        files: the image files, class after class.
        labels: the class of each, from 0.
    """

    def __init__(self, root: Path, part: Part, image_size: int | None) -> None:
        """List the files.

        Args:
            root: the folder that `dataset.path` names.
            part: which images.
            image_size: the side of the square that images are scaled to, in pixels, or None.

        Raises:
            DatasetMissing: when there is no such folder or part.
            DatasetInvalid: when it has no two classes, or a class has no image, or a folder cannot
                be listed.
        """
        if not os.path.isdir(root):
            raise DatasetMissing(
                f"There is no directory {root}, which dataset.path names; "
                "is the volume with the dataset mounted there?"
            )
        self._image_size = image_size
        self._root = root
        self.files, self.labels = _list_files(root, part)

    def fingerprint(self) -> str:
        """Name these files by their paths and sizes: other images give another name.

        Raises:
            DatasetInvalid: when one of them is no regular file.
        """
        digest = hashlib.sha256()
        for file in self.files:
            # The bytes of the name: it need not be text.
            digest.update(os.fsencode(file.relative_to(self._root)))
            digest.update(f"\t{file_size(file)}\n".encode())
        return digest.hexdigest()

    def source(self) -> Source:
        """Return a source that reads the images.

        Raises:
            DatasetInvalid: when an image cannot be read, or has another size than the first.
        """
        first = _cut(decode(self.files[0]).image, self._image_size)
        height, width, channels = first.shape
        labels = numpy.array(self.labels, dtype=numpy.int64)
        return Source(labels, (height, width, channels), self._pieces)

    def _pieces(self) -> Iterator[NDArray[numpy.uint8]]:
        first = self.files[0]
        shape: tuple[int, ...] | None = None
        depth = Depth(self._root)
        for file in self.files:
            decoded = decode(file)
            depth.add(decoded)
            image = _cut(decoded.image, self._image_size)
            if shape is None:
                shape = image.shape
            if image.shape != shape:
                raise DatasetInvalid(
                    f"The image {first} has {shape[1]}x{shape[0]} pixels and {file} has "
                    f"{image.shape[1]}x{image.shape[0]}; all images of a dataset must have one "
                    "size: set dataset.imageSize to bring them to one."
                )
            yield image[numpy.newaxis]
        depth.check()


def _list_files(root: Path, part: Part) -> tuple[list[Path], list[int]]:
    divided = os.path.isdir(root / "train")
    training = root / "train" if divided else root
    classes = _class_names(training)
    if not divided and classes and _PARTS.issuperset(map(str.lower, classes)):
        raise DatasetInvalid(
            f"{root} has the folders {', '.join(classes)}, which are parts of a dataset and no "
            "classes; rename the one to train on to train, and the one to test on to test."
        )
    if len(classes) < 2:
        content = f"only the class folder {classes[0]}" if classes else "no class folder"
        raise DatasetInvalid(
            f"{training} has {content}; at least two classes are needed, each a folder of images."
        )
    folder = training if part == "train" else _test_folder(root, divided)
    files: list[Path] = []
    labels: list[int] = []
    for name in _class_names(folder):
        if name not in classes:
            raise DatasetInvalid(f"{folder / name} is a class that {training} does not have.")
        image_files = _image_files(folder / name)
        if not image_files:
            raise DatasetInvalid(f"The class folder {folder / name} has no image file.")
        files += image_files
        labels += [classes.index(name)] * len(image_files)
    return files, labels


def _test_folder(root: Path, divided: bool) -> Path:
    for name in _TEST_FOLDERS:
        if divided and os.path.isdir(root / name):
            return root / name
    raise DatasetMissing(
        f"{root}, which dataset.path names, has no test images: folders train and test (or val, or "
        "validation) are needed for them. Add them, or set dataset.validation.source to train."
    )


def _class_names(folder: Path) -> list[str]:
    return [entry.name for entry in list_folder(folder) if is_folder(entry)]


def _image_files(folder: Path) -> list[Path]:
    """List the image files of a folder and of those in it, in the order of their paths.

    Links to folders are passed over, so that there is an end. No recursion: folders may lie deeper
    in each other than Python's functions can.
    """
    files: list[Path] = []
    waiting = list_folder(folder)[::-1]
    while waiting:
        entry = waiting.pop()
        if entry.suffix.lower() in _SUFFIXES:
            files.append(entry)
        elif not os.path.islink(entry) and is_folder(entry):
            waiting += list_folder(entry)[::-1]
    return files


def _cut(image: Image.Image, image_size: int | None) -> NDArray[numpy.uint8]:
    if image_size is not None:
        image = _centre(image, image_size)
    return numpy.asarray(image, dtype=numpy.uint8)


def _centre(image: Image.Image, size: int) -> Image.Image:
    """Bring the shorter side to `size` pixels and keep the middle square."""
    scale = size / min(image.size)
    width, height = (max(size, round(length * scale)) for length in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return resized.crop((left, top, left + size, top + size))
