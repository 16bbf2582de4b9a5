"""Savings by stopping trainings early, on searches whose trainings are all known."""

from pathlib import Path

import pytest
from benchmarks.stopping.__main__ import policies, summarise
from benchmarks.stopping.resampling import (
    Training,
    halve,
    read_trainings,
    resample,
    stop_early,
)
from benchmarks.table.rows import Row, append

from blockqnn.settings.search import EarlyTermination

SETTINGS = EarlyTermination(share=0.05, deviations=3.0, epochs=(3, 6), warmup=10)


def certain(last: float) -> Training:
    """A training whose start says exactly how it ends."""
    return Training(tuple(last * (0.5 + epoch / 24) for epoch in range(1, 13)), 0.0)


def test_of_certain_trainings_all_but_the_best_stop_at_the_first_look() -> None:
    start = [certain(0.3 + number / 100) for number in range(20)]
    later = [certain(0.2 + number / 1000) for number in range(80)]
    outcome = stop_early([*start, *later], SETTINGS, 10)
    assert outcome.stopped == 0.8
    assert outcome.saved == pytest.approx(0.8 * 9 / 12)
    assert (outcome.same_best, outcome.regret) == (True, 0.0)


def test_where_nothing_is_sure_enough_nothing_is_saved() -> None:
    trainings = [certain(0.3 + (number * 7 % 20) / 100) for number in range(100)]
    rough = [
        Training(
            (*training.curve[:2], training.curve[2] + (-1) ** n * 0.01, *training.curve[3:]), 0.0
        )
        for n, training in enumerate(trainings)
    ]
    careful = SETTINGS.model_copy(update={"deviations": 100.0, "epochs": (3,)})
    outcome = stop_early(rough, careful, 10)
    assert (outcome.saved, outcome.stopped, outcome.same_best) == (0.0, 0.0, True)


def test_a_best_block_that_starts_badly_is_lost_and_counted() -> None:
    late = Training((0.1,) * 11 + (0.9,), 0.0)
    trainings = [certain(0.3 + (number * 7 % 20) / 100) for number in range(60)]
    outcome = stop_early([*trainings, late], SETTINGS, 10)
    assert not outcome.same_best
    assert outcome.regret == pytest.approx(90 - 49)


def test_cost_counts_in_what_is_best() -> None:
    cheap, dear = certain(0.5), Training(certain(0.6).curve, 20.0)
    outcome = stop_early([cheap, dear], SETTINGS, 2)
    assert (outcome.saved, outcome.same_best) == (0.0, True)
    assert dear.reward(0.6) == pytest.approx(40)


def test_halving_trains_all_a_little_and_the_best_to_the_end() -> None:
    group = [certain(0.5), certain(0.8), certain(0.6), certain(0.7)]
    outcome = halve(group, 4)
    assert outcome.saved == pytest.approx(1 - (3 + 12 + 3 + 6) / 48)
    assert outcome.same_best
    late = Training((0.1,) * 11 + (0.9,), 0.0)
    assert not halve([*group, late], 5).same_best


def test_a_resampled_search_has_no_block_twice_and_depends_on_its_seed() -> None:
    trainings = [certain(number / 100) for number in range(50)]
    sample = resample(trainings, 30, "shuffled", 1)
    assert len(set(sample)) == 30
    assert (
        sample == resample(trainings, 30, "shuffled", 1) != resample(trainings, 30, "shuffled", 2)
    )
    ordered = resample(trainings, 30, "as found", 1)
    assert ordered == sorted(ordered, key=lambda training: training.curve)


def test_the_first_training_of_each_block_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    code, curve = "(1,1,3,0,0)(2,7,0,0,0)", tuple(epoch / 20 for epoch in range(1, 13))
    for seed, outcome in ((0, "Succeeded"), (1, "Succeeded")):
        append(path, Row("a", code, "random", seed, outcome, 1, 1, 1.0, curve[seed:]))
    append(path, Row("b", code, "random", 0, "Infeasible", 1, 1, 1.0, ()))
    assert read_trainings(path, "accuracy") == [Training(curve, 0.0)]
    (redefined,) = read_trainings(path, "CVPR2018")
    assert redefined.discount > 1  # ln of nine 1x1 convolutions


def test_every_policy_is_judged() -> None:
    trainings = [certain(0.3 + (number * 7 % 20) / 100) for number in range(100)]
    policies_by_name = policies(SETTINGS, 10)
    assert "3 deviations (OneGPU)" in policies_by_name
    figures = {name: summarise([policy(trainings)]) for name, policy in policies_by_name.items()}
    assert all(0 <= row["epochs saved"] < 1 for row in figures.values())
    assert figures["3 deviations (OneGPU)"]["same best"] == 1
