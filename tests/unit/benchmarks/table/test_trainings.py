"""Trainings of the benchmarks' tables: what is drawn, what is trained, and what is kept."""

import subprocess
import sys
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
from benchmarks.table import program, separate
from benchmarks.table.pool import Trainings
from benchmarks.table.program import Request, table_training, train_all, training_parser
from benchmarks.table.random_blocks import different_blocks
from benchmarks.table.rows import Row, append, read
from benchmarks.table.space import make_space
from repository_paths import ROOT

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block, LayerType

ONE = Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,7,0,0,0)")
SAME = Block.parse("(1,1,3,0,0)(2,7,0,0,0)")
OTHER = Block.parse("(1,2,3,0,0)(2,7,0,0,0)")

HOLDS_A_WORKER = """
import time
from benchmarks.table.pool import open_pool

if __name__ == "__main__":
    with open_pool(1) as pool:
        pool.submit(print, "begun", flush=True)
        pool.submit(time.sleep, 3600).result()
"""


def make_row(code: str, origin: str, seed: int, images: Path) -> Row:
    digest = canonical_hash(Block.parse(code))
    return Row(digest, code, origin, seed, "Succeeded", 1, 1, 1.0, (0.25, 0.5))


def train(block: Block, seed: int = 0) -> partial[Row]:
    return partial(make_row, str(block), "random", seed, Path("images"))


def fail() -> Row:
    raise RuntimeError("no memory")


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as threads:
        yield threads


def test_a_program_trains_what_its_file_lacks_in_processes_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    append(path, train(ONE)())
    requests = [Request(block, 0, train(block)) for block in (ONE, SAME, OTHER)]
    train_all(1, read(path), partial(append, path), requests)
    assert [row.hash for row in read(path)] == [canonical_hash(ONE), canonical_hash(OTHER)]


def test_a_training_of_the_table_names_its_block_origin_and_seed() -> None:
    request = table_training(ONE, "random", 3)
    assert isinstance(request.train, partial)
    assert (request.block, request.seed) == (ONE, 3)
    assert request.train.args[:3] == (str(ONE), "random", 3)


def test_programs_that_train_share_their_options(tmp_path: Path) -> None:
    parser = training_parser("benchmarks.table", None, tmp_path / "rows.csv")
    options = parser.parse_args(["--data", str(tmp_path)])
    assert (options.output, options.processes) == (tmp_path / "rows.csv", 2)
    assert parser.prog == "python -m benchmarks.table"


def test_a_training_is_kept_as_soon_as_it_ends(pool: Executor, tmp_path: Path, capsys) -> None:
    path = tmp_path / "rows.csv"
    trainings: Trainings[Row] = Trainings(pool, read(path), partial(append, path))
    row = trainings.ask(ONE, 0, train(ONE)).result()
    pool.shutdown()
    assert read(path) == [row]
    assert "1 trainings after" in capsys.readouterr().err


def test_the_same_network_is_trained_once_with_each_seed(pool: Executor) -> None:
    kept: list[Row] = []
    trainings: Trainings[Row] = Trainings(pool, [], kept.append)
    asked = [
        trainings.ask(block, seed, train(block, seed)) for block in (ONE, SAME) for seed in (0, 1)
    ]
    trainings.ask(OTHER, 0, train(OTHER))
    pool.shutdown()
    assert asked[:2] == asked[2:]
    assert {(row.hash, row.seed) for row in kept} == {
        (canonical_hash(ONE), 0),
        (canonical_hash(ONE), 1),
        (canonical_hash(OTHER), 0),
    }
    assert len(kept) == 3


def test_what_is_known_is_not_trained_again(pool: Executor) -> None:
    earlier, kept = train(ONE)(), list[Row]()
    trainings: Trainings[Row] = Trainings(pool, [earlier], kept.append)
    assert trainings.ask(SAME, 0, fail).result() is earlier
    pool.shutdown()
    assert kept == []


def test_a_training_that_fails_is_not_kept(pool: Executor) -> None:
    kept: list[Row] = []
    trainings: Trainings[Row] = Trainings(pool, [], kept.append)
    with pytest.raises(RuntimeError, match="no memory"):
        trainings.ask(ONE, 0, fail).result()
    pool.shutdown()
    assert kept == []


def test_a_process_of_the_pool_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """All of them hold the standard output open, which ends with the last."""
    program = tmp_path / "program.py"
    program.write_text(HOLDS_A_WORKER)
    with subprocess.Popen(
        [sys.executable, program],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"begun\n"
        parent.kill()
        rest, _ = parent.communicate(timeout=300)
        assert rest == b""


def test_random_blocks_mean_different_networks_and_are_the_same_for_a_seed() -> None:
    def draw(seed: int) -> list[Block]:
        return list(islice(different_blocks(make_space(), "TypeFirst", seed), 40))

    assert len({canonical_hash(block) for block in draw(1)}) == 40
    assert draw(1) == draw(1) != draw(2)


@pytest.fixture
def separate_layers(monkeypatch, tmp_path: Path) -> Path:
    """The program without any training."""
    images = tmp_path / "images.npz"
    images.touch()
    monkeypatch.setattr(program, "IMAGES", images)
    monkeypatch.setattr(program, "open_pool", ThreadPoolExecutor)
    monkeypatch.setattr(program, "train", make_row)
    return tmp_path / "separate.csv"


def run_separate(monkeypatch, output: Path, *options: str) -> list[Row]:
    arguments = ["separate", "--data", "nowhere", "--output", str(output), *options]
    monkeypatch.setattr(sys, "argv", arguments)
    separate.main()
    return read(output)


def test_blocks_of_separate_layers_have_no_cells(monkeypatch, separate_layers: Path) -> None:
    rows = run_separate(monkeypatch, separate_layers)
    assert len({row.hash for row in rows}) == len(rows) >= 110
    assert {row.origin for row in rows} == {"separate"}
    types = {layer.type for row in rows for layer in Block.parse(row.block).body}
    assert LayerType.CONVOLUTION not in types
    assert {LayerType.BARE_CONVOLUTION, LayerType.RELU, LayerType.BATCH_NORM} < types


def test_a_second_run_trains_what_the_file_lacks(monkeypatch, separate_layers: Path) -> None:
    few = run_separate(monkeypatch, separate_layers, "--count", "5")
    more = run_separate(monkeypatch, separate_layers, "--count", "9")
    assert len(few) == 5
    assert len(more) == 9
    assert more[:5] == few
    flat = run_separate(monkeypatch, separate_layers, "--count", "9", "--step", "Flat")
    assert {row.origin for row in flat[9:]} == {"separate flat"}
