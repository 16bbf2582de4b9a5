"""Arrays in an npz archive: described by their headers, and read only where they are as large.

A header may claim any shape. It is compared with what the archive holds, and that with the size of
the file, before memory is asked for. No pickle is ever loaded.
"""

import io
import math
import zipfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, Self

import numpy
from numpy.lib import format as npy
from numpy.typing import NDArray

from blockqnn_trainer.errors import DatasetInvalid

_LONGEST_HEADER = 10_000
"""Bytes of a header: those of an array of numbers have some hundred."""

_MOST_DEFLATED = 1032
"""Bytes that one byte of a deflated file can stand for, at most."""

_READERS = {1: npy.read_array_header_1_0, 2: npy.read_array_header_2_0}
_LENGTH_BYTES = {1: 2, 2: 4}
"""The bytes of the length of a header, by the version of the format."""


class Archive:
    """An open npz file."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        """Read the list of its arrays.

        Args:
            path: named in messages.
            stream: the open file.

        Raises:
            DatasetInvalid: when it is a single array.
            Exception: of many kinds, when it is no archive.
        """
        if stream.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
            raise DatasetInvalid(
                f"{path} is a single array; an npz file with the arrays x and y is needed."
            )
        stream.seek(0, io.SEEK_END)
        self._path, self._size = path, stream.tell()
        self._archive = zipfile.ZipFile(stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._archive.close()

    def find(self, key: str) -> "StoredArray":
        """Return an array by its name.

        Raises:
            DatasetInvalid: when there is none.
            Exception: of many kinds, when its header cannot be read.
        """
        members = {info.filename.removesuffix(".npy"): info for info in self._archive.infolist()}
        if key not in members:
            names = ", ".join(members) or "none"
            raise DatasetInvalid(f"{self._path} has no array {key}; its arrays: {names}.")
        return StoredArray(f"{key} of {self._path}", self._size, self._archive, members[key])


class StoredArray:
    """An array that has not been read so far.

    Attributes:
        shape: as its header claims it.
        dtype: as its header claims it.
    """

    def __init__(
        self, title: str, size: int, archive: zipfile.ZipFile, info: zipfile.ZipInfo
    ) -> None:
        """Read the header.

        Args:
            title: the array, as messages name it: `x of /data/a.npz`.
            size: the bytes of the whole archive.
            archive: holds the array.
            info: its entry.
        """
        self._title, self._size, self._archive, self._info = title, size, archive, info
        with archive.open(info) as member:
            self.shape, self.dtype, self._start = _read_header(title, member)

    def check_size(self) -> None:
        """Compare the size that the header claims with what the archive can hold.

        Raises:
            DatasetInvalid: when it claims more.
        """
        claimed = self._start + math.prod(self.shape) * self.dtype.itemsize
        packed = min(self._info.compress_size, self._size)
        if self._info.compress_type != zipfile.ZIP_STORED:
            packed *= _MOST_DEFLATED
        if claimed > min(packed, self._info.file_size):
            raise DatasetInvalid(
                f"{self._title} is {self.dtype} of shape {self.shape} by its header, {claimed:,} "
                "bytes, but the file holds fewer; it is damaged or incomplete: copy it again."
            )

    def read(self) -> NDArray[Any]:
        """Read the content; call :meth:`check_size` before.

        Raises:
            Exception: of many kinds, when it is damaged.
        """
        with self._archive.open(self._info) as member:
            array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
        return array


def _read_header(title: str, member: IO[bytes]) -> tuple[tuple[int, ...], numpy.dtype[Any], int]:
    """Return shape, type and the bytes before the content."""
    beginning = member.read(npy.MAGIC_LEN)
    if beginning[:-2] != npy.MAGIC_PREFIX or len(beginning) < npy.MAGIC_LEN:
        raise DatasetInvalid(f"{title} is no array of numpy.")
    version = beginning[-2]
    if version not in _READERS:
        raise DatasetInvalid(f"{title} has a header of version {version}; 1 and 2 can be read.")
    length = member.read(_LENGTH_BYTES[version])
    characters = int.from_bytes(length, "little")
    if characters > _LONGEST_HEADER:
        raise DatasetInvalid(f"{title} has a header of {characters:,} bytes; it is damaged.")
    header = io.BytesIO(length + member.read(characters))
    try:
        shape, _, dtype = _READERS[version](header)
    except Exception:
        # Python's own parser reads it, and fails in as many ways as there are texts.
        raise DatasetInvalid(f"{title} has a header that cannot be read; it is damaged.") from None
    return shape, dtype, npy.MAGIC_LEN + len(header.getvalue())
