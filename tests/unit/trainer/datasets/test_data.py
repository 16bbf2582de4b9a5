"""Reading images, refusing what cannot be used, and holding out the validation images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from repository_paths import ROOT

from blockqnn.contract.dataset import DatasetSpec, Validation
from blockqnn_trainer.datasets.sources import read_images
from blockqnn_trainer.datasets.split import Split, channel_statistics, load
from blockqnn_trainer.errors import DatasetInvalid, DatasetMissing

CPU = torch.device("cpu")
CIFAR100 = ROOT.parent / "shared" / "data" / "cifar100"


def dataset(name: str, path: Path | str = "/nowhere", fraction: float = 0.25) -> DatasetSpec:
    return DatasetSpec.model_validate(
        {"name": name, "path": str(path), "validation": {"source": "train", "fraction": fraction}}
    )


def pixels(count: int, height: int = 3, width: int = 2, channels: int = 1) -> Any:
    numbers = numpy.arange(count * height * width * channels) % 251
    return numbers.astype(numpy.uint8).reshape(count, height, width, channels)


def labels(count: int, classes: int = 3) -> Any:
    return numpy.arange(count, dtype=numpy.uint8) % classes


def test_digits_are_scikit_learns_images() -> None:
    images, digits = read_images(dataset("digits"), "train")
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
        read_images(dataset("digits"), "train")


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
    read, read_kinds = read_images(dataset("npz", tmp_path), "train")
    assert read.tolist() == images.tolist()
    assert read_kinds.tolist() == kinds.tolist()
    assert read_kinds.dtype == numpy.int64
    alone, _ = read_images(dataset("npz", tmp_path / "b.npz"), "train")
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
        read_images(dataset("npz", file), "train")
    assert str(refused.value) == sentence.replace("FILE", str(file))


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    file = tmp_path / "images.npz"
    numpy.savez(file, x=numpy.array([{}, {}]), y=labels(2))
    with pytest.raises(DatasetInvalid, match=r"npz is object of shape \(2,\); it must be uint8"):
        read_images(dataset("npz", file), "train")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "images.npz"
    file.write_bytes(content)
    with pytest.raises(DatasetInvalid) as refused:
        read_images(dataset("npz", file), "train")
    assert str(refused.value).startswith(f"{file} cannot be read as an npz file: ")


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "images.npy"
    numpy.save(file, pixels(9))
    with pytest.raises(DatasetInvalid, match=r"images\.npy is a single array; an npz file with"):
        read_images(dataset("npz", file), "train")


def test_images_of_two_sizes_are_refused(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "a.npz", x=pixels(9), y=labels(9))
    numpy.savez(tmp_path / "b.npz", x=pixels(9, height=4), y=labels(9))
    with pytest.raises(DatasetInvalid) as refused:
        read_images(dataset("npz", tmp_path), "train")
    assert str(refused.value) == (
        f"The images of {tmp_path / 'b.npz'} are 4x2x1 and those of {tmp_path / 'a.npz'} are "
        "3x2x1; all images of a dataset must have one size."
    )


def test_a_missing_or_empty_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing) as missing:
        read_images(dataset("npz", tmp_path / "none"), "train")
    assert str(missing.value) == (
        f"There is no file or directory {tmp_path / 'none'}, which dataset.path names; is the "
        "volume with the dataset mounted there?"
    )
    numpy.savez(tmp_path / "test.npz", x=pixels(9), y=labels(9))
    with pytest.raises(DatasetMissing) as empty:
        read_images(dataset("npz", tmp_path), "train")
    assert str(empty.value) == (
        f"The directory {tmp_path}, which dataset.path names, has no *.npz file to train on "
        "(test.npz is left for a final measurement)."
    )


def test_the_test_images_of_a_directory_are_read_for_the_literal_reading(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "a.npz", x=pixels(20), y=labels(20))
    with pytest.raises(DatasetMissing) as missing:
        read_images(dataset("npz", tmp_path), "test")
    assert str(missing.value) == (
        f"There is no file test.npz in {tmp_path}, which dataset.path names, to measure on; "
        "add it, or set dataset.validation.source to train."
    )
    numpy.savez(tmp_path / "test.npz", x=pixels(5), y=labels(5, classes=5))
    spec = dataset("npz", tmp_path).model_copy(
        update={"validation": Validation(source="test", fraction=0.5)}
    )
    split = load(spec, 1, CPU)
    # Nothing is held out; the training images alone decide how both are normalised.
    assert split.training.pixels.numpy().tolist() == pixels(20).tolist()
    assert split.validation.labels.tolist() == [0, 1, 2, 3, 4]
    assert split.classes == 5
    assert split.validation.mean.equal(split.training.mean)
    numpy.savez(tmp_path / "test.npz", x=pixels(5, height=4), y=labels(5))
    with pytest.raises(DatasetInvalid) as refused:
        load(spec, 1, CPU)
    assert str(refused.value) == (
        "The images to train on are 3x2x1, the test images are 4x2x1; all must have one size."
    )


def test_digits_have_no_test_images() -> None:
    with pytest.raises(DatasetMissing, match=r"^The digits images have no test images; set"):
        read_images(dataset("digits"), "test")


@pytest.mark.skipif(not CIFAR100.is_dir(), reason=f"there is no CIFAR-100 in {CIFAR100}")
def test_a_part_of_cifar_100_is_held_out() -> None:
    split = load(dataset("npz", CIFAR100 / "train-1.npz", 0.1), 0, CPU)
    assert (len(split.training), len(split.validation), split.classes) == (9000, 1000, 100)
    assert split.input_shape == (3, 32, 32)
    # The published means of CIFAR-100's channels, on a sample of a fifth.
    assert (split.training.mean / 255).tolist() == pytest.approx([0.507, 0.487, 0.441], abs=0.005)
