"""The official files of CIFAR, SVHN and Fashion-MNIST: found, verified, fetched and read.

Torchvision knows where they come from, what they are called, their checksums and their formats.
Importing it takes longer than importing torch, so that trials read what was prepared from them
(:mod:`blockqnn_trainer.prepared`) wherever that is there.
"""

import errno
import gzip
import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy
from numpy.typing import NDArray

from blockqnn_trainer.arrays import Arrays, Part
from blockqnn_trainer.errors import DatasetInvalid, DatasetMissing, DownloadFailed

OfficialName = Literal["cifar10", "cifar100", "svhn", "fashion_mnist"]
"""The datasets whose files torchvision fetches and verifies."""

OFFICIAL_NAMES: tuple[OfficialName, ...] = get_args(OfficialName)

_PATIENCE = 60.0
"""Seconds to wait for a server that does not answer; torchvision would wait for ever."""


class _File(NamedTuple):
    path: Path
    """Relative to the directory that `dataset.path` names."""
    md5: str
    """Its checksum, as its publishers print it."""


def read_official(name: OfficialName, root: Path, part: Part) -> Arrays:
    """Read the images of a dataset from its official files.

    Raises:
        DatasetMissing: when a file is not there; the sentence names it.
        DatasetInvalid: when a file has another checksum than the official one.
    """
    verify(name, root)
    if name == "fashion_mnist":
        return _read_fashion_mnist(root, part)
    kind = _dataset_class(name)
    if name == "svhn":
        dataset = kind(str(root), split=part)
        pixels = numpy.ascontiguousarray(dataset.data.transpose(0, 2, 3, 1))
        return pixels, dataset.labels.astype(numpy.int64)
    dataset = kind(str(root), train=part == "train", download=False)
    return dataset.data, numpy.asarray(dataset.targets, dtype=numpy.int64)


def _read_fashion_mnist(root: Path, part: Part) -> Arrays:
    """Read the compressed files, which are those that have checksums, as torchvision does not."""
    kind = "train" if part == "train" else "t10k"
    folder = root / "FashionMNIST" / "raw"
    pixels = _read_idx(folder / f"{kind}-images-idx3-ubyte.gz")
    labels = _read_idx(folder / f"{kind}-labels-idx1-ubyte.gz")
    return pixels[..., numpy.newaxis], labels.astype(numpy.int64)


def _read_idx(path: Path) -> NDArray[numpy.uint8]:
    """Read an array of bytes in LeCun's format: the number of axes, their lengths, the bytes."""
    content = gzip.decompress(path.read_bytes())
    axes = content[3]
    lengths = numpy.frombuffer(content, ">u4", axes, offset=4)
    return numpy.frombuffer(content, numpy.uint8, offset=4 + 4 * axes).reshape(lengths)


def is_complete(name: OfficialName, root: Path) -> bool:
    """Whether all official files are there, whatever is in them."""
    return all((root / file.path).is_file() for file in _files(name))


def verify(name: OfficialName, root: Path) -> None:
    """Compare the checksum of each official file with the one that is published.

    Raises:
        DatasetMissing: when a file is not there.
        DatasetInvalid: when a checksum is another one.
    """
    for file in _files(name):
        path = root / file.path
        if not path.is_file():
            raise DatasetMissing(
                f"The official files of {name} are not in {root}, which dataset.path names, or are "
                f"incomplete: there is no {file.path}. blockqnn-train prepare fetches them."
            )
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
        if found.hexdigest() != file.md5:
            raise DatasetInvalid(
                f"The checksum of {path} is {found.hexdigest()}, but that of the official file of "
                f"{name} is {file.md5}: it is damaged, or another file. Delete it, and it is "
                "fetched anew."
            )


def fetch(name: OfficialName, root: Path) -> None:
    """Download and unpack the official files, from where torchvision knows them to be.

    Raises:
        DownloadFailed: when that does not succeed; another attempt may.
    """
    kind = _dataset_class(name)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        if name == "svhn":
            for part in get_args(Part):
                kind(str(root), split=part, download=True)
        else:
            kind(str(root), download=True)
    except (OSError, RuntimeError, EOFError) as error:
        if isinstance(error, OSError) and error.errno in _VOLUME_ERRORS:
            raise
        raise DownloadFailed(
            f"The files of {name} could not be downloaded: {' '.join(str(error).split())}. "
            "Where this machine reaches no other, put them into the directory that dataset.path "
            "names."
        ) from None
    finally:
        socket.setdefaulttimeout(before)


_VOLUME_ERRORS = frozenset({errno.EACCES, errno.ENOSPC, errno.EROFS, errno.EDQUOT})
"""Errors of the volume, which no other attempt mends."""


def fingerprint(name: OfficialName) -> str:
    """Name the official files by their checksums."""
    text = "".join(f"{file.path}\t{file.md5}\n" for file in _files(name))
    return hashlib.sha256(text.encode()).hexdigest()


def _files(name: OfficialName) -> Iterator[_File]:
    kind = _dataset_class(name)
    match name:
        case "svhn":
            for part in get_args(Part):
                _, filename, md5 = kind.split_list[part]
                yield _File(Path(filename), md5)
        case "fashion_mnist":
            for filename, md5 in kind.resources:
                yield _File(Path("FashionMNIST", "raw", filename), md5)
        case _:
            folder = Path(kind.base_folder)
            for filename, md5 in [*kind.train_list, *kind.test_list]:
                yield _File(folder / filename, md5)
            yield _File(folder / kind.meta["filename"], kind.meta["md5"])


def _dataset_class(name: OfficialName) -> Any:
    # Imported here because it takes long, and what was prepared is read without it.
    from torchvision import datasets  # type: ignore[import-untyped]

    return {
        "cifar10": datasets.CIFAR10,
        "cifar100": datasets.CIFAR100,
        "svhn": datasets.SVHN,
        "fashion_mnist": datasets.FashionMNIST,
    }[name]
