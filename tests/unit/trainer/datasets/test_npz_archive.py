"""Archives of arrays that are damaged, or made to do harm: a sentence, and no memory for them."""

import io
import pickle
import resource
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blockqnn.contract.dataset import DatasetSpec
from blockqnn_trainer.datasets import npz
from blockqnn_trainer.datasets.prepare import prepare
from blockqnn_trainer.errors import DatasetInvalid, DatasetTooLarge, InvalidInput

IN_A_SHARED_FOLDER = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def npz_of(path: Path) -> DatasetSpec:
    return DatasetSpec.model_validate(
        {"name": "npz", "path": str(path), "validation": {"source": "train", "fraction": 0.3}}
    )


def pixels(count: int = 9) -> Any:
    return numpy.random.default_rng(0).integers(0, 256, (count, 3, 2, 1), dtype=numpy.uint8)


def labels(count: int = 9) -> Any:
    return numpy.arange(count) % 3


def npy(header: str, content: bytes = b"", version: int = 1) -> bytes:
    text = header.encode()
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + content


def header(descr: str, shape: str) -> str:
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"


def array(values: Any) -> bytes:
    buffer = io.BytesIO()
    numpy.save(buffer, values)
    return buffer.getvalue()


def archive(path: Path, x: bytes, y: bytes, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("x.npy", x)
        file.writestr("y.npy", y)


def refusal(path: Path) -> str:
    with pytest.raises(InvalidInput) as refused:
        prepare(npz_of(path))
    return str(refused.value)


@settings(IN_A_SHARED_FOLDER, max_examples=100)
@given(
    st.lists(st.integers(1, 2**40), min_size=4, max_size=4),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    st.integers(0, 200),
    st.sampled_from([1, 2]),
)
def test_no_memory_is_asked_for_that_the_file_cannot_fill(
    tmp_path: Path, shape: list[int], method: int, content: int, version: int
) -> None:
    shape[0] += 2**20  # more than the content in any case
    file = tmp_path / "a.npz"
    claims = header("|u1", f"({shape[0]}, {shape[1]}, {shape[2]}, {shape[3]})")
    y = npy(header("<i8", f"({shape[0]},)"), bytes(content))
    archive(file, npy(claims, bytes(content), version), y, method)
    tracemalloc.start()
    try:
        sentence = refusal(file)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sentence.startswith(f"x of {file} is uint8 of shape ({shape[0]}, ")
    assert sentence.endswith(
        "but the file holds fewer; it is damaged or incomplete: copy it again."
    )
    assert most < 1_000_000


HOSTILE: dict[str, tuple[bytes, bytes, str]] = {
    "a pickle": (
        npy(header("|O", "(2,)"), pickle.dumps([1, 2])),
        array(labels()),
        "x of FILE is object of shape (2,); it must be uint8 of shape (images, height, width, "
        "channels).",
    ),
    "a pickle for labels": (
        array(pixels()),
        npy(header("|O", "(9,)"), pickle.dumps([1] * 9)),
        "y of FILE is object of shape (9,); it must be whole numbers of shape (images,).",
    ),
    "labels that are not numbers": (
        array(pixels()),
        array(numpy.array([float("nan")] * 9)),
        "y of FILE is float64 of shape (9,); it must be whole numbers of shape (images,).",
    ),
    "labels between numbers": (
        array(pixels()),
        array(numpy.arange(9) / 2),
        "y of FILE is float64 of shape (9,); it must be whole numbers of shape (images,).",
    ),
    "negative labels": (
        array(pixels()),
        array(numpy.arange(9) - 1),
        "The labels y of FILE run from -1 to 7; classes are numbered from 0 to at most 99999.",
    ),
    "labels beyond 64 bits": (
        array(pixels()),
        array(numpy.full(9, 2**64 - 1, dtype=numpy.uint64)),
        "The labels y of FILE run from 18446744073709551615 to 18446744073709551615; classes are "
        "numbered from 0 to at most 99999.",
    ),
    "a negative length": (
        npy(header("|u1", "(-9, -3, 2, 1)"), bytes(54)),
        npy(header("<i8", "(-9,)"), bytes(72)),
        "x of FILE is empty: its shape is (-9, -3, 2, 1).",
    ),
    "a header that never ends": (
        npy(header("|u1", "(9, 3, 2, 1)") + " " * 20_000, version=2),
        array(labels()),
        "x of FILE has a header of 20,066 bytes; it is damaged.",
    ),
    "a header that is code": (
        npy("__import__('os').system('false')"),
        array(labels()),
        "x of FILE has a header that cannot be read; it is damaged.",
    ),
    "no array": (b"hello, world", array(labels()), "x of FILE is no array of numpy."),
    "a version of the future": (
        npy(header("|u1", "(9, 3, 2, 1)"), version=9),
        array(labels()),
        "x of FILE has a header of version 9; 1 and 2 can be read.",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_array_that_is_no_images_or_labels_is_refused(tmp_path: Path, kind: str) -> None:
    x, y, sentence = HOSTILE[kind]
    file = tmp_path / "a.npz"
    archive(file, x, y)
    assert refusal(file).startswith(sentence.replace("FILE", str(file)))


def test_an_archive_larger_than_the_memory_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.npz"
    images = numpy.zeros((4, 1000, 1000, 3), numpy.uint8)
    numpy.savez_compressed(file, x=images, y=labels(4))
    monkeypatch.setattr(npz, "memory_limit", lambda: 10_000_000)
    with pytest.raises(DatasetTooLarge) as refused:
        prepare(npz_of(file))
    assert str(refused.value) == (
        f"The images x of {file} take 0.01 GB, but there are 0.01 GB of memory; give the container "
        "more."
    )


def test_a_pointer_of_git_lfs_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    file.write_text("version https://git-lfs.example/spec/v1\noid sha256:00\nsize 12345\n")
    assert refusal(file) == (
        f"{file} cannot be read as an npz file: it is a git-lfs pointer, not the file itself; run "
        "git lfs pull where it was cloned, and copy it again."
    )


def test_the_test_images_are_checked_as_well(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "a.npz", x=pixels(), y=labels())
    numpy.savez(tmp_path / "test.npz", x=pixels()[:, :2], y=labels())
    assert refusal(tmp_path) == (
        "The images of npz to train on are 3x2x1, those to test on 2x2x1; all must have one size."
    )
    (tmp_path / "test.npz").write_bytes(b"")
    assert refusal(tmp_path) == (
        f"{tmp_path / 'test.npz'} cannot be read as an npz file: it is empty."
    )
    numpy.savez(tmp_path / "test.npz", x=pixels(5), y=labels(5))
    assert prepare(npz_of(tmp_path)) == (
        "npz: 9 images to train on and 5 to test on, which are read as they are."
    )


WHOLE = {}
for save in (numpy.savez, numpy.savez_compressed):
    buffer = io.BytesIO()
    save(buffer, x=pixels(), y=labels())
    WHOLE[save.__name__] = buffer.getvalue()


@settings(IN_A_SHARED_FOLDER, max_examples=300)
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4),
    st.floats(0, 1),
)
def test_a_damaged_archive_is_read_right_or_refused_by_its_name(
    tmp_path: Path, kind: str, changes: list[tuple[int, int]], kept: float
) -> None:
    content = bytearray(WHOLE[kind])
    for position, value in changes:
        content[position % len(content)] = value
    file = tmp_path / "a.npz"
    file.write_bytes(content[: round(len(content) * kept) if kept < 0.3 else None])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        images, kinds = npz.read_npz(file, "train")
    except DatasetInvalid as refused:
        outcome = str(refused)
    else:
        # Every content has a checksum in the archive.
        assert images.tolist() == pixels().tolist()
        assert kinds.tolist() == labels().tolist()
        outcome = f"{file} was read."
    assert str(file) in outcome
    assert outcome.endswith(".")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
