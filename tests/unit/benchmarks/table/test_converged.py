"""Trainings of the table's blocks to convergence: which blocks, how, and what is kept."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from random import Random

import numpy
import pytest
import torch
from benchmarks.table import converge as entry
from benchmarks.table import program
from benchmarks.table.converged import Converged, append, choose, read
from benchmarks.table.convergence import converge
from benchmarks.table.random_blocks import different_blocks
from benchmarks.table.recipe import (
    CLASSES,
    FINAL_NETWORK,
    FINAL_TRAINING,
    INPUT_SHAPE,
    NETWORK,
    TRAINING,
    VALIDATION,
    make_images,
    make_test_images,
)
from benchmarks.table.rows import Row
from benchmarks.table.rows import append as append_row
from benchmarks.table.space import make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.contract.recipes import RECIPES

BLOCK = Block.parse("(1,1,3,0,0)(2,7,0,0,0)")


def make_row(number: int, accuracy: float, origin: str = "random", seed: int = 0) -> Row:
    return Row(f"{number:016x}", str(BLOCK), origin, seed, "Succeeded", 1, 1, 1.0, (0.1, accuracy))


def make_table(count: int = 500) -> list[Row]:
    return [make_row(number, Random(number).random()) for number in range(count)]


TABLE = make_table()
RANKED = sorted(TABLE, key=lambda row: -row.accuracy)


def test_fifty_of_the_200_best_are_chosen_and_sixteen_evenly_of_the_others() -> None:
    chosen = choose(TABLE)
    assert len(set(chosen.best)) == 50
    assert set(chosen.best) < set(RANKED[:200])
    ranks = [RANKED.index(row) for row in chosen.others]
    assert len(ranks) == 16
    assert ranks[0] < 200 + 300 / 16
    assert ranks[-1] >= 500 - 300 / 16
    assert {later - earlier for earlier, later in pairwise(ranks)} <= {18, 19}


@settings(deadline=None, max_examples=20)
@given(st.randoms(use_true_random=False))
def test_the_choice_depends_on_neither_the_order_nor_on_what_is_added_later(random: Random) -> None:
    later = [
        make_row(1000, 1.0, "flat"),
        make_row(1001, 1.0, "late 0.1"),
        make_row(1002, 1.0, "favourite 3"),
        make_row(1003, 1.0, "random", seed=1),
        replace(make_row(1004, 1.0), outcome="Infeasible"),
    ]
    table = [*TABLE, *later]
    random.shuffle(table)
    assert choose(table) == choose(TABLE)


def test_each_part_of_the_chosen_has_its_share_of_both() -> None:
    chosen = choose(TABLE)
    assert set(chosen.mixed) == {*chosen.best, *chosen.others}
    for count in range(1, len(chosen.mixed) + 1):
        others = len(set(chosen.mixed[:count]) & set(chosen.others))
        assert abs(others - count * 16 / 66) <= 1


def test_a_training_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "converged.csv"
    training = Converged(
        "0" * 16, str(BLOCK), 2, "Succeeded", 3, 0.5, 0.25, 0.125, 1.5, (0.1, 0.2, 0.5)
    )
    append(path, training)
    append(path, replace(training, hash="1" * 16))
    assert read(path) == [training, replace(training, hash="1" * 16)]
    columns = path.read_text().splitlines()[0].split(",")
    assert {"hash", "block", "seed", "validation accuracy", "test accuracy", "curve"} < set(columns)
    assert read(tmp_path / "none.csv") == []


def test_the_recipe_is_that_of_finalists_at_the_scale_of_the_table() -> None:
    papers = RECIPES["cifar"]["training"]
    assert FINAL_TRAINING.optimizer.momentum == papers["optimizer"]["momentum"]
    assert FINAL_TRAINING.optimizer.weight_decay == papers["optimizer"]["weightDecay"]
    shares = [milestone / FINAL_TRAINING.epochs for milestone in FINAL_TRAINING.schedule.milestones]
    assert shares == [
        milestone / papers["epochs"] for milestone in papers["schedule"]["milestones"]
    ]
    assert (
        FINAL_TRAINING.augmentation.padding / INPUT_SHAPE[1]
        == papers["augmentation"]["padding"] / 32
    )
    assert FINAL_TRAINING.augmentation.flip
    assert FINAL_NETWORK.stem == "Plain"
    assert FINAL_NETWORK.model_dump(include=set(type(NETWORK).model_fields)) == NETWORK.model_dump()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Images like CIFAR-100's whose brightness tells their class, made smaller as the table's."""
    folder = tmp_path_factory.mktemp("images")
    random = numpy.random.default_rng(0)
    for name, count in (("train-1", TRAINING + VALIDATION + 100), ("test", 500)):
        labels = random.integers(0, CLASSES + 2, 2 * count).astype(numpy.uint8)
        noise = random.integers(0, 10, (2 * count, 32, 32, 3))
        pixels = (noise + 20 * labels[:, None, None, None]).astype(numpy.uint8)
        numpy.savez(folder / f"{name}.npz", x=pixels, y=labels)
    made = folder / "small" / "images.npz", folder / "small" / "test-images.npz"
    make_images(folder, made[0])
    make_test_images(folder, made[1])
    return made


def test_images_are_those_of_the_classes_at_half_the_size(images: tuple[Path, Path]) -> None:
    for path, count in zip(images, (TRAINING + VALIDATION, None), strict=True):
        with numpy.load(path) as arrays:
            assert arrays["x"].shape[1:] == (16, 16, 3)
            assert arrays["y"].max() == CLASSES - 1
            assert len(arrays["x"]) == len(arrays["y"])
            assert count is None or len(arrays["y"]) == count


def test_a_folder_without_the_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no test\.npz"):
        make_test_images(tmp_path, tmp_path / "images.npz")


def test_a_training_is_measured_on_both_sets_of_images(images: tuple[Path, Path]) -> None:
    torch.set_num_threads(1)
    spec = FINAL_TRAINING.model_copy(update={"epochs": 2})
    trained = converge(str(BLOCK), 2, 0.5, *images, spec)
    assert trained.outcome == "Succeeded"
    assert (trained.hash, trained.seed, trained.epochs) == (canonical_hash(BLOCK), 2, 2)
    assert len(trained.curve) == 2
    assert trained.curve[-1] == trained.validation_accuracy
    assert trained.test_accuracy > 0.2
    assert trained.early_accuracy == 0.5


def test_a_training_that_diverges_has_no_accuracy(images: tuple[Path, Path]) -> None:
    torch.set_num_threads(1)
    # The product refuses such a rate; at one that it takes, some blocks diverge and others do not.
    optimizer = FINAL_TRAINING.optimizer.model_copy(update={"learning_rate": 1e30})
    spec = FINAL_TRAINING.model_copy(update={"epochs": 2, "optimizer": optimizer})
    trained = converge(str(BLOCK), 2, 0.5, *images, spec)
    assert trained.outcome == "Infeasible"
    assert trained.validation_accuracy == trained.test_accuracy == 0.0


@pytest.fixture
def run(monkeypatch, tmp_path: Path) -> Callable[[], tuple[list[Converged], int]]:
    """The program without any training; returns the file, and how many were trained."""
    table, images = tmp_path / "table.csv", tmp_path / "images.npz"
    blocks = islice(different_blocks(make_space(), "TypeFirst", 0), 230)
    for number, block in enumerate(blocks):
        row = replace(make_row(number, number / 1000), hash=canonical_hash(block), block=str(block))
        append_row(table, row)
    images.touch()
    count = 0

    def stub(code: str, seed: int, early: float, *_images: Path) -> Converged:
        nonlocal count
        count += 1
        digest = canonical_hash(Block.parse(code))
        return Converged(digest, code, seed, "Succeeded", 60, 0.5, 0.5, early, 1.0, (0.5,))

    def start() -> tuple[list[Converged], int]:
        nonlocal count
        count = 0
        entry.main()
        return read(tmp_path / "converged.csv"), count

    for module, name in ((program, "IMAGES"), (entry, "IMAGES"), (entry, "TEST_IMAGES")):
        monkeypatch.setattr(module, name, images)
    monkeypatch.setattr(program, "open_pool", ThreadPoolExecutor)
    monkeypatch.setattr(entry, "converge", stub)
    output = str(tmp_path / "converged.csv")
    options = ["--data", "nowhere", "--table", str(table), "--output", output]
    monkeypatch.setattr(sys, "argv", ["converge", *options])
    return start


def test_what_the_file_has_is_not_trained_again(run) -> None:
    rows, trained = run()
    assert len(rows) == trained == len({row.hash for row in rows}) == 66
    assert len({row.early_accuracy for row in rows}) == 66
    again, more = run()
    assert (again, more) == (rows, 0)
