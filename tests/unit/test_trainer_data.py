"""Reading images, refusing what cannot be used, and holding out the validation images."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.contract import DatasetSpec
from blockqnn_trainer.data import Split, channel_statistics, load
from blockqnn_trainer.errors import DatasetInvalid, DatasetMissing
from blockqnn_trainer.sources import read_images

CPU = torch.device("cpu")
CIFAR100 = Path(__file__).parents[3] / "shared" / "data" / "cifar100"


def dataset(name: str, path: Path | str = "/nowhere", fraction: float = 0.25) -> DatasetSpec:
    return DatasetSpec.model_validate(
        {"name": name, "path": str(path), "validation": {"fraction": fraction}}
    )


def pixels(count: int, height: int = 3, width: int = 2, channels: int = 1) -> Any:
    numbers = numpy.arange(count * height * width * channels) % 251
    return numbers.astype(numpy.uint8).reshape(count, height, width, channels)


def labels(count: int, classes: int = 3) -> Any:
    return numpy.arange(count, dtype=numpy.uint8) % classes


def test_digits_are_scikit_learns_images() -> None:
    images, digits = read_images(dataset("digits"))
    assert images.shape == (1797, 8, 8, 1)
    assert images.dtype == numpy.uint8
    # The first row of the first digit, a zero, as scikit-learn documents it: 0 0 5 13 9 1 0 0 of 16
    assert images[0, 0, :, 0].tolist() == [round(v * 255 / 16) for v in (0, 0, 5, 13, 9, 1, 0, 0)]
    assert images.max() == 255
    assert digits[:10].tolist() == list(range(10))
    assert numpy.bincount(digits).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_without_scikit_learn_the_digits_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DatasetMissing, match=r"scikit-learn, which is not installed here"):
        read_images(dataset("digits"))


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 60), st.floats(0.02, 0.7), st.integers(0, 2**63 - 1))
def test_a_split_is_a_partition_that_the_seed_alone_decides(
    count: int, fraction: float, seed: int
) -> None:
    if not 1 <= round(count * fraction) <= count - 2:
        with pytest.raises(DatasetInvalid, match=r"^Of \d+ images, dataset\.validation\.fraction"):
            Split.make(pixels(count), numpy.arange(count), fraction, seed, CPU)
        return
    split = Split.make(pixels(count), numpy.arange(count), fraction, seed, CPU)
    again = Split.make(pixels(count), numpy.arange(count), fraction, seed, CPU)
    held_out, kept = split.validation.labels.tolist(), split.training.labels.tolist()
    assert sorted(held_out + kept) == list(range(count))
    assert len(held_out) == round(count * fraction)
    assert held_out == again.validation.labels.tolist()
    assert kept == again.training.labels.tolist()
    for part in (split.training, split.validation):
        assert part.pixels.numpy().tolist() == pixels(count)[part.labels.numpy()].tolist()


def test_another_split_seed_holds_out_other_images() -> None:
    def held_out(seed: int) -> list[int]:
        split = Split.make(pixels(40), numpy.arange(40), 0.25, seed, CPU)
        return sorted(split.validation.labels.tolist())

    assert held_out(1) != held_out(2)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 9), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_channel_statistics_are_those_of_numpy(count: int, channels: int, seed: int) -> None:
    random = numpy.random.default_rng(seed)
    images = random.integers(0, 256, (count, 3, 4, channels), dtype=numpy.uint8)
    mean, deviation = channel_statistics(images)
    assert numpy.allclose(mean, images.mean((0, 1, 2)), rtol=1e-6)
    assert numpy.allclose(deviation, images.std((0, 1, 2)), rtol=1e-5)


def test_statistics_of_many_images_are_summed_in_chunks() -> None:
    images = numpy.random.default_rng(0).integers(0, 256, (9000, 2, 2, 1), dtype=numpy.uint8)
    mean, deviation = channel_statistics(images)
    assert mean[0] == pytest.approx(images.mean(), rel=1e-6)
    assert deviation[0] == pytest.approx(images.std(), rel=1e-6)


def test_batches_are_normalised_by_the_training_images_and_lie_channels_last() -> None:
    images = pixels(40, channels=3)
    images[..., 2] = 7  # a constant channel: nothing to divide by
    split = Split.make(images, labels(40).astype(numpy.int64), 0.25, 0, CPU)
    batch, batch_labels = split.training.batch(torch.arange(30))
    assert split.input_shape == (3, 3, 2)
    assert batch.shape == (30, 3, 3, 2)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert batch_labels.equal(split.training.labels)
    assert torch.allclose(batch.mean((0, 2, 3)), torch.zeros(3), atol=1e-6)
    assert torch.allclose(
        batch.std((0, 2, 3), correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-6
    )
    assert split.validation.mean is not None
    assert split.validation.mean.equal(split.training.mean)


def test_an_npz_directory_is_read_in_order_without_its_test_images(tmp_path: Path) -> None:
    images, kinds = pixels(30), labels(30)
    numpy.savez(tmp_path / "b.npz", x=images[20:], y=kinds[20:])
    numpy.savez_compressed(tmp_path / "a.npz", x=images[:20], y=kinds[:20].astype(numpy.int16))
    numpy.savez(tmp_path / "test.npz", x=images[:1], y=kinds[:1])
    read, read_kinds = read_images(dataset("npz", tmp_path))
    assert read.tolist() == images.tolist()
    assert read_kinds.tolist() == kinds.tolist()
    assert read_kinds.dtype == numpy.int64
    alone, _ = read_images(dataset("npz", tmp_path / "b.npz"))
    assert alone.tolist() == images[20:].tolist()


Arrays = dict[str, Any]
REFUSED: list[tuple[str, Callable[[], Arrays], str]] = [
    ("no y", lambda: {"x": pixels(9), "z": labels(9)}, "FILE has no array y; its arrays: x, z."),
    (
        "floats",
        lambda: {"x": pixels(9) / 255, "y": labels(9)},
        "x of FILE is float64 of shape (9, 3, 2, 1); it must be uint8 of shape (images, height, "
        "width, channels).",
    ),
    (
        "three dimensions",
        lambda: {"x": pixels(9)[..., 0], "y": labels(9)},
        "x of FILE is uint8 of shape (9, 3, 2); it must be uint8 of shape (images, height, width, "
        "channels).",
    ),
    (
        "one-hot labels",
        lambda: {"x": pixels(9), "y": numpy.eye(9)},
        "y of FILE is float64 of shape (9, 9); it must be whole numbers of shape (images,).",
    ),
    (
        "fewer labels",
        lambda: {"x": pixels(9), "y": labels(8)},
        "FILE has 9 images in x and 8 labels in y.",
    ),
    (
        "no images",
        lambda: {"x": pixels(0), "y": labels(0)},
        "x of FILE is empty: its shape is (0, 3, 2, 1).",
    ),
    (
        "negative labels",
        lambda: {"x": pixels(9), "y": numpy.arange(9) - 1},
        "The labels y of FILE run from -1 to 7; classes are numbered from 0 to at most 99999.",
    ),
    (
        "labels that are no classes",
        lambda: {"x": pixels(9), "y": numpy.arange(9) + 2**40},
        "The labels y of FILE run from 1099511627776 to 1099511627784; classes are numbered from 0 "
        "to at most 99999.",
    ),
    (
        "one class",
        lambda: {"x": pixels(9), "y": labels(9) * 0 + 4},
        "All 9 images of FILE have the label 4; at least two classes are needed.",
    ),
]


@pytest.mark.parametrize(
    ("arrays", "sentence"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_an_npz_file_that_is_no_dataset_is_refused(
    tmp_path: Path, arrays: Callable[[], Arrays], sentence: str
) -> None:
    file = tmp_path / "images.npz"
    numpy.savez(file, **arrays())
    with pytest.raises(DatasetInvalid) as refused:
        read_images(dataset("npz", file))
    assert str(refused.value) == sentence.replace("FILE", str(file))


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    file = tmp_path / "images.npz"
    numpy.savez(file, x=numpy.array([{}, {}]), y=labels(2))
    with pytest.raises(DatasetInvalid, match=r"cannot be read as an npz file: Object arrays"):
        read_images(dataset("npz", file))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "images.npz"
    file.write_bytes(content)
    with pytest.raises(DatasetInvalid) as refused:
        read_images(dataset("npz", file))
    assert str(refused.value).startswith(f"{file} cannot be read as an npz file: ")


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "images.npy"
    numpy.save(file, pixels(9))
    with pytest.raises(DatasetInvalid, match=r"images\.npy is a single array; an npz file with"):
        read_images(dataset("npz", file))


def test_images_of_two_sizes_are_refused(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "a.npz", x=pixels(9), y=labels(9))
    numpy.savez(tmp_path / "b.npz", x=pixels(9, height=4), y=labels(9))
    with pytest.raises(DatasetInvalid) as refused:
        read_images(dataset("npz", tmp_path))
    assert str(refused.value) == (
        f"The images of {tmp_path / 'b.npz'} are 4x2x1 and those of {tmp_path / 'a.npz'} are "
        "3x2x1; all images of a dataset must have one size."
    )


def test_a_missing_or_empty_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing) as missing:
        read_images(dataset("npz", tmp_path / "none"))
    assert str(missing.value) == (
        f"There is no file or directory {tmp_path / 'none'}, which dataset.path names; is the "
        "volume with the dataset mounted there?"
    )
    numpy.savez(tmp_path / "test.npz", x=pixels(9), y=labels(9))
    with pytest.raises(DatasetMissing) as empty:
        read_images(dataset("npz", tmp_path))
    assert str(empty.value) == (
        f"The directory {tmp_path}, which dataset.path names, has no *.npz file to train on "
        "(test.npz is left for a final measurement)."
    )


READ_CIFAR = """
import hashlib, json, pickle, sys
from pathlib import Path
import numpy
from torchvision.datasets import CIFAR10
from blockqnn.contract import DatasetSpec
from blockqnn_trainer.errors import DatasetMissing
from blockqnn_trainer.sources import read_images

root = Path(sys.argv[1])
folder = root / CIFAR10.base_folder
spec = DatasetSpec(name="cifar10", path=str(root), validation={"fraction": 0.5})
try:
    read_images(spec)
except DatasetMissing as error:
    print(error)

def official(name, content):
    (folder / name).write_bytes(pickle.dumps(content))
    return name, hashlib.md5((folder / name).read_bytes()).hexdigest()

folder.mkdir()
planes = numpy.arange(2 * 3072).astype(numpy.uint8).reshape(2, 3072)
# Two images in the form of the official files, with checksums of their own to be verified.
CIFAR10.train_list = [official("data_batch_1", {"data": planes, "labels": [3, 1]})]
CIFAR10.test_list = []
name, checksum = official("batches.meta", {"label_names": ["plane", "car"]})
CIFAR10.meta = {"filename": name, "key": "label_names", "md5": checksum}
pixels, labels = read_images(spec)
assert pixels.shape == (2, 32, 32, 3) and pixels.dtype == numpy.uint8
assert pixels[1].tolist() == planes[1].reshape(3, 32, 32).transpose(1, 2, 0).tolist()
assert labels.tolist() == [3, 1] and labels.dtype == numpy.int64
"""


def test_cifar_is_read_by_torchvision_from_the_official_files(tmp_path: Path) -> None:
    # In a process of its own: torchvision imports torch's compiler, which others shall not meet.
    completed = subprocess.run(
        [sys.executable, "-c", READ_CIFAR, str(tmp_path)],
        # Compiling all that torchvision imports takes 7 s; allowed to, Python does so once.
        env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout == (
        f"The official files of cifar10 are not in {tmp_path / 'cifar-10-batches-py'}, or are "
        "incomplete; dataset.path must name the directory that holds cifar-10-batches-py.\n"
    )


@pytest.mark.skipif(not CIFAR100.is_dir(), reason=f"there is no CIFAR-100 in {CIFAR100}")
def test_a_part_of_cifar_100_is_held_out() -> None:
    split = load(dataset("npz", CIFAR100 / "train-1.npz", 0.1), 0, CPU)
    assert (len(split.training), len(split.validation), split.classes) == (9000, 1000, 100)
    assert split.input_shape == (3, 32, 32)
    # The published means of CIFAR-100's channels, on a sample of a fifth.
    assert (split.training.mean / 255).tolist() == pytest.approx([0.507, 0.487, 0.441], abs=0.005)
