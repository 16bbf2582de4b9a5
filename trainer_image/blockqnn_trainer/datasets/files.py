"""Files of a dataset: listed without the leftovers of other tools, and opened without surprises.

Every file that a dataset consists of is opened by :func:`open_file`, and every folder is listed by
:func:`list_folder`, so that what is wrong with a name is a sentence about that name.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from blockqnn_trainer.errors import DatasetInvalid

_LEFTOVERS = frozenset(
    {
        "__macosx",  # a Mac's archive
        "@eadir",  # a network drive's previews
        "#recycle",
        "@recycle",
        "$recycle.bin",
        "system volume information",
        "desktop.ini",
        "thumbs.db",
        "lost+found",  # a file system's, at the root of a volume
    }
)
"""Names that other tools leave among a user's files, in lower case."""

_POINTER = b"version https://git-lfs"
"""The beginning of the file that stands for another one until git-lfs has fetched that."""


def is_leftover(name: str) -> bool:
    """Return whether a file or folder is hidden, or one that other tools leave.

    Hidden are a Mac's ``._0.jpg`` and ``.DS_Store``, a notebook's ``.ipynb_checkpoints``, and the
    folder of prepared images.
    """
    return name.startswith(".") or name.lower() in _LEFTOVERS


def list_folder(folder: Path) -> list[Path]:
    """List a folder in the order of its names, without leftovers.

    Raises:
        DatasetInvalid: when it cannot be listed.
    """
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise _refusal(folder, error) from None
    return [folder / name for name in sorted(names) if not is_leftover(name)]


def is_folder(path: Path) -> bool:
    """Return whether a path, or what it links to, is a folder.

    Raises:
        DatasetInvalid: when that cannot be seen, as with a link to something that is not there.
    """
    return stat.S_ISDIR(_status(path).st_mode)


def file_size(path: Path) -> int:
    """Return the size of a file in bytes, without opening it.

    Raises:
        DatasetInvalid: when it is no regular file, or is not there.
    """
    status = _status(path)
    _require_regular(path, status)
    return status.st_size


def open_file(path: Path) -> BufferedReader:
    """Open a regular file to read it.

    Anything else would wait for another process (a FIFO), never end, or do what a device does.

    Raises:
        DatasetInvalid: when it is no regular file, is not there, or may not be read.
    """
    file_size(path)
    try:
        # It may have become a FIFO since; opening one would wait for whoever writes to it.
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise _refusal(path, error) from None
    try:
        _require_regular(path, os.fstat(file.fileno()))
    except DatasetInvalid:
        file.close()
        raise
    return file


def why_unreadable(file: BinaryIO) -> str | None:
    """Return what a file is that is not what its name says; None if nothing can be seen."""
    if file.closed:  # by a decoder that has given up
        return None
    file.seek(0)
    beginning = file.read(len(_POINTER))
    if not beginning:
        return "it is empty"
    if beginning == _POINTER:
        return (
            "it is a git-lfs pointer, not the file itself; run git lfs pull where it was cloned, "
            "and copy it again"
        )
    return None


def named(error: Exception, path: Path) -> Exception:
    """Return an error of the disk or the network with the name of the file."""
    if isinstance(error, OSError) and error.filename is None:
        return OSError(error.errno, error.strerror, str(path))
    return error


def is_of_the_file(error: Exception) -> bool:
    """Return whether an error while reading tells of the file, not of the disk or the network.

    A damaged file can lead its reader to a position before its beginning (EINVAL).
    """
    return not isinstance(error, OSError) or error.errno in (None, errno.EINVAL)


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise _refusal(path, error) from None


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
        raise DatasetInvalid(f"{path} is {kind}, where a file is needed; remove or rename it.")


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _refusal(path: Path, error: OSError) -> Exception:
    """Return the sentence about a path that cannot be opened; an error of the machine is kept."""
    if isinstance(error, FileNotFoundError) and os.path.islink(path):
        return DatasetInvalid(
            f"{path} is a link to {path.readlink()}, which is not there; copy the file itself, or "
            "remove the link."
        )
    if isinstance(error, FileNotFoundError):
        return DatasetInvalid(f"{path} is not there any more; put it back, or try again.")
    if isinstance(error, PermissionError):
        return DatasetInvalid(
            f"This process, with user id {os.geteuid()}, may not read {path}; allow it, for "
            "example with securityContext.fsGroup."
        )
    if isinstance(error, NotADirectoryError):
        return DatasetInvalid(f"{path} is no folder.")
    if error.errno in _OF_THE_NAME:
        return DatasetInvalid(f"{path} cannot be opened: {error.strerror}.")
    return error


_OF_THE_NAME = frozenset(
    {errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EINVAL, errno.EISDIR, errno.ENOTSUP}
)
"""Errors that are the name's, and the same at every attempt; others may be the network's."""
