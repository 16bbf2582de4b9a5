"""The table of trained blocks as a landscape: the model for other blocks, noise, and contests."""

import argparse
from pathlib import Path
from random import Random

import numpy
import pytest
from benchmark_rows import LANDSCAPE, NOISE, SPACE, draw, make_rows
from benchmarks.search import __main__ as contests
from benchmarks.table import searches
from benchmarks.table.recipe import NETWORK
from benchmarks.table.rows import Row, append, read
from benchmarks.table.surrogate import Kernel, Known, Likeness, Surrogate, choose_kernel, describe
from benchmarks.table.trained_blocks import TrainedBlocks, noise_between_seeds
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.learning.reward import redefined_reward

ROWS = make_rows(150, 60)
FAILED = Block.parse("(1,2,3,0,0)(2,2,3,1,0)(3,2,3,2,0)(4,2,3,3,0)(5,7,0,0,0)")


@pytest.fixture(scope="module")
def trained() -> TrainedBlocks:
    infeasible = Row(canonical_hash(FAILED), str(FAILED), "random", 0, "Infeasible", 1, 1, 1.0, ())
    assert infeasible.hash not in {row.hash for row in ROWS}
    return TrainedBlocks([*ROWS, infeasible])


def test_codes_of_the_same_network_are_described_alike() -> None:
    block = Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,2,3,1,0)(4,5,0,2,3)(5,7,0,0,0)")
    other = Block.parse("(1,4,0,0,0)(2,4,0,1,0)(3,2,3,2,0)(4,1,3,1,0)(5,5,0,3,4)(6,7,0,0,0)")
    unlike = Block.parse("(1,1,3,0,0)(2,2,3,1,0)(3,5,0,1,2)(4,7,0,0,0)")
    assert canonical_hash(block) == canonical_hash(other)
    assert describe(block).surroundings == describe(other).surroundings
    assert describe(block).edges == describe(other).edges
    assert list(describe(block).sizes) == list(describe(other).sizes)
    assert describe(block).surroundings[0] == describe(unlike).surroundings[0]
    assert describe(block).surroundings[1] != describe(unlike).surroundings[1]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=12, unique=True))
def test_every_kernel_is_one(seeds: list[int]) -> None:
    """Symmetric, 1 for a block and itself, and without a negative direction."""
    likeness = Known([describe(SPACE.decode(draw(seed))) for seed in seeds]).compare_all()
    for structure in (0.0, 0.5, 1.0):
        matrix = Kernel(structure, 1.0, 0.1)(likeness)
        assert matrix == pytest.approx(matrix.T)
        assert numpy.diag(matrix) == pytest.approx(numpy.ones(len(seeds)))
        assert numpy.linalg.eigvalsh(matrix).min() > -1e-9
        inclined = Kernel(structure, 1.0, 0.1, slope=0.1)(likeness)
        assert inclined == pytest.approx(inclined.T)
        assert numpy.linalg.eigvalsh(inclined).min() > -1e-9


def test_the_kernel_that_is_chosen_leaves_the_least_error() -> None:
    """The short way to the error of each left-out block is that of a fit without it."""
    likeness = Known([describe(SPACE.decode(draw(seed))) for seed in range(25)]).compare_all()
    values = numpy.array([100 * LANDSCAPE.value(draw(seed)) for seed in range(25)])

    def error(kernel: Kernel) -> float:
        squares = []
        residuals = values - values.mean()
        for tested in range(25):
            rest = [number for number in range(25) if number != tested]
            matrix = kernel(likeness.of(rest, rest)) + kernel.penalty * numpy.eye(24)
            weights = numpy.linalg.solve(matrix, residuals[rest])
            expected = kernel(likeness.of([tested], rest)) @ weights
            squares.append(float(expected[0] - residuals[tested]) ** 2)
        return sum(squares) / 25

    chosen = choose_kernel(likeness, values)
    assert isinstance(likeness, Likeness)
    for penalty in (0.01, 0.03, 0.1, 0.3, 1.0):
        for reach in (0.7, 2.8):
            for slope in (0.0, 0.03):
                assert error(chosen) <= error(Kernel(0.5, reach, penalty, slope)) + 1e-9


@settings(deadline=None, max_examples=10)
@given(st.sets(st.integers(0, 29), min_size=1, max_size=20))
def test_leaving_blocks_out_is_a_fit_without_them(hidden: set[int]) -> None:
    blocks = [describe(SPACE.decode(draw(seed))) for seed in range(30)]
    values = numpy.array([100 * LANDSCAPE.value(draw(seed)) for seed in range(30)])
    model, likeness = Surrogate(blocks, list(values)), Known(blocks).compare_all()
    rest = sorted(set(range(30)) - hidden)
    residuals = values[rest] - values[rest].mean()
    matrix = model.kernel(likeness.of(rest, rest)) + model.kernel.penalty * numpy.eye(len(rest))
    weights = numpy.linalg.solve(matrix, residuals)
    expected = values[rest].mean() + model.kernel(likeness.of(sorted(hidden), rest)) @ weights
    assert model.leave_out(sorted(hidden)) == pytest.approx(expected, abs=1e-6)


def test_the_model_predicts_blocks_that_it_has_not_seen(trained: TrainedBlocks) -> None:
    errors = trained.surrogate.judge()
    assert errors.blocks == len({row.hash for row in ROWS})
    assert errors.error < 0.8 * errors.error_of_mean
    new = [draw(seed) for seed in range(2000, 2200)]
    expected = numpy.array([trained.value(block) for block in new])
    true = numpy.array([20 + 60 * LANDSCAPE.value(block) for block in new])
    missed = float(numpy.sqrt(((expected - true) ** 2).mean()))
    assert missed == pytest.approx(errors.error, rel=0.4)


def test_a_model_of_noise_does_not_claim_to_predict() -> None:
    random = Random(3)
    blocks = [describe(SPACE.decode(draw(seed))) for seed in range(100)]
    judged = Surrogate(blocks, [random.gauss(50, 5) for _ in blocks]).judge()
    assert judged.error > 0.95 * judged.error_of_mean
    assert abs(judged.correlation) < 0.3


def test_noise_is_that_between_the_seeds_of_a_block(trained: TrainedBlocks) -> None:
    assert trained.noise == pytest.approx(100 * NOISE, rel=0.3)
    assert noise_between_seeds([[50.0, 52.0], [40.0], [30.0, 30.0]]) == (1.0, 2)
    assert noise_between_seeds([[50.0], [40.0]]) == (0.0, 0)


def test_blocks_of_the_table_have_the_value_of_one_of_their_trainings(
    trained: TrainedBlocks,
) -> None:
    both = {100 * row.accuracy for row in ROWS if row.hash == ROWS[0].hash}
    candidate = SPACE.encode(Block.parse(ROWS[0].block))
    assert len(both) == 2
    assert {trained.reward(candidate, seed) for seed in range(30)} == both
    failed = SPACE.encode(FAILED)
    assert trained.reward(failed, 1) == trained.value(failed) == 0.0


def test_other_blocks_have_what_is_expected_of_them_with_noise(trained: TrainedBlocks) -> None:
    candidate = draw(5000)
    assert SPACE.identity(candidate) not in {row.hash for row in ROWS}
    seen = [trained.reward(candidate, seed) for seed in range(400)]
    assert seen == [trained.reward(candidate, seed) for seed in range(400)]
    assert numpy.mean(seen) == pytest.approx(trained.value(candidate), abs=0.4)
    assert numpy.std(seen) == pytest.approx(trained.noise, rel=0.15)


def test_every_strategy_runs_on_the_table(tmp_path: Path, capsys) -> None:
    path = tmp_path / "rows.csv"
    for row in ROWS[:60]:
        append(path, row)
    assert read(path)[0].hash == ROWS[0].hash
    options = argparse.Namespace(
        budgets=[40], contestants=["random search", "evolution", "Efficient"], table_seeds=2
    )
    rows = contests._contest_of_the_table(options, TrainedBlocks(read(path)))
    assert [row["contestant"] for row in rows] == options.contestants
    assert all(20 < row["best reward"] <= 100 for row in rows)
    assert rows[1]["trials to evolution's"] <= 40
    assert "60 trainings of" in capsys.readouterr().out


def test_a_preset_that_redefines_the_reward_is_run_with_that_reward_too(
    trained: TrainedBlocks,
) -> None:
    options = argparse.Namespace(budgets=[20], contestants=["CVPR2018"], table_seeds=2)
    plain, redefined = contests._contest_of_the_table(options, trained)
    assert (plain["contestant"], redefined["contestant"]) == ("CVPR2018", "CVPR2018, redefined")
    assert redefined["best reward"] != plain["best reward"]
    settings = contests.reward_settings_of("CVPR2018")
    candidate = draw(3)
    accuracy = trained.reward(candidate, 1)
    expected = redefined_reward(SPACE.decode(candidate), accuracy / 100, settings, NETWORK)
    assert trained.redefined(candidate, 1, settings) == expected


def test_a_real_search_is_published_trial_by_trial(tmp_path: Path, capsys) -> None:
    table, rows = tmp_path / "rows.csv", {}

    def train(block: Block, number: int) -> float:
        digest, accuracy = canonical_hash(block), LANDSCAPE.value(SPACE.encode(block))
        rows[digest] = Row(
            digest, str(block), f"{number}", 0, "Succeeded", 1, 1, 1.0, (round(accuracy, 4),)
        )
        return accuracy

    tried = searches.run("evolution", 3, train)
    assert [(trial.contestant, trial.seed, trial.number) for trial in tried] == [
        ("evolution", 3, number) for number in range(1, searches.TRIALS + 1)
    ]
    for row in rows.values():
        append(table, row)
    searches.write(tmp_path / searches.SEARCHED.name, tried)
    trials_by_search = searches.read(tmp_path / searches.SEARCHED.name)
    assert trials_by_search == {("evolution", 3): tried}
    assert searches.rewards(tried, read(table)) == [
        100 * rows[trial.hash].accuracy for trial in tried
    ]
    options = argparse.Namespace(budgets=[64], contestants=["evolution", "Efficient"], table=table)
    (result,) = contests._real_searches(options, trials_by_search)
    assert result["best reward"] == max(searches.rewards(tried[:64], read(table)))
    assert "evolution" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rewards", "wanted", "trials"),
    [([1.0, 2.0, 3.0], [0.0, 2.0], 2), ([1.0, 2.0], [3.0], None), ([1.0], None, None)],
)
def test_trials_are_counted_up_to_the_reward_of_another(rewards, wanted, trials) -> None:
    assert contests.trials_to(rewards, wanted) == trials
