"""Preparation of a dataset: once for all trials, fetches, verifies, decodes and writes images.

Digits and npz files are read as they are: they are only checked. A process that prepares waits
for another one on the same volume, and finds the work done.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.network.datasets import OFFICIAL
from blockqnn_trainer.datasets.arrays import (
    Part,
    Source,
    check_classes,
    check_images,
    check_parts,
    watch,
)
from blockqnn_trainer.datasets.image_folder import ImageFolder
from blockqnn_trainer.datasets.official import fetch, fingerprint, is_complete
from blockqnn_trainer.datasets.prepared import (
    FOLDER,
    Manifest,
    manifest_path,
    read_manifest,
    write_prepared,
)
from blockqnn_trainer.datasets.sources import open_source, read_images, source_title
from blockqnn_trainer.errors import DatasetInvalid, DatasetMissing, DatasetTooLarge
from blockqnn_trainer.process.volume import explain_volume_errors, volume_sentences

_DOWNLOADS = "downloads"
"""The folder for fetched files; removed as soon as the images are written."""

_LOCK = "lock"
"""The lock file of the process that prepares; the kernel releases it when the process ends."""


def prepare(dataset: DatasetSpec) -> str:
    """Make a dataset ready; return a sentence about it.

    Raises:
        DatasetMissing: when there is nothing to prepare, or no volume to prepare it on.
        DatasetInvalid: when it cannot be used.
        DatasetTooLarge: when it does not fit into the memory.
        VolumeUnusable: when the volume cannot be written to.
        DownloadFailed: when it cannot be fetched.
    """
    try:
        return _check(dataset) if dataset.name in ("digits", "npz") else _prepare_once(dataset)
    except MemoryError:
        raise DatasetTooLarge(
            f"The images of {source_title(dataset)} do not fit into the memory, where they are "
            "prepared; give the container more, or use fewer or smaller images."
        ) from None


def _prepare_once(dataset: DatasetSpec) -> str:
    root = Path(dataset.path)
    if not os.path.isdir(root):
        raise DatasetMissing(
            f"There is no directory {root}, which dataset.path names, to prepare {dataset.name} "
            "in; set dataset.volume to a volume that keeps it."
        )
    began = time.monotonic()
    manifest = _prepared_before(dataset)
    if manifest is None:
        with explain_volume_errors(root, _VOLUME_SENTENCES), _alone(root / FOLDER):
            manifest = _prepared_before(dataset)
            if manifest is None:
                manifest = _prepare(dataset)
                return (
                    f"{dataset.name}: {manifest}; prepared in {time.monotonic() - began:.1f} s, "
                    f"{manifest_path(dataset)}."
                )
    return f"{dataset.name}: {manifest}; prepared before, {manifest_path(dataset)}."


def _check(dataset: DatasetSpec) -> str:
    """Read images that stay as they are; return a sentence about them."""
    training, *apart = parts = [open_source(dataset, "train"), *_test_images(dataset)]
    check_parts(dataset.name, parts)
    for _ in watch(source_title(dataset), training.pieces()):
        pass
    tested = f" and {len(apart[0].labels):,} to test on" if apart else ""
    images = f"{len(training.labels):,} images to train on{tested}"
    return f"{dataset.name}: {images}, which are read as they are."


def _prepared_before(dataset: DatasetSpec) -> Manifest | None:
    """Return the manifest if the present files were prepared; None if it must be done (again)."""
    try:
        manifest = read_manifest(dataset)
        if manifest is None or manifest.source != _source_name(dataset):
            return None
        check_images(source_title(dataset), read_images(dataset, "train")[0])
        if manifest.test:
            read_images(dataset, "test")
    except DatasetInvalid:
        return None
    return manifest


def _source_name(dataset: DatasetSpec) -> str:
    if dataset.name in OFFICIAL:
        return fingerprint(dataset.name)
    digest = hashlib.sha256()
    parts: tuple[Part, ...] = ("train", "test")
    for part in parts:
        with suppress(DatasetMissing):
            folder = ImageFolder(Path(dataset.path), part, dataset.image_size)
            digest.update(folder.fingerprint().encode())
    return digest.hexdigest()


def _prepare(dataset: DatasetSpec) -> Manifest:
    with _files_at_hand(dataset) as root:
        there = dataset.model_copy(update={"path": str(root)})
        parts = [open_source(there, "train"), *_test_images(there)]
        check_classes(dataset.name, parts[0].labels)
        parts[0] = parts[0].watched(source_title(dataset))
        return write_prepared(dataset, _source_name(dataset), parts)


def _test_images(dataset: DatasetSpec) -> list[Source]:
    try:
        return [open_source(dataset, "test")]
    except DatasetMissing:  # a folder of images need not have any
        return []


@contextmanager
def _files_at_hand(dataset: DatasetSpec) -> Iterator[Path]:
    """Give the directory with the files of a dataset: the user's, or one for fetched files."""
    root = Path(dataset.path)
    if dataset.name not in OFFICIAL or is_complete(dataset.name, root):
        yield root
        return
    downloads = root / FOLDER / _DOWNLOADS
    shutil.rmtree(downloads, ignore_errors=True)  # of one who was killed
    downloads.mkdir()
    try:
        fetch(dataset.name, downloads)
        yield downloads
    finally:
        shutil.rmtree(downloads, ignore_errors=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    # Opened without waiting, and not emptied, whatever has its name.
    file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


_VOLUME_SENTENCES = volume_sentences(
    read_only=(
        "The volume at {place} is mounted read-only, so that no dataset can be prepared on it; "
        "mount it writable."
    ),
    forbidden=(
        "This process, with user id {user}, may not write to the directory {place}; allow it, for "
        "example with securityContext.fsGroup."
    ),
    full="The volume at {place} is full; enlarge it.",
    is_shared=True,
)
