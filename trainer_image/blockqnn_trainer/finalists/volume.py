"""Access to the volume of the finalists: files that are complete or absent, and clear errors."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blockqnn.contract.finalist import FinalistSpec
from blockqnn_trainer.errors import VolumeMissing, VolumeUnusable

UNFINISHED = ".unfinished"
"""The suffix of a file's name until it is complete."""

_SENTENCES = {
    errno.EROFS: "The volume at {place} is mounted read-only; mount it writable.",
    errno.EACCES: (
        "This process, with user id {user}, may not write to {place}; allow it, for example "
        "with securityContext.fsGroup."
    ),
    errno.ENOSPC: (
        "The volume at {place} is full; enlarge it. The training continues from what was "
        "written before."
    ),
}
_SENTENCES[errno.EPERM] = _SENTENCES[errno.EACCES]
_SENTENCES[errno.EDQUOT] = _SENTENCES[errno.ENOSPC]


@contextmanager
def volume_errors_named(path: Path) -> Iterator[None]:
    """Turn errors of a volume into a sentence; other errors pass.

    Raises:
        VolumeUnusable: when the volume is full, read-only or forbidden to this process.
    """
    try:
        yield
    except OSError as error:
        sentence = _SENTENCES.get(error.errno or 0)
        if sentence is None:
            raise
        raise VolumeUnusable(sentence.format(place=path, user=os.getuid())) from None


def open_folder(spec: FinalistSpec) -> Path:
    """Make the directory of a finalist, and check that it can be written to.

    Raises:
        VolumeMissing: when the volume's directory does not exist.
        VolumeUnusable: when it cannot be written to.
    """
    volume = Path(spec.volume)
    if not volume.is_dir():
        raise VolumeMissing(
            f"There is no directory {volume}, where the volume of the finalists should be mounted; "
            "is the volume there?"
        )
    folder = volume / spec.folder
    with volume_errors_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "writable", b"")
        (folder / "writable").unlink()
    return folder


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears under its name when it is complete, and on the disk."""
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    settle(path.parent)


def settle(folder: Path) -> None:
    """Wait until the names of a directory are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
