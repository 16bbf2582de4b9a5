"""Files on a volume: complete or absent, and errors in a sentence."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from blockqnn_trainer.errors import VolumeUnusable

UNFINISHED = ".unfinished"
"""The suffix of a file's name until it is complete."""


def volume_sentences(read_only: str, forbidden: str, full: str) -> Mapping[int, str]:
    """Return sentences by number of error, each with the fields `place` and `user` (its id)."""
    return {
        errno.EROFS: read_only,
        errno.EACCES: forbidden,
        errno.EPERM: forbidden,
        errno.ENOSPC: full,
        errno.EDQUOT: full,
    }


@contextmanager
def explain_volume_errors(place: Path, sentences: Mapping[int, str]) -> Iterator[None]:
    """Turn errors of a volume into a sentence; other errors pass.

    Raises:
        VolumeUnusable: when the volume is full, read-only or forbidden to this process.
    """
    try:
        yield
    except OSError as error:
        sentence = sentences.get(error.errno or 0)
        if sentence is None:
            raise
        raise VolumeUnusable(sentence.format(place=place, user=os.getuid())) from None


@contextmanager
def complete_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when it is complete, and not before."""
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
