"""Files on a volume: complete or absent, and errors in a sentence."""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from blockqnn_trainer.errors import VolumeUnusable

UNFINISHED = ".unfinished"
"""The suffix of a file's name until it is complete."""


_LIMITED = "The volume at {place} takes no files of this size; use another kind of volume."
_UNSUPPORTED = (
    "The volume at {place} cannot do what is needed: {error}; use another kind of volume."
)
_OTHER = "{error}, on the volume at {place}; remove what is in the way, or use another volume."


def volume_sentences(
    read_only: str, forbidden: str, full: str, *, is_shared: bool = False
) -> Mapping[int, str]:
    """Return sentences by number of error, each with the fields `place` and `user` (its id).

    An error that is missing here may be gone at the next attempt, as a network's may.

    Args:
        read_only: the sentence for a volume that is mounted read-only.
        forbidden: the one for a volume that the process may not write to.
        full: the one for a volume without room.
        is_shared: True if everybody needs the place, so that what is in the way there is a fault
            of the volume; else it is the fault of whatever has that place alone.
    """
    return {
        **(dict.fromkeys(_IN_THE_WAY, _OTHER) if is_shared else {}),
        **dict.fromkeys((errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK), _UNSUPPORTED),
        errno.EFBIG: _LIMITED,
        errno.EROFS: read_only,
        errno.EACCES: forbidden,
        errno.EPERM: forbidden,
        errno.ENOSPC: full,
        errno.EDQUOT: full,
    }


_IN_THE_WAY = (
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENXIO,
    errno.ELOOP,
    errno.ENAMETOOLONG,
)
"""Errors of names that are something else than expected."""


@contextmanager
def explain_volume_errors(place: Path, sentences: Mapping[int, str]) -> Iterator[None]:
    """Turn errors of a volume into a sentence; other errors pass.

    Raises:
        VolumeUnusable: when the volume is full, read-only or forbidden to this process, or
            something is in the way.
    """
    try:
        yield
    except OSError as error:
        sentence = sentences.get(error.errno or 0)
        if sentence is None:
            raise
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        raise VolumeUnusable(sentence.format(place=place, user=os.getuid(), error=text)) from None


@contextmanager
def complete_file(path: Path, named: Callable[[], Path] | None = None) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when it is complete, and not before.

    Args:
        path: its name, or, with `named`, the beginning of its name until it is complete.
        named: returns its name where that depends on its content.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    # Made anew: what has its name may be a link, or something that a write would wait for.
    with suppress(FileNotFoundError):
        os.remove(unfinished)
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path if named is None else named())
    except BaseException:
        with suppress(OSError):  # the error that has led here is the one to report
            unfinished.unlink()
        raise
