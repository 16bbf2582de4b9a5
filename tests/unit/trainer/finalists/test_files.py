"""Images that a finalist reads from their files: what cannot be right is refused at the start."""

from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.finalist import Augmentation, Scale
from blockqnn_trainer.errors import DatasetInvalid
from blockqnn_trainer.finalists.feed_protocol import FeedSpec
from blockqnn_trainer.finalists.files import FileFeed


def draw(path: Path, seed: int, highest: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = numpy.random.default_rng(seed).integers(highest // 60, highest, (9, 7 + seed))
    Image.fromarray(values.astype(numpy.uint16 if highest > 256 else numpy.uint8)).save(path)


def open_files(root: Path) -> FileFeed:
    dataset = DatasetSpec.model_validate(
        {
            "name": "imagefolder",
            "path": str(root),
            "validation": {"source": "train", "fraction": 0.25},
        }
    )
    scale = Scale.model_validate({"crop": 8, "shortSide": [9, 12], "testShortSide": 9})
    variation = Augmentation(padding=0, flip=False, scale=scale)
    return FileFeed(FeedSpec(dataset, variation, 0, 0), torch.device("cpu"), 2)


def read_all(root: Path) -> int:
    feed = open_files(root)
    batch = torch.arange(feed.training_images)
    [(_, labels)] = feed.training_batches(0, [batch])
    return len(labels)


def test_files_of_16_bits_are_read(tmp_path: Path) -> None:
    for seed in range(8):
        draw(tmp_path / "ab"[seed % 2] / f"{seed}.png", seed, 60_000)
    assert read_all(tmp_path) == 6
    assert 60 < float(open_files(tmp_path).mean[0]) < 180


def same(root: Path) -> None:
    for seed in range(8):
        draw(root / "ab"[seed % 2] / f"{seed}.png", 0, 256)


def twelve_bits(root: Path) -> None:
    for seed in range(8):
        draw(root / "ab"[seed % 2] / f"{seed}.png", seed, 4096)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [(same, "are the same; check the program"), (twelve_bits, "they would become almost black")],
)
def test_what_cannot_be_right_is_refused_before_the_training(
    tmp_path: Path, make: Callable[[Path], None], sentence: str
) -> None:
    make(tmp_path)
    with pytest.raises(DatasetInvalid, match=sentence):
        open_files(tmp_path)


def test_a_file_that_turns_out_damaged_is_named(tmp_path: Path) -> None:
    for seed in range(8):
        draw(tmp_path / "ab"[seed % 2] / f"{seed}.png", seed, 256)
    feed = open_files(tmp_path)
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(DatasetInvalid, match=r"The image .*\.png cannot be read: "):
        list(feed.training_batches(0, [torch.arange(6)]))
