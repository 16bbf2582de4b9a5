"""Blocks that searches like: how they are chosen, kept, and compared with what came of them."""

from pathlib import Path

import pytest
from benchmark_rows import make_rows
from benchmarks.reproduction import choose as program
from benchmarks.reproduction import liked
from benchmarks.reproduction.course import Course, Setup, run
from benchmarks.reproduction.liked import KINDS, Liked, outcomes, without
from benchmarks.reproduction.searches import PRESETS
from benchmarks.reproduction.training_sections import liked_blocks
from benchmarks.table.errors import group_of
from benchmarks.table.rows import Row, append, read
from benchmarks.table.trained_blocks import TrainedBlocks

from blockqnn.block.nsc import Block
from blockqnn.settings.epsilon_schedule import EpsilonStage

ROWS = make_rows(120, 40)
BLOCK = str(Block.parse("(1,7,0,0,0)"))


def make_row(digest: str, accuracy: float, origin: str = "random", seed: int = 0) -> Row:
    return Row(digest, BLOCK, origin, seed, "Succeeded", 1, 1, 1.0, (0.1, accuracy))


def make_liked(search: int, digest: str, expected: float, kind: str = "favourite") -> Liked:
    return Liked(kind, "evolution", search, digest, BLOCK, 20, expected)


def short(preset: str) -> Setup:
    """Return a papers' preset with ten stages of an iteration of 8 blocks each."""
    setup = Setup.of(preset)
    stages = tuple(
        EpsilonStage(epsilon=stage.epsilon, iterations=1) for stage in setup.agent.epsilon_schedule
    )
    agent = setup.agent.model_copy(update={"epsilon_schedule": stages, "batch_size": 8})
    return Setup(setup.space, agent, setup.reward)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rows = [make_liked(1, "a", 61.25), make_liked(2, "b", 60.5, "late")]
    path = tmp_path / "liked.csv"
    liked.write(path, rows)
    assert liked.read(path) == rows
    assert liked.read(tmp_path / "missing.csv") == []


def test_outcomes_are_means_over_searches_and_not_over_blocks() -> None:
    chosen = [make_liked(1, "a", 60.0), make_liked(1, "b", 62.0), make_liked(2, "c", 64.0)]
    table = [
        make_row("a", 0.58, seed=20),
        make_row("a", 0.90),  # what the search has seen does not count
        make_row("b", 0.60, seed=20),
        make_row("c", 0.64, seed=20),
    ]
    (outcome,) = outcomes([*chosen, make_liked(3, "untrained", 99.0)], table)
    assert outcome.trainings == 3
    assert outcome.expected == pytest.approx((61 + 64) / 2)
    assert outcome.trained == pytest.approx((59 + 64) / 2)
    assert outcome.surplus == pytest.approx((2 + 0) / 2)
    assert outcome.surplus_error == pytest.approx(1.0)


def test_the_page_says_how_far_the_model_flatters_favourites() -> None:
    section = liked_blocks([make_row("a", 0.58, seed=20)], [make_liked(1, "a", 60.5)])
    assert "+2.5 for evolution" in section.verdict
    assert "not trained yet" in liked_blocks([], []).verdict


def test_a_kind_is_chosen_without_its_own_and_later_kinds() -> None:
    rows = [make_row(kind, 0.5, f"{kind} CVPR2018") for kind in KINDS] + [make_row("r", 0.5)]
    for number, kind in enumerate(KINDS):
        remaining_hashes = {row.hash for row in without(rows, KINDS[number:])}
        assert remaining_hashes == {"r", *KINDS[:number]}
        assert group_of(f"{kind} CVPR2018") == f"{kind} CVPR2018"


def run_here(
    setups: dict[str, Setup], table: Path, seeds: range, _processes: int
) -> dict[str, list[Course]]:
    landscape = TrainedBlocks(read(table))
    return {name: [run(setup, landscape, seed) for seed in seeds] for name, setup in setups.items()}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten all searches, leave those with a predictor out, and run them in this process."""
    shortened = {preset: short(preset) for preset in PRESETS}
    monkeypatch.setattr(program.Setup, "of", lambda preset, **_: shortened[preset])
    monkeypatch.setattr(program, "BEST_TRIALS", 24)
    monkeypatch.setattr(program, "FAVOURITE_TRIALS", 24)
    monkeypatch.setattr(program, "run_all", run_here)
    for name in ("BEST_OF", "FAVOURITES_OF"):
        monkeypatch.setattr(program, name, ("evolution",))
    for name in ("LATE_SEARCHES", "BEST_SEARCHES", "FAVOURITE_SEARCHES"):
        monkeypatch.setattr(program, name, range(7, 9))


@pytest.mark.usefixtures("quick")
def test_choices_stay_when_what_was_chosen_has_been_trained(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    for row in ROWS:
        append(table, row)
    table_hashes = {row.hash for row in ROWS}
    for kind in KINDS:
        choice = program.choose(kind, table, 2)
        assert choice
        assert {row.kind for row in choice} == {kind}
        if kind == "late":
            digests = [row.hash for row in choice]
            assert len(set(digests)) == len(digests)
            assert not table_hashes & set(digests)
        for row in choice[: len(choice) // 2]:
            curve = (row.expected / 100,) * 12
            append(
                table, Row(row.hash, row.block, row.origin, row.seed, "Succeeded", 1, 1, 1, curve)
            )
        assert program.choose(kind, table, 2) == choice
    assert len(read(table)) > len(ROWS)
