"""Preparing images: once, whole or not at all, with a sentence about whatever is wrong."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from repository_paths import ROOT

from blockqnn.contract.dataset import DatasetSpec, Validation
from blockqnn.contract.preparation import PreparationResult
from blockqnn_trainer import __main__ as command
from blockqnn_trainer.datasets import prepared
from blockqnn_trainer.datasets.prepare import prepare
from blockqnn_trainer.datasets.prepared import read_prepared
from blockqnn_trainer.datasets.sources import read_images
from blockqnn_trainer.datasets.split import load
from blockqnn_trainer.errors import DatasetInvalid, DatasetMissing, VolumeUnusable
from blockqnn_trainer.run import prepare_process

CPU = torch.device("cpu")
OFFICIAL_FILES = ROOT / "tests" / "support" / "trainer_official_files.py"


def folder_of(path: Path, image_size: int | None = None, source: str = "train") -> DatasetSpec:
    return DatasetSpec.model_validate(
        {
            "name": "imagefolder",
            "path": str(path),
            "imageSize": image_size,
            "validation": {"source": source, "fraction": 0.34},
        }
    )


def grey(path: Path, value: int, width: int = 4, height: int = 4, mode: str = "L") -> None:
    """An image of one value, but for its last pixel, which is black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", (width, height), value)
    image.putpixel((width - 1, height - 1), 0)
    image.convert(mode).save(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes in two parts; the file names are in no order of making."""
    for part, first in (("train", 10), ("val", 60)):
        grey(tmp_path / part / "cat" / "b.png", first + 1)
        grey(tmp_path / part / "cat" / "a.png", first, mode="RGB")
        grey(tmp_path / part / "dog" / "c.PNG", first + 2, mode="P")
    (tmp_path / "train" / "dog" / "notes.txt").write_text("no image")
    (tmp_path / "train" / "lost+found").mkdir()
    return tmp_path


def test_official_files_are_fetched_verified_and_prepared(tmp_path: Path) -> None:
    completed = subprocess.run(
        [sys.executable, str(OFFICIAL_FILES), str(tmp_path)],
        # Compiling all that torchvision imports takes 7 s; allowed to, Python does so once.
        env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    report = json.loads(completed.stdout.splitlines()[-1])
    random = numpy.random.default_rng(0)  # as the program draws them
    sizes = {
        "cifar10": (32, 32, 3),
        "svhn": (32, 32, 3),
        "fashion_mnist": (28, 28, 1),
        "kmnist": (28, 28, 1),
    }
    for name, size in sizes.items():
        pixels = random.integers(0, 256, (5, *size), dtype=numpy.uint8)
        volume = tmp_path / name / "volume"
        status, reason, sentence = report[name]["fetched"]
        assert (status, reason) == (0, "Prepared")
        assert sentence.startswith(
            f"{name}: 3 images to train on and 2 to test on, "
            f"{'x'.join(map(str, size))}, 10 classes; prepared in "
        )
        assert report[name]["again"] == [
            0,
            "Prepared",
            f"{name}: 3 images to train on and 2 to test on, {'x'.join(map(str, size))}, "
            f"10 classes; prepared before, {volume}/.blockqnn/{name}.json.",
        ]
        spec = DatasetSpec.model_validate(
            {"name": name, "path": str(volume), "validation": {"source": "train", "fraction": 0.5}}
        )
        # Read here, where there is no torchvision.
        assert read_images(spec, "train")[0].tolist() == pixels[:3].tolist()
        assert read_images(spec, "test")[0].tolist() == pixels[3:].tolist()
        assert read_images(spec, "train")[1].tolist() == [3, 1, 0]
        assert read_images(spec, "test")[1].tolist() == [9, 9]
        status, reason, sentence = report[name]["damaged"]
        assert (status, reason) == (2, "DatasetInvalid")
        assert f"but that of the official file of {name} is " in sentence
        status, reason, sentence = report[name]["unreachable"]
        assert (status, reason) == (1, "DownloadFailed")
        assert sentence.startswith(f"The files of {name} could not be downloaded: ")
    assert "torchvision" not in sys.modules


def test_a_folder_of_images_is_read_in_order_as_rgb(images: Path) -> None:
    pixels, labels = read_images(folder_of(images), "train")
    assert pixels.shape == (3, 4, 4, 3)
    assert pixels.dtype == numpy.uint8
    assert [image.max().item() for image in pixels] == [10, 11, 12]
    assert labels.tolist() == [0, 0, 1]
    tested, _ = read_images(folder_of(images), "test")
    assert tested[:, 0, 0, 0].tolist() == [60, 61, 62]


def test_class_folders_may_lie_at_the_top_without_test_images(tmp_path: Path) -> None:
    grey(tmp_path / "cat" / "a.png", 1)
    grey(tmp_path / "dog" / "deeper" / "b.png", 2)
    (tmp_path / ".blockqnn").mkdir()
    pixels, labels = read_images(folder_of(tmp_path), "train")
    assert (pixels[:, 0, 0, 0].tolist(), labels.tolist()) == ([1, 2], [0, 1])
    with pytest.raises(DatasetMissing, match=r"has no test images: folders train and test \(or"):
        read_images(folder_of(tmp_path), "test")
    assert "2 images to train on, 4x4x3, 2 classes; prepared in" in prepare(folder_of(tmp_path))
    assert read_images(folder_of(tmp_path), "train")[0].tolist() == pixels.tolist()
    with pytest.raises(DatasetMissing, match=r"imagefolder\.json has no test images; set"):
        read_images(folder_of(tmp_path), "test")


def test_images_of_mixed_size_are_refused_and_the_first_two_named(images: Path) -> None:
    grey(images / "train" / "cat" / "b.png", 1, width=6, height=3)
    for attempt in (
        lambda: read_images(folder_of(images), "train"),
        lambda: prepare(folder_of(images)),
    ):
        with pytest.raises(DatasetInvalid) as refused:
            attempt()
        assert str(refused.value) == (
            f"The image {images / 'train/cat/a.png'} has 4x4 pixels and "
            f"{images / 'train/cat/b.png'} has 6x3; all images of a dataset must have one size: "
            "set dataset.imageSize to bring them to one."
        )
    assert not list((images / ".blockqnn").glob("*.npy*"))


def test_images_are_brought_to_a_size_by_their_shorter_side_and_their_middle(
    tmp_path: Path,
) -> None:
    # Three vertical bands: the middle one is what a square in the middle holds.
    bands = numpy.repeat(numpy.array([[0, 200, 90]], dtype=numpy.uint8), 8, axis=0)
    wide = Image.fromarray(bands.repeat(8, axis=1))
    (tmp_path / "cat").mkdir()
    wide.save(tmp_path / "cat" / "a.png")
    (tmp_path / "dog").mkdir()
    Image.new("L", (3, 5), 50).save(tmp_path / "dog" / "a.png")
    pixels, _ = read_images(folder_of(tmp_path, image_size=4), "train")
    assert pixels.shape == (2, 4, 4, 3)
    assert pixels[0][:, 1:3].tolist() == [[[200] * 3] * 2] * 4
    assert pixels[1].max() == pixels[1].min() == 50
    prepare(folder_of(tmp_path, image_size=4))
    assert read_images(folder_of(tmp_path, image_size=4), "train")[0].tolist() == pixels.tolist()
    # Another size is another preparation.
    assert read_prepared(folder_of(tmp_path, image_size=5), "train") is None


def test_a_size_is_refused_where_it_would_be_ignored() -> None:
    with pytest.raises(ValueError, match="imageSize is for imagefolder; images of other datasets"):
        DatasetSpec(
            name="digits",
            path="/",
            image_size=8,
            validation=Validation(source="train", fraction=0.5),
        )


def test_a_folder_that_is_no_dataset_is_refused_in_a_sentence(tmp_path: Path) -> None:
    def refused(*arguments: Any) -> str:
        with pytest.raises((DatasetInvalid, DatasetMissing)) as error:
            read_images(folder_of(tmp_path / "images"), *arguments)
        return str(error.value)

    root = tmp_path / "images"
    assert refused("train").startswith(f"There is no directory {root}, which dataset.path names;")
    root.mkdir()
    assert refused("train") == (
        f"{root} has no class folder; at least two classes are needed, each a folder of images."
    )
    grey(root / "train" / "cat" / "a.png", 1)
    assert refused("train").startswith(f"{root / 'train'} has only the class folder cat; at least")
    (root / "train" / "dog").mkdir()
    assert refused("train") == f"The class folder {root / 'train/dog'} has no image file."
    (root / "train" / "dog" / "a.jpg").write_bytes(b"no picture")
    assert refused("train").startswith(f"The image {root / 'train/dog/a.jpg'} cannot be read: ")
    grey(root / "test" / "cow" / "a.png", 1)
    assert refused("test") == (
        f"{root / 'test/cow'} is a class that {root / 'train'} does not have."
    )


def test_prepared_images_are_trained_and_measured_on(images: Path) -> None:
    prepare(folder_of(images))
    split = load(folder_of(images, source="test"), 1, CPU)
    assert split.training.pixels[:, 0, 0, 0].tolist() == [10, 11, 12]
    assert split.validation.pixels[:, 0, 0, 0].tolist() == [60, 61, 62]
    assert split.classes == 2
    held_out = load(folder_of(images), 1, CPU)
    assert len(held_out.training) + len(held_out.validation) == 3


def test_other_images_are_prepared_anew_and_the_old_array_goes(images: Path) -> None:
    prepare(folder_of(images))
    before = set((images / ".blockqnn").iterdir())
    assert "prepared before" in prepare(folder_of(images))
    grey(images / "train" / "dog" / "d.png", 99)
    assert "4 images to train on" in prepare(folder_of(images))
    after = set((images / ".blockqnn").iterdir())
    assert len(before) == len(after) == 4
    assert len(before & after) == 2  # the manifest's name and the lock
    assert read_images(folder_of(images), "train")[1].tolist() == [0, 0, 1, 1]


def test_a_preparation_that_fails_leaves_what_was_there(images: Path) -> None:
    prepare(folder_of(images))
    (images / "train" / "dog" / "d.png").write_bytes(b"no picture")
    with pytest.raises(DatasetInvalid):
        prepare(folder_of(images))
    pixels, _ = read_images(folder_of(images), "train")
    assert [image.max().item() for image in pixels] == [10, 11, 12]
    assert not list((images / ".blockqnn").glob("*.unfinished"))


def test_what_is_no_longer_whole_is_told_and_prepared_anew(images: Path) -> None:
    prepare(folder_of(images))
    manifest = images / ".blockqnn" / "imagefolder.json"
    (array,) = (images / ".blockqnn").glob("*.pixels.npy")
    numpy.save(array, numpy.zeros((1, 4, 4, 3), dtype=numpy.uint8))
    with pytest.raises(DatasetInvalid, match=r"its manifest says uint8 of shape \(6, 4, 4, 3\)"):
        read_images(folder_of(images), "train")
    assert "prepared in" in prepare(folder_of(images))
    array.unlink()
    with pytest.raises(DatasetInvalid, match="run blockqnn-train prepare again"):
        read_images(folder_of(images), "train")
    manifest.write_text("{")
    with pytest.raises(DatasetInvalid, match=r"imagefolder\.json cannot be read: .*Delete it, and"):
        read_images(folder_of(images), "train")
    assert "prepared in" in prepare(folder_of(images))
    assert len(read_images(folder_of(images), "train")[1]) == 3


def test_digits_and_npz_files_are_read_as_they_are(tmp_path: Path) -> None:
    def spec(name: str) -> DatasetSpec:
        return DatasetSpec.model_validate(
            {
                "name": name,
                "path": str(tmp_path / "images.npz"),
                "validation": {"source": "train", "fraction": 0.5},
            }
        )

    assert prepare(spec("digits")) == (
        "digits: 1,797 images to train on, which are read as they are."
    )
    with pytest.raises(DatasetMissing):
        prepare(spec("npz"))
    numpy.savez(
        tmp_path / "images.npz",
        x=numpy.arange(12, dtype=numpy.uint8).reshape(3, 2, 2, 1),
        y=numpy.array([0, 1, 0]),
    )
    assert prepare(spec("npz")) == "npz: 3 images to train on, which are read as they are."
    assert [file.name for file in tmp_path.iterdir()] == ["images.npz"]


def test_without_a_volume_there_is_nowhere_to_prepare(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing) as missing:
        prepare(folder_of(tmp_path / "none"))
    assert str(missing.value) == (
        f"There is no directory {tmp_path / 'none'}, which dataset.path names, to prepare "
        "imagefolder in; set dataset.volume to a volume that keeps it."
    )


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EROFS, "is mounted read-only, so that no dataset can be prepared on it; mount it"),
        (errno.EACCES, f"This process, with user id {os.getuid()}, may not write to the directory"),
        (errno.ENOSPC, "is full; enlarge it."),
        (errno.EFBIG, "takes no files of this size; use another kind of volume."),
        (errno.ENOLCK, "cannot do what is needed: No locks available; use another kind of volume."),
    ],
)
def test_a_volume_that_cannot_be_written_is_told_apart(
    images: Path, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patches:
        patches.setattr(prepared, "complete_file", fail)
        with pytest.raises(VolumeUnusable, match=sentence):
            prepare(folder_of(images))
    prepare(folder_of(images))
    # What is prepared already is found on a volume that cannot be written.
    monkeypatch.setattr(Path, "mkdir", fail)
    assert "prepared before" in prepare(folder_of(images))


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        (".blockqnn", Path.touch, "File exists: "),
        (".blockqnn/lock", Path.mkdir, "Is a directory: "),
        (".blockqnn/imagefolder.json.unfinished", Path.mkdir, "Is a directory: "),
        (".blockqnn/lock", lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
)
def test_what_is_in_the_way_of_prepared_images_is_named(
    images: Path, name: str, make: Callable[[Path], None], reason: str
) -> None:
    path = images / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    with pytest.raises(VolumeUnusable) as refused:
        prepare(folder_of(images))
    assert str(refused.value).startswith(reason)
    assert str(refused.value).endswith(
        f"{path}, on the volume at {images}; remove what is in the way, or use another volume."
    )


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["lock", "imagefolder.json.unfinished"])
def test_a_fifo_in_the_folder_of_prepared_images_is_not_waited_for(images: Path, name: str) -> None:
    (images / ".blockqnn").mkdir()
    os.mkfifo(images / ".blockqnn" / name)
    assert "prepared in" in prepare(folder_of(images))


def test_too_little_room_is_told_before_anything_is_written(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    with pytest.raises(VolumeUnusable, match=r"has 0\.00 GB left, but 0\.00 GB are needed for"):
        prepare(folder_of(images))
    assert not list((images / ".blockqnn").glob("*.npy*"))


def test_one_at_a_time_prepares_a_volume_and_the_next_finds_it_done(images: Path) -> None:
    messages: list[str] = []
    (images / ".blockqnn").mkdir()
    with (images / ".blockqnn" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = Thread(target=lambda: messages.append(prepare(folder_of(images))))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        assert not messages
    waiting.join(10)
    assert "prepared in" in messages[0]


@pytest.fixture
def _sigterm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_sigterm")
def test_the_command_reports_what_it_prepared_and_what_it_could_not(
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = tmp_path / "message"
    monkeypatch.setenv("TERMINATION_MESSAGE_PATH", str(message))

    def run(*arguments: str) -> tuple[int, PreparationResult]:
        status = command.prepare_command(command.parse(["prepare", *arguments]))
        return status, PreparationResult.read(message.read_text())

    status, result = run("imagefolder", str(images), "--image-size", "2")
    assert (status, result.prepared, result.reason) == (0, True, "Prepared")
    assert result.message.startswith("imagefolder: 3 images to train on and 3 to test on, 2x2x3, ")
    assert capsys.readouterr().out == message.read_text() + "\n"
    status, result = run("imagefolder", "/nowhere")
    assert (status, result.prepared, result.reason) == (2, False, "DatasetMissing")
    assert capsys.readouterr().err == result.message + "\n"
    monkeypatch.setattr(prepare_process, "prepare", lambda _dataset: 1 / 0)
    status, result = run("digits", "/")
    assert (status, result.reason) == (1, "Error")
    assert result.message == "ZeroDivisionError: division by zero"
    assert "Traceback" in capsys.readouterr().err

    def end(_dataset: DatasetSpec) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("SIGTERM came late")

    monkeypatch.setattr(prepare_process, "prepare", end)
    status, result = run("digits", "/")
    assert (status, result.reason) == (143, "Terminated")


def test_the_command_refuses_what_is_no_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.prepare_command(command.parse(["prepare", "mnist", "/data"])) == 2
    assert capsys.readouterr().err.startswith("The dataset is wrong at name: Input should be ")
    options = command.parse(["prepare", "svhn", "/data", "--image-size", "8"])
    assert command.prepare_command(options) == 2
    assert "imageSize is for imagefolder" in capsys.readouterr().err
