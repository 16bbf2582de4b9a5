"""Prepared images: damage is noticed where they are read, and many may prepare and read at once."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from trainer_trials import environment, specification

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.preparation import PreparationResult
from blockqnn.contract.trial import TrialResult
from blockqnn_trainer.datasets.prepare import prepare
from blockqnn_trainer.datasets.prepared import read_prepared
from blockqnn_trainer.datasets.sources import read_images
from blockqnn_trainer.errors import DatasetInvalid
from blockqnn_trainer.run.trial_process import TrialProcess

SIDE = 6


def folder_of(path: Path) -> DatasetSpec:
    return DatasetSpec.model_validate(
        {
            "name": "imagefolder",
            "path": str(path),
            "validation": {"source": "train", "fraction": 0.34},
        }
    )


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = numpy.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=numpy.uint8)
    Image.fromarray(values).save(path)


def draw_all(root: Path, count: int = 3) -> Path:
    for part in ("train", "test"):
        for seed in range(2 * count):
            draw(root / part / "ab"[seed % 2] / f"{seed}.png", seed)
    return root


def content(root: Path) -> list[Any]:
    return [
        array.tolist() for part in ("train", "test") for array in read_images(folder_of(root), part)
    ]


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = draw_all(tmp_path_factory.mktemp("intact"))
    prepare(folder_of(root))
    return root


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["*.pixels.npy", "*.labels.npy", "*.json"]),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 255)), min_size=1, max_size=3),
    st.sampled_from([None, None, 0, 1, 100, 200]),
)
def test_damage_is_told_by_the_name_and_mended_by_preparing_again(
    intact: Path, tmp_path: Path, pattern: str, flips: list[tuple[int, int]], kept: int | None
) -> None:
    root = tmp_path / "images"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(intact, root)
    (file,) = (root / ".blockqnn").glob(pattern)
    damaged = bytearray(file.read_bytes())
    for position, flip in flips:
        damaged[position % len(damaged)] ^= flip
    file.write_bytes(damaged[:kept])
    refusal = ""
    try:
        read = content(root)
    except DatasetInvalid as refused:
        refusal = str(refused)
    assert (read == content(intact)) if not refusal else str(root / ".blockqnn") in refusal
    assert not refusal or "run blockqnn-train prepare again" in refusal
    assert prepare(folder_of(root)).startswith("imagefolder: 6 images to train on and 6 to test")
    assert content(root) == content(intact)


def test_the_names_of_the_arrays_hold_their_checksums(intact: Path) -> None:
    names = sorted(path.name for path in (intact / ".blockqnn").glob("*.npy"))
    form = r"imagefolder-[0-9a-f]{8}\.crc32-[0-9a-f]{8}-[0-9a-f]{8}\."
    assert [re.sub(form, "", name) for name in names] == ["labels.npy", "pixels.npy"]


def as_an_earlier_version(root: Path) -> dict[str, Path]:
    """Rename the arrays as they were named before they had checksums; return their paths."""
    folder = root / ".blockqnn"
    manifest = json.loads((folder / "imagefolder.json").read_text())
    paths = {}
    for kind in ("pixels", "labels"):
        name = f"imagefolder-{manifest['source'][:8]}.{kind}.npy"
        (folder / manifest[kind]).rename(folder / name)
        manifest[kind], paths[kind] = name, folder / name
    (folder / "imagefolder.json").write_text(json.dumps(manifest))
    return paths


def test_what_an_earlier_version_prepared_is_read_as_before(intact: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(intact, tmp_path / "images"))
    as_an_earlier_version(root)
    assert content(root) == content(intact)
    assert "prepared before" in prepare(folder_of(root))


def test_a_label_that_is_no_class_is_not_the_fault_of_a_block(intact: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(intact, tmp_path / "images"))
    labels = as_an_earlier_version(root)["labels"]
    damaged = numpy.load(labels)
    damaged[1] = 2**40  # classes for which no machine has the memory
    numpy.save(labels, damaged)
    fields = specification(dataset__name="imagefolder", dataset__path=str(root))
    variables = environment(tmp_path / "message", json.dumps(fields))
    assert TrialProcess(variables).run() == 2
    result = TrialResult.read((tmp_path / "message").read_text())
    assert result.reason == "DatasetInvalid"
    assert result.message == (
        f"{labels} has labels from 0 to {2**40}, but its manifest says 2 classes: it is damaged; "
        "run blockqnn-train prepare again, or start a search, which does."
    )


def test_images_that_an_earlier_version_made_all_white_are_prepared_anew(tmp_path: Path) -> None:
    for seed in range(4):
        path = tmp_path / "ab"[seed % 2] / f"{seed}.png"
        path.parent.mkdir(exist_ok=True)
        values = numpy.random.default_rng(seed).integers(1000, 60_000, (SIDE, SIDE))
        Image.fromarray(values.astype("uint16")).save(path)
    prepare(folder_of(tmp_path))
    pixels = as_an_earlier_version(tmp_path)["pixels"]
    numpy.save(pixels, numpy.full_like(numpy.load(pixels), 255))
    with pytest.raises(DatasetInvalid, match="are the same"):
        read_images(folder_of(tmp_path), "train")
    assert "prepared in" in prepare(folder_of(tmp_path))
    assert len(numpy.unique(read_images(folder_of(tmp_path), "train")[0])) > 50


def test_images_can_be_read_while_others_are_prepared(tmp_path: Path) -> None:
    root = draw_all(tmp_path / "images", count=1)
    prepare(folder_of(root))
    extra, over = root / "train" / "b" / "9.png", Event()
    errors: list[BaseException] = []
    seen: set[int] = set()

    def read() -> None:
        try:
            while not over.is_set():
                arrays = read_prepared(folder_of(root), "train")
                assert arrays is not None
                seen.add(len(arrays[1]))
        except BaseException as error:
            errors.append(error)

    reader = Thread(target=read)
    reader.start()
    for _ in range(25):
        draw(extra, 9)
        prepare(folder_of(root))
        extra.unlink()
        prepare(folder_of(root))
    over.set()
    reader.join(30)
    assert errors == []
    assert seen == {2, 3}


@pytest.mark.parametrize("damage", [False, True])
def test_two_that_prepare_at_once_leave_one_set(tmp_path: Path, damage: bool) -> None:
    root = draw_all(tmp_path / "images", count=40)
    if damage:
        prepare(folder_of(root))
        (pixels,) = (root / ".blockqnn").glob("*.pixels.npy")
        with pixels.open("r+b") as file:
            file.seek(1000)
            file.write(b"damage")
    command = [sys.executable, "-m", "blockqnn_trainer", "prepare", "imagefolder", str(root)]
    messages = [tmp_path / "first", tmp_path / "second"]
    processes = [
        subprocess.Popen(
            command,
            env={**os.environ, "TERMINATION_MESSAGE_PATH": str(message)},
            stdout=subprocess.DEVNULL,
        )
        for message in messages
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    results = [PreparationResult.read(message.read_text()) for message in messages]
    assert all("80 images to train on and 80 to test on" in said.message for said in results)
    assert sum("prepared in" in said.message for said in results) == 1
    names = sorted(path.name for path in (root / ".blockqnn").iterdir())
    assert [name.rpartition(".")[2] for name in names] == ["npy", "npy", "json", "lock"]
    pixels_now, _ = read_images(folder_of(root), "train")
    expected = [numpy.asarray(Image.open(root / f"train/a/{seed}.png")) for seed in (0, 10)]
    assert [pixels_now[0].tolist(), pixels_now[1].tolist()] == [e.tolist() for e in expected]


def test_what_a_killed_preparation_left_is_removed(tmp_path: Path) -> None:
    root = draw_all(tmp_path / "images")
    (root / ".blockqnn").mkdir()
    rest = root / ".blockqnn" / "imagefolder-0a1b2c3d.pixels.npy.unfinished"
    rest.write_bytes(bytes(1000))
    prepare(folder_of(root))
    assert not rest.exists()
