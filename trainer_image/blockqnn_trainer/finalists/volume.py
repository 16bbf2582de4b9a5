"""Access to the volume of the finalists: files that are complete or absent, and clear errors."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

from blockqnn.contract.finalist import FinalistSpec
from blockqnn_trainer.errors import VolumeMissing
from blockqnn_trainer.process.volume import complete_file, explain_volume_errors, volume_sentences

_SENTENCES = volume_sentences(
    read_only="The volume at {place} is mounted read-only; mount it writable.",
    forbidden=(
        "This process, with user id {user}, may not write to {place}; allow it, for example with "
        "securityContext.fsGroup."
    ),
    full=(
        "The volume at {place} is full; enlarge it. The training continues from what was written "
        "before."
    ),
)


def volume_errors_named(path: Path) -> AbstractContextManager[None]:
    """Turn errors of a finalist's volume into VolumeUnusable; other errors pass."""
    return explain_volume_errors(path, _SENTENCES)


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
    with complete_file(path) as file:
        file.write(content)
    # The name is on the disk when the directory is.
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
