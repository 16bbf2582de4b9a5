"""The papers' figures: whole searches on a landscape, what is measured of them, and the page."""

from pathlib import Path
from random import Random
from statistics import fmean

import pytest
from benchmark_rows import make_rows
from benchmarks.reproduction import defaults, reward_fit, search_sections, training_sections
from benchmarks.reproduction.course import Course, Setup, Trial, best_by, run
from benchmarks.reproduction.figures import (
    Figure,
    Learning,
    best_so_far,
    difference,
    mean_by_iteration,
    median_trials,
)
from benchmarks.reproduction.page import write_page
from benchmarks.reproduction.searches import PARAMETERS, PRESETS, SHORTER, papers_searches
from benchmarks.reproduction.section import holds
from benchmarks.table.converged import Converged, choose
from benchmarks.table.recipe import CLASSES, INPUT_SHAPE, NETWORK
from benchmarks.table.rows import Row
from benchmarks.table.trained_blocks import TrainedBlocks
from hypothesis import given
from hypothesis import strategies as st

from blockqnn.block.nsc import Block
from blockqnn.learning.reward import redefined_reward
from blockqnn.network.cost import network_parameters
from blockqnn.settings.epsilon_schedule import EpsilonStage

ROWS = make_rows(120, 40)
BLOCK = Block.parse("(1,7,0,0,0)")


@pytest.fixture(scope="module")
def landscape() -> TrainedBlocks:
    return TrainedBlocks(ROWS)


@pytest.fixture(scope="module")
def searches(landscape: TrainedBlocks) -> dict[str, list[Course]]:
    """Every search of the figures, as short as ten stages allow, with two seeds."""
    searches_by_name = {}
    for name, setup in papers_searches().items():
        stages = tuple(
            EpsilonStage(epsilon=stage.epsilon, iterations=1)
            for stage in setup.agent.epsilon_schedule
        )
        agent = setup.agent.model_copy(update={"epsilon_schedule": stages, "batch_size": 16})
        short = Setup(setup.space, agent, setup.reward, setup.control)
        searches_by_name[name] = [run(short, landscape, seed) for seed in (0, 1)]
    return searches_by_name


def course(worths: list[float], sizes: tuple[int, ...]) -> Course:
    trials = [Trial(str(n), BLOCK, worth, worth, worth) for n, worth in enumerate(worths)]
    stages = [EpsilonStage(epsilon=1.0, iterations=size) for size in sizes]
    return Course(trials, stages, 1)


def test_the_searches_are_the_presets_with_the_whole_budget() -> None:
    setups = papers_searches()
    for preset in PRESETS:
        assert setups[preset] == Setup.of(preset)
        stages = setups[preset].agent.epsilon_schedule
        assert sum(stage.iterations for stage in stages) == 178
        shorter = setups[f"{preset}, {SHORTER} iterations"].agent.epsilon_schedule
        assert sum(stage.iterations for stage in shorter) == 89
        rival = setups[f"{preset}, random search"]
        assert rival.agent.random_step == setups[preset].agent.random_step
        assert rival.agent.duplicates == setups[preset].agent.duplicates


def test_limits_of_parameters_hold_for_every_proposal(searches: dict[str, list[Course]]) -> None:
    for name in ("CVPR2018-L", "CVPR2018-L, random search"):
        for trial in searches[name][0].trials:
            assert network_parameters(trial.block, NETWORK, INPUT_SHAPE, CLASSES) <= PARAMETERS


def test_a_network_means_the_same_to_a_search_whenever_it_is_proposed(
    searches: dict[str, list[Course]],
) -> None:
    for trial in searches["CVPR2018"][0].trials:
        for other in searches["CVPR2018, random search"][0].trials:
            if trial.hash == other.hash:
                assert (trial.worth, trial.accuracy) == (other.worth, other.accuracy)


def test_random_search_has_the_random_phase_of_the_search(
    searches: dict[str, list[Course]],
) -> None:
    for preset in PRESETS:
        learned, rival = searches[preset][0], searches[f"{preset}, random search"][0]
        assert [t.hash for t in learned.trials[:16]] == [t.hash for t in rival.trials[:16]]


def test_a_control_learns_from_the_same_reward_for_all(searches: dict[str, list[Course]]) -> None:
    assert {trial.reward for trial in searches["CVPR2018, control"][0].trials} == {50.0}
    assert len({trial.accuracy for trial in searches["CVPR2018, control"][0].trials}) > 1


def test_stages_divide_the_trials() -> None:
    made = course([1.0, 3.0, 4.0, 6.0, 5.0], (2, 2, 1))
    assert made.stage_worths == [2.0, 5.0, 5.0]
    assert [trial.worth for trial in made.exploitation] == [4.0, 6.0, 5.0]
    assert made.rises() == 1
    assert made.gap_closed(8.0) == 0.5


@given(st.lists(st.floats(0, 100), min_size=2, max_size=40))
def test_the_gap_closed_is_0_at_the_random_mean_and_1_at_the_best(worths: list[float]) -> None:
    made = course(worths, (len(worths) - 1, 1))
    first, last = made.stage_worths
    if abs(last - first) > 1e-6:
        assert made.gap_closed(last) == pytest.approx(1.0)
        assert course([first, first], (1, 1)).gap_closed(last) == 0.0


def test_equal_networks_count_once_among_the_best() -> None:
    trials = [Trial(name, BLOCK, w, w, -w) for name, w in (("a", 9.0), ("a", 9.0), ("b", 8.0))]
    assert [trial.hash for trial in best_by(trials, "worth", 2)] == ["a", "b"]
    assert best_by(trials, "reward", 1)[0].hash == "b"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.integers(1, 6))
def test_the_best_so_far_never_falls_once_there_are_enough(
    accuracies: list[float], count: int
) -> None:
    curve = best_so_far(course(accuracies, (len(accuracies),)), count)
    for index in range(count, len(curve)):
        assert curve[index] >= curve[index - 1]
    best = sorted(accuracies, reverse=True)[:count]
    assert curve[-1] == pytest.approx(fmean(best))


def test_medians_are_of_their_stage(searches: dict[str, list[Course]]) -> None:
    made = searches["CVPR2018"][0]
    for (_, trials), (_, median) in zip(made.by_stage(), median_trials(made), strict=True):
        below = sum(trial.accuracy < median.accuracy for trial in trials)
        above = sum(trial.accuracy > median.accuracy for trial in trials)
        assert max(below, above) <= len(trials) / 2


def test_means_are_over_seeds_and_batches(searches: dict[str, list[Course]]) -> None:
    means = mean_by_iteration(searches["CVPR2018"], "accuracy")
    assert len(means) == 10
    batches = [course.trials[:16] for course in searches["CVPR2018"]]
    assert means[0] == pytest.approx(fmean(t.accuracy for batch in batches for t in batch))


def test_a_difference_of_a_search_to_itself_is_nothing(searches: dict[str, list[Course]]) -> None:
    courses = searches["CVPR2018"]
    assert difference(courses, courses, "top_worth") == Figure(0.0, 0.0)


@pytest.mark.parametrize(
    ("mean", "error", "said"),
    [(1.0, 0.4, "Holds"), (-1.0, 0.4, "Does not hold"), (0.5, 0.4, "Cannot be told")],
)
def test_a_claim_is_judged_by_two_standard_errors(mean: float, error: float, said: str) -> None:
    assert holds(Figure(mean, error)).startswith(said)


def test_the_page_has_every_figure_its_number_and_its_sentence(
    searches: dict[str, list[Course]], tmp_path: Path
) -> None:
    best = 90.0
    separate = [
        Row(row.hash, row.block, "separate", 0, row.outcome, 1, 1, 1.0, row.curve)
        for row in ROWS[:50]
    ]
    sections = [
        search_sections.learning_curve(searches, best, tmp_path),
        search_sections.shaping(searches, best, tmp_path),
        training_sections.layers_apart(ROWS, separate, tmp_path),
        search_sections.against_random(searches, PRESETS, best, tmp_path, "Fig. 10: RS"),
        search_sections.against_random(searches, ["CVPR2018-L"], best, tmp_path, "Fig. 11: RS-L"),
        search_sections.shorter(searches, best),
        search_sections.medians(searches, tmp_path),
    ]
    write_page(tmp_path / "page.md", sections, "| a model |", best, 2)
    page = (tmp_path / "page.md").read_text()
    for section in sections:
        assert section.verdict in page
        assert section.figures
    for picture in ("fig8-learning", "fig5-shaping", "fig9-cells", "fig10-random", "fig11-random"):
        assert f"{picture}.svg" in page
        assert (tmp_path / f"{picture}.svg").read_text().startswith("<?xml")
    learned = Learning.of(searches["CVPR2018"], best)
    assert str(learned.last_mean) in page


def test_a_picture_is_the_same_whenever_it_is_drawn(
    searches: dict[str, list[Course]], tmp_path: Path
) -> None:
    drawn = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        search_sections.learning_curve(searches, 90.0, tmp_path / name)
        drawn.append((tmp_path / name / "fig8-learning.svg").read_bytes())
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("trials", [64, 256, 512, 1000])
def test_a_spec_with_a_dataset_alone_has_the_agent_of_one_gpu(trials: int) -> None:
    """But for trainings that stop themselves; and the accuracy alone is its reward."""
    default = defaults.setup_of(defaults.SPECS["dataset alone"], trials)
    one_gpu = defaults.setup_of(defaults.SPECS["OneGPU, reward weights 0"], trials)
    assert one_gpu.agent.early_termination is not None
    agent = one_gpu.agent.model_copy(update={"early_termination": None})
    assert (default.agent, default.reward, default.space) == (agent, one_gpu.reward, one_gpu.space)


def test_the_best_by_reward_is_looked_for_within_the_budget() -> None:
    made = course([1.0, 3.0, 2.0, 9.0], (4,))
    assert defaults.worth_of_best(made, 3) == 3.0


def test_fig_6_waits_for_its_blocks(tmp_path: Path) -> None:
    section = training_sections.redefined(ROWS, [], tmp_path)
    assert section.verdict == "Not measured yet."
    assert "0 of at least 60" in section.text


def test_fig_6_tells_whether_the_papers_rewards_follow_the_final_accuracy(tmp_path: Path) -> None:
    """Final accuracies that are the reward of CVPR 2018, with noise."""
    table = make_rows(500, 0)
    random, converged = Random(1), []
    for row in choose(table).mixed:
        block = Block.parse(row.block)
        early = random.gauss(0.55, 0.01)
        reward = redefined_reward(block, early, reward_fit.CVPR, NETWORK)
        final = (reward + random.gauss(0, 0.2)) / 100
        converged.append(
            Converged(row.hash, row.block, 2, "Succeeded", 60, final, final, early, 1.0, (final,))
        )
    section = training_sections.redefined(table, converged, tmp_path)
    assert section.verdict.startswith("Weights of CVPR 2018: holds")
    assert "| all | 66 | +1." in section.text
    assert (tmp_path / "fig6-reward.svg").exists()
