"""The official files of CIFAR, SVHN and the MNIST look-alikes: found, verified, fetched and read.

Torchvision has their addresses, names, checksums and formats. Importing it takes longer than
importing torch, so that trials read the images prepared from them
(:mod:`blockqnn_trainer.datasets.prepared`) if there are any.
"""

import errno
import gzip
import hashlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy
from numpy.typing import NDArray

from blockqnn_trainer.datasets.arrays import Arrays, Part
from blockqnn_trainer.datasets.files import open_file, why_unreadable
from blockqnn_trainer.errors import DatasetInvalid, DatasetMissing, DownloadFailed

_PATIENCE = 60.0
"""Seconds to wait for a server that does not answer; torchvision would wait forever."""


class _File(NamedTuple):
    path: Path
    """Relative to the directory that `dataset.path` names."""
    md5: str
    """Its checksum, as its publishers print it."""


class _Format(NamedTuple):
    """The form of a dataset in torchvision."""

    kind: str
    """The name of its class in torchvision.datasets."""
    by_split: bool
    """True if the class takes the part as `split`, and fetches one part at a time."""
    files: Callable[[Any], Iterator[_File]]
    """Lists the files that its class names."""
    read: Callable[[Any, Path, Part], Arrays]
    """Reads a part from the official files in a directory, given its class."""

    @property
    def dataset_class(self) -> Any:
        """The class, imported only here: the import takes long; prepared images do not need it."""
        from torchvision import datasets  # type: ignore[import-untyped]

        return getattr(datasets, self.kind)


def read_official(name: str, root: Path, part: Part) -> Arrays:
    """Read the images of a dataset from its official files.

    Raises:
        DatasetMissing: when a file is not there; the sentence names it.
        DatasetInvalid: when a file has another checksum than the official one.
    """
    verify(name, root)
    dataset_format = _FORMATS[name]
    return dataset_format.read(dataset_format.dataset_class, root, part)


def _cifar_files(kind: Any) -> Iterator[_File]:
    folder = Path(kind.base_folder)
    for filename, md5 in [*kind.train_list, *kind.test_list]:
        yield _File(folder / filename, md5)
    yield _File(folder / kind.meta["filename"], kind.meta["md5"])


def _read_cifar(kind: Any, root: Path, part: Part) -> Arrays:
    dataset = kind(str(root), train=part == "train", download=False)
    return dataset.data, numpy.asarray(dataset.targets, dtype=numpy.int64)


def _svhn_files(kind: Any) -> Iterator[_File]:
    for part in get_args(Part):
        _, filename, md5 = kind.split_list[part]
        yield _File(Path(filename), md5)


def _read_svhn(kind: Any, root: Path, part: Part) -> Arrays:
    dataset = kind(str(root), split=part)
    pixels = numpy.ascontiguousarray(dataset.data.transpose(0, 2, 3, 1))
    return pixels, dataset.labels.astype(numpy.int64)


def _mnist_files(kind: Any) -> Iterator[_File]:
    for filename, md5 in kind.resources:
        yield _File(Path(kind.__name__, "raw", filename), md5)


def _read_mnist(kind: Any, root: Path, part: Part) -> Arrays:
    """Read the compressed files, which have checksums; torchvision reads the others."""
    prefix = "train" if part == "train" else "t10k"
    folder = root / kind.__name__ / "raw"
    pixels = _read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    labels = _read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
    return pixels[..., numpy.newaxis], labels.astype(numpy.int64)


_FORMATS = {
    "cifar10": _Format("CIFAR10", False, _cifar_files, _read_cifar),
    "cifar100": _Format("CIFAR100", False, _cifar_files, _read_cifar),
    "svhn": _Format("SVHN", True, _svhn_files, _read_svhn),
    "fashion_mnist": _Format("FashionMNIST", False, _mnist_files, _read_mnist),
    "kmnist": _Format("KMNIST", False, _mnist_files, _read_mnist),
}
"""One for each of :data:`blockqnn.network.datasets.OFFICIAL`."""


def _read_idx(path: Path) -> NDArray[numpy.uint8]:
    """Read an array of bytes in LeCun's format: the number of axes, their lengths, the bytes."""
    content = gzip.decompress(path.read_bytes())
    axes = content[3]
    lengths = numpy.frombuffer(content, ">u4", axes, offset=4)
    return numpy.frombuffer(content, numpy.uint8, offset=4 + 4 * axes).reshape(lengths)


def is_complete(name: str, root: Path) -> bool:
    """Return whether all official files are there, whatever their content."""
    return all((root / file.path).is_file() for file in _files(name))


def verify(name: str, root: Path) -> None:
    """Compare the checksum of each official file with the published one.

    Raises:
        DatasetMissing: when a file is not there.
        DatasetInvalid: when a checksum differs.
    """
    for file in _files(name):
        path = root / file.path
        if not path.is_file():
            raise DatasetMissing(
                f"The official files of {name} are not in {root}, which dataset.path names, or are "
                f"incomplete: there is no {file.path}. blockqnn-train prepare fetches them."
            )
        with open_file(path) as stream:
            digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
            reason = why_unreadable(stream) or "it is damaged, or another file"
        if digest.hexdigest() != file.md5:
            raise DatasetInvalid(
                f"The checksum of {path} is {digest.hexdigest()}, but that of the official file of "
                f"{name} is {file.md5}: {reason}. Delete it to fetch it again."
            )


def fetch(name: str, root: Path) -> None:
    """Download and unpack the official files, from the addresses in torchvision.

    Raises:
        DownloadFailed: when that fails; another attempt may succeed.
    """
    dataset_format = _FORMATS[name]
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        if dataset_format.by_split:
            for part in get_args(Part):
                dataset_format.dataset_class(str(root), split=part, download=True)
        else:
            dataset_format.dataset_class(str(root), download=True)
    except (OSError, RuntimeError, EOFError) as error:
        if isinstance(error, OSError) and error.errno in _VOLUME_ERRORS:
            raise
        raise DownloadFailed(
            f"The files of {name} could not be downloaded: {' '.join(str(error).split())}. "
            "If this machine has no network, put them into the directory that dataset.path names."
        ) from None
    finally:
        socket.setdefaulttimeout(before)


_VOLUME_ERRORS = frozenset({errno.EACCES, errno.ENOSPC, errno.EROFS, errno.EDQUOT})
"""Errors of the volume, which another attempt does not fix."""


def fingerprint(name: str) -> str:
    """Name the official files by their checksums."""
    text = "".join(f"{file.path}\t{file.md5}\n" for file in _files(name))
    return hashlib.sha256(text.encode()).hexdigest()


def _files(name: str) -> Iterator[_File]:
    dataset_format = _FORMATS[name]
    return dataset_format.files(dataset_format.dataset_class)
