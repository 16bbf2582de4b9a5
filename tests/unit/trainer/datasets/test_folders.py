"""Folders as people have them: with leftovers of other tools, and with what is no file at all."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from blockqnn.contract.dataset import DatasetSpec
from blockqnn_trainer.datasets.files import is_leftover
from blockqnn_trainer.datasets.image_folder import ImageFolder
from blockqnn_trainer.datasets.prepare import prepare
from blockqnn_trainer.datasets.sources import read_images
from blockqnn_trainer.errors import DatasetInvalid

IN_A_SHARED_FOLDER = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def folder_of(path: Path, image_size: int | None = None) -> DatasetSpec:
    return DatasetSpec.model_validate(
        {
            "name": "imagefolder",
            "path": str(path),
            "imageSize": image_size,
            "validation": {"source": "train", "fraction": 0.34},
        }
    )


def npz_of(path: Path) -> DatasetSpec:
    return DatasetSpec.model_validate(
        {
            "name": "npz",
            "path": str(path),
            "validation": {"source": "train", "fraction": 0.34},
        }
    )


def draw(path: Path, seed: int = 0, depth: str = "uint8", highest: int = 256) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = numpy.random.default_rng(seed).integers(highest // 60, highest, (6, 6))
    Image.fromarray(values.astype(depth)).save(path)
    return path


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """Two classes of two images."""
    for seed, name in enumerate(("cats/0.png", "cats/1.png", "dogs/0.png", "dogs/1.png")):
        draw(tmp_path / "animals" / name, seed)
    return tmp_path / "animals"


def refusal(dataset: DatasetSpec) -> str:
    with pytest.raises(DatasetInvalid) as refused:
        prepare(dataset)
    return str(refused.value)


LEFTOVER_FOLDERS = (
    "__MACOSX",
    ".ipynb_checkpoints",
    "lost+found",
    "@eaDir",
    "#recycle",
    "$RECYCLE.BIN",
    "System Volume Information",
    ".Trashes",
    ".git",
)
LEFTOVER_FILES = ("._0.png", ".DS_Store", "Thumbs.db", "desktop.ini", ".hidden.jpg", "THUMBS.DB")


@IN_A_SHARED_FOLDER
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "train", "train/cats", "train/dogs/deeper", "test", "test/cats"]),
            st.lists(st.sampled_from(LEFTOVER_FOLDERS), max_size=2),
            st.sampled_from(["cats", ""]),
            st.sampled_from([*LEFTOVER_FILES, "0.png", "0-checkpoint.jpg"]),
        ).filter(lambda row: bool(row[1]) or is_leftover(row[3])),
        max_size=6,
    )
)
def test_what_other_tools_leave_is_passed_over_at_every_level(
    tmp_path: Path, leftovers: list[tuple[str, list[str], str, str]]
) -> None:
    root = tmp_path / "images"
    shutil.rmtree(root, ignore_errors=True)
    expected = {
        part: [draw(root / part / name) for name in ("cats/0.png", "dogs/deeper/1.png")]
        for part in ("train", "test")
    }
    for level, folders, kind, name in leftovers:
        file = root.joinpath(level, *folders, kind if folders else "", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes([0, 5, 22, 7, 0, 2, 0, 0]) + bytes(100))
    assert ImageFolder(root, "train", None).files == expected["train"]
    assert ImageFolder(root, "test", None).files == expected["test"]


def test_an_npz_directory_has_leftovers_too(tmp_path: Path) -> None:
    images = numpy.random.default_rng(0).integers(0, 256, (6, 3, 3, 1), dtype=numpy.uint8)
    numpy.savez(tmp_path / "a.npz", x=images, y=numpy.arange(6) % 2)
    (tmp_path / "._a.npz").write_bytes(bytes([0, 5, 22, 7]))
    assert len(read_images(npz_of(tmp_path), "train")[1]) == 6


@pytest.mark.parametrize("name", ["test", "val", "validation"])
def test_the_folder_of_test_images_has_three_names(animals: Path, name: str) -> None:
    root = animals.parent / "divided"
    shutil.copytree(animals, root / "train")
    draw(root / name / "dogs" / "9.png", 9)
    assert [file.name for file in ImageFolder(root, "test", None).files] == ["9.png"]
    assert "4 images to train on and 1 to test on" in prepare(folder_of(root))


@IN_A_SHARED_FOLDER
@given(
    st.lists(
        st.sampled_from(["Train", "training", "TEST", "val", "valid", "Validation"]),
        min_size=1,
        max_size=3,
        unique=True,
    )
)
def test_parts_without_the_folder_train_are_no_classes(tmp_path: Path, parts: list[str]) -> None:
    root = tmp_path / "images"
    shutil.rmtree(root, ignore_errors=True)
    for part in parts:
        for kind in ("cats", "dogs"):
            draw(root / part / kind / "0.png")
    assert refusal(folder_of(root)) == (
        f"{root} has the folders {', '.join(sorted(parts))}, which are parts of a dataset and no "
        "classes; rename the one to train on to train, and the one to test on to test."
    )


def test_a_class_may_have_the_name_of_a_part(animals: Path) -> None:
    draw(animals / "test" / "0.png", 5)
    assert "5 images to train on, 6x6x3, 3 classes" in prepare(folder_of(animals))


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    # The address of a socket is short, so that it is made beside it.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(before)


NO_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a FIFO": (make_fifo, "PATH is a FIFO, where a file is needed; remove or rename it."),
    "a socket": (make_socket, "PATH is a socket, where a file is needed; remove or rename it."),
    "a device": (
        lambda path: path.symlink_to("/dev/zero"),
        "PATH is a device, where a file is needed; remove or rename it.",
    ),
    "a folder": (Path.mkdir, "PATH is a folder, where a file is needed; remove or rename it."),
    "a broken link": (
        lambda path: path.symlink_to("/nowhere/a.png"),
        "PATH is a link to /nowhere/a.png, which is not there; copy the file itself, or remove the "
        "link.",
    ),
    "a circle of links": (
        lambda path: path.symlink_to(path),
        "PATH cannot be opened: Too many levels of symbolic links.",
    ),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_refused_without_being_opened(animals: Path, kind: str) -> None:
    make, sentence = NO_FILES[kind]
    path = animals / "dogs" / "2.png"
    make(path)
    assert refusal(folder_of(animals)) == sentence.replace("PATH", str(path))
    with pytest.raises(DatasetInvalid, match=r"2\.png"):
        read_images(folder_of(animals), "train")
    (animals / "arrays").mkdir()
    archive = animals / "arrays" / "images.npz"
    make(archive)
    said = refusal(npz_of(animals / "arrays"))
    assert said == sentence.replace("PATH", str(archive))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a device"])
def test_nothing_else_in_the_folder_of_prepared_images_is_waited_for(
    animals: Path, kind: str
) -> None:
    prepare(folder_of(animals))
    for path in (animals / ".blockqnn").iterdir():
        if path.name != "lock":
            path.unlink()
            NO_FILES[kind][0](path)
            with pytest.raises(DatasetInvalid, match=r"where a file is needed"):
                read_images(folder_of(animals), "train")
            assert "prepared in" in prepare(folder_of(animals))


def test_a_class_that_is_a_broken_link_is_not_left_out_silently(animals: Path) -> None:
    (animals / "mice").symlink_to("../mice")
    assert refusal(folder_of(animals)) == (
        f"{animals / 'mice'} is a link to ../mice, which is not there; copy the file itself, or "
        "remove the link."
    )


def test_links_to_folders_and_files_that_are_there_are_followed(animals: Path) -> None:
    (animals.parent / "mice").mkdir()
    (animals / "mice").symlink_to("../mice")
    (animals.parent / "mice" / "0.png").symlink_to(animals / "cats" / "0.png")
    assert "5 images to train on, 6x6x3, 3 classes" in prepare(folder_of(animals))


def test_a_link_to_a_folder_around_it_has_an_end(animals: Path) -> None:
    (animals / "cats" / "all").symlink_to(animals)
    assert "4 images to train on" in prepare(folder_of(animals))


def test_folders_may_lie_deep_in_each_other(tmp_path: Path) -> None:
    draw(tmp_path / "dogs" / "0.png", 1)
    before = Path.cwd()
    (tmp_path / "cats").mkdir()
    os.chdir(tmp_path / "cats")
    try:
        for _ in range(1200):  # deeper than Python's functions can call each other
            os.mkdir("d")
            os.chdir("d")
        draw(Path("0.png"))
    finally:
        os.chdir(before)
    try:
        assert "2 images to train on" in prepare(folder_of(tmp_path))
    finally:  # Python's own removal of folders calls itself for each of them
        subprocess.run(["rm", "-r", str(tmp_path / "cats")], check=True)


def test_names_that_are_no_text_are_read_and_told(animals: Path) -> None:
    folder = os.fsencode(animals / "dogs")
    (Path(os.fsdecode(folder + b"/caf\xe9.png"))).write_bytes((animals / "cats/0.png").read_bytes())
    assert "5 images to train on" in prepare(folder_of(animals))
    (Path(os.fsdecode(folder + b"/\x1b[31m\n\xe9.png"))).write_bytes(b"none")
    message = animals.parent / "message"
    completed = subprocess.run(
        [sys.executable, "-m", "blockqnn_trainer", "prepare", "imagefolder", str(animals)],
        env={**os.environ, "TERMINATION_MESSAGE_PATH": str(message)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 2, completed.stderr
    assert b"Traceback" not in completed.stderr
    text = message.read_text()
    assert "DatasetInvalid" in text
    assert "\\\\x1b[31m\\\\n\\\\udce9.png" in text


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("unreadable", ["dogs/0.png", "dogs"])
def test_what_may_not_be_read_is_named_with_the_user(unreadable: str) -> None:
    with TemporaryDirectory() as folder:
        animals = Path(folder) / "animals"
        draw(animals / "cats" / "0.png")
        draw(animals / "dogs" / "0.png", 1)
        for folder_path in (animals.parent, animals):
            folder_path.chmod(0o777)
        path = animals / unreadable
        path.chmod(0)
        os.seteuid(65_534)
        try:
            sentence = refusal(folder_of(animals))
        finally:
            os.seteuid(0)
    assert sentence == (
        f"This process, with user id 65534, may not read {path}; allow it, for example with "
        "securityContext.fsGroup."
    )


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no such file to fail at reading")
@pytest.mark.parametrize("kind", ["imagefolder", "npz"])
def test_an_error_of_the_disk_is_worth_another_attempt(animals: Path, kind: str) -> None:
    file = animals / "dogs" / ("2.png" if kind == "imagefolder" else "2.npz")
    file.symlink_to("/proc/self/mem")  # whose beginning cannot be read
    dataset = folder_of(animals) if kind == "imagefolder" else npz_of(file)
    with pytest.raises(OSError, match="Input/output error") as failed:
        prepare(dataset)
    assert failed.value.filename == str(file)


def test_grey_images_of_16_bits_are_scaled(tmp_path: Path) -> None:
    for seed in range(10):
        draw(tmp_path / "ab"[seed % 2] / f"{seed}.png", seed, "uint16", highest=60_000)
    prepare(folder_of(tmp_path))
    pixels, _ = read_images(folder_of(tmp_path), "train")
    assert 200 < pixels.max() < 255
    assert pixels.min() < 30
    assert len(numpy.unique(pixels)) > 100


def test_images_of_12_bits_in_16_would_become_black(tmp_path: Path) -> None:
    for seed in range(4):
        draw(tmp_path / "ab"[seed % 2] / f"{seed}.png", seed, "uint16", highest=4096)
    sentence = refusal(folder_of(tmp_path))
    assert sentence.startswith(f"The 16-bit images of {tmp_path} have no value above 4,0")
    assert sentence.endswith("scale them to all 16 bits, or save them with 8.")
    draw(tmp_path / "a" / "bright.png", 9, "uint16", highest=60_000)
    assert "5 images" in prepare(folder_of(tmp_path))


SAME = "to train on are the same; check the program that wrote them."
FLAT = "to train on is of a single colour, so that there is no picture in it; check the program"


@settings(IN_A_SHARED_FOLDER, max_examples=30)
@given(
    st.integers(2, 90),
    st.sampled_from(["same", "flat", "good", "good at the end"]),
    st.integers(0, 250),
)
def test_images_without_anything_to_learn_are_refused(
    tmp_path: Path, count: int, kind: str, value: int
) -> None:
    images = numpy.full((count, 3, 3, 1), value, dtype=numpy.uint8)
    if kind == "same":
        images[:, 0, 0] = 255
    elif kind == "flat":
        images[-1] = 255
    else:
        images[0 if kind == "good" else -1, 0, 0] = 255
    numpy.savez(tmp_path / "a.npz", x=images, y=numpy.arange(count) % 2)
    dataset = npz_of(tmp_path / "a.npz")
    if kind.startswith("good"):
        assert prepare(dataset).startswith(f"npz: {count} images to train on")
        assert len(read_images(dataset, "train")[1]) == count
        return
    assert (SAME if kind == "same" else FLAT) in refusal(dataset)
    if kind == "flat":  # which a search of an earlier version may be training on
        assert len(read_images(dataset, "train")[1]) == count
    else:
        with pytest.raises(DatasetInvalid, match=SAME):
            read_images(dataset, "train")


def test_images_of_one_pixel_may_be_flat(tmp_path: Path) -> None:
    images = numpy.arange(6, dtype=numpy.uint8).reshape(6, 1, 1, 1)
    numpy.savez(tmp_path / "a.npz", x=images, y=numpy.arange(6) % 2)
    assert prepare(npz_of(tmp_path)).startswith("npz: 6 images")


def test_a_folder_of_flat_images_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for value in range(4):
        path = tmp_path / "ab"[value % 2] / f"{value}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4), value).save(path)
    assert FLAT in refusal(folder_of(tmp_path))
    assert [path.name for path in (tmp_path / ".blockqnn").iterdir()] == ["lock"]
