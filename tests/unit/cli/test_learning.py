"""Verdicts on learning in the command line, and the median block of each stage."""

import itertools
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
from cli_searches import NOW, empty, foreseen, simulated
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import UID, make_header, make_spec
from rich.console import Console

from blockqnn.contract.message import Outcome
from blockqnn_api.history.replay import new_agent
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.resolve import resolve
from blockqnn_cli import terminal_views
from blockqnn_cli.learning import RANDOM_SEARCH, in_words, learning
from blockqnn_cli.report import statistics
from blockqnn_cli.report.charts import random_band
from blockqnn_cli.report.page import report
from blockqnn_cli.report.stages import MOST, median_trial, periods, stages_section
from blockqnn_cli.report.statistics import Stage
from blockqnn_cli.view import SearchView

EMPTY, FULL = "(1,4,0,0,0)(2,7,0,0,0)", "(1,1,3,0,0)(2,1,5,1,0)(3,5,0,1,2)(4,7,0,0,0)"

SCHEDULE = [{"epsilon": 1.0, "iterations": 10}, {"epsilon": 0.1, "iterations": 12}]

Draw = Callable[[bool, Random], tuple[str, float | None]]
"""Draws the network and the reward of a trial, given whether it is drawn at random."""


def made(draw: Draw, *, phase: str = "Running", iterations: int = 22, **agent: Any) -> SearchView:
    """A search of 64 trials an iteration, ten iterations of them at random, then twelve at 0.1."""
    spec = make_spec(
        budget={"trials": 22 * 64},
        agent={"batchSize": 64, **(agent or {"epsilonSchedule": SCHEDULE})},
        dataset={"name": "cifar10"},
    )
    header, random = make_header(resolve(spec)), Random(0)
    records = []
    for trial in range(64 * iterations):
        network, reward = draw(trial < 640, random)
        records.append(
            TrialRecord(
                trial=trial,
                iteration=trial // 64,
                block=EMPTY if network == "empty" else FULL,
                hash=network,
                outcome=Outcome.FAILED if reward is None else Outcome.SUCCEEDED,
                reason="Error" if reward is None else "Completed",
                accuracy=None if reward is None else min(max(reward / 100, 0.0), 1.0),
                reward=reward,
                macs=1_000_000,
            )
        )
    status = {"phase": phase, "progress": f"{len(records)}/1408"}
    return SearchView("lab", "made", UID, spec, status, header, tuple(records))


def better(at_random: bool, random: Random) -> tuple[str, float]:
    return str(random.random()), random.gauss(56 if at_random else 65, 5)


def unlearning(at_random: bool, random: Random) -> tuple[str, float]:
    """The case of docs/runbooks/BlockQNNSearchNotLearning.md: 78 % are one empty block."""
    if random.random() < (0.2 if at_random else 600 / 768):
        return "empty", 42.0
    return str(random.random()), random.gauss(48, 5)


def noise(_at_random: bool, random: Random) -> tuple[str, float]:
    return str(random.random()), random.gauss(50, 5)


def said(search: SearchView) -> str:
    return in_words(search, learning(search))


def test_a_search_that_learns_says_by_how_much() -> None:
    assert re.fullmatch(
        r"The mean reward of iterations 10 to 21 \(epsilon 0.1\) is 6[45]\.\d ± 0\.\d, [89]\.\d "
        r"points above the random phase \(5[56]\.\d ± 0\.\d\): the search learns\.",
        said(made(better)),
    )


def test_a_search_that_unlearns_names_the_runbook_and_what_it_repeats() -> None:
    text = said(made(unlearning))
    assert "points below the random phase" in text
    assert ": the search does not learn; see the runbook BlockQNNSearchNotLearning. 6" in text
    assert text.endswith("of these 768 proposals are the same network.")
    page = report(made(unlearning), NOW)
    assert 'class="attention"' in page
    assert text in page
    assert re.search(r'class="repeated">\d+ of 768 proposals are the same network\.<', page)


def test_noise_is_not_told_apart_and_may_be_while_the_search_runs() -> None:
    assert said(made(noise)).endswith("points: the two cannot be told apart yet.")
    assert said(made(noise, phase="Complete")).endswith("the two cannot be told apart.")


def test_equal_rewards_teach_nothing() -> None:
    equal = made(lambda _at_random, random: (str(random.random()), 50.0))
    assert said(equal) == (
        "Every trial of the random phase and of iterations 10 to 21 (epsilon 0.1) has the reward "
        "50.0: there is nothing to learn from."
    )
    assert said(equal) in report(equal, NOW)


def test_repeated_luck_is_not_called_learning() -> None:
    def repeat(at_random: bool, random: Random) -> tuple[str, float]:
        return ("lucky", 65.0) if not at_random else noise(at_random, random)

    assert "only 1 new network can be held against the random phase's: that it learns is not " in (
        said(made(repeat))
    )

    def repeat_partly(at_random: bool, random: Random) -> tuple[str, float]:
        lucky = not at_random and random.random() < 0.5
        return ("lucky", 65.0) if lucky else noise(at_random, random)

    assert "new networks are not clearly better than those that were new in the random phase" in (
        said(made(repeat_partly))
    )


def test_random_search_is_not_expected_to_learn() -> None:
    search = made(noise, algorithm="RandomSearch")
    assert said(search) == RANDOM_SEARCH
    assert RANDOM_SEARCH in report(search, NOW)


def test_a_search_in_its_random_phase_has_nothing_to_compare() -> None:
    early = made(noise, iterations=3)
    assert said(early).startswith("Every trial with a reward was drawn at random")
    assert said(early) in report(early, NOW)


def test_a_search_without_a_random_phase_has_no_control() -> None:
    schedule = [{"epsilon": 0.5, "iterations": 22}]
    search = made(noise, epsilonSchedule=schedule)
    assert said(search).startswith("No trial with a reward was drawn at random (epsilon 1)")
    assert "random-band" not in report(search, NOW).split("</style>")[1]


def test_a_search_in_which_all_failed_says_so() -> None:
    failed = made(lambda _at_random, _random: ("x", None))
    assert said(failed) == (
        "No trial has a reward yet, so it is not known whether the search learns."
    )
    assert "No trial has an accuracy." in report(failed, NOW)


def test_extrapolated_accuracies_are_counted() -> None:
    search = foreseen()
    judged = learning(search)
    stopped = sum(
        r.stopped_after is not None and judged.first <= r.iteration <= judged.last
        for r in search.records
    )
    assert stopped
    assert f"{stopped} of those accuracies are extrapolated" in report(search, NOW)


def drawn(search: SearchView) -> str:
    console = Console(width=400)
    with console.capture() as capture:
        console.print(terminal_views.whole(search, (), NOW))
    return capture.get()


def test_the_status_says_the_same_once_the_random_phase_is_over() -> None:
    for search in (made(better), made(unlearning), simulated()):
        assert said(search) in drawn(search)
    for search in (made(noise, iterations=3), made(noise, algorithm="RandomSearch"), empty()):
        assert not any(verdict in drawn(search) for verdict in ("search learns", "not learn"))
        assert "drawn at random" not in drawn(search)


@pytest.mark.parametrize("algorithm", ["QLearning", "RandomSearch", "Evolution"])
def test_epsilon_is_that_of_the_agent(algorithm: str) -> None:
    agents: dict[str, dict[str, Any]] = {
        "QLearning": {},
        "RandomSearch": {"algorithm": "RandomSearch"},
        "Evolution": {
            "algorithm": "Evolution",
            "evolution": {"populationSize": 200, "sampleSize": 10},
        },
    }
    search = made(noise, iterations=1, **agents[algorithm])
    agent = new_agent(resolve(search.spec), 0)
    assert [search.epsilon(n) for n in range(30)] == [agent.epsilon(n) for n in range(30)]
    assert empty().epsilon(0) == 1


@pytest.mark.parametrize("algorithm", ["QLearning", "RandomSearch", "Evolution"])
def test_the_latest_iterations_have_the_epsilon_of_the_agent(algorithm: str) -> None:
    search = made(noise, algorithm=algorithm)
    shown = terminal_views.iterations(search)
    numbers, epsilons = (list(shown.columns[column].cells) for column in (0, 1))
    assert numbers[-1] == "21"
    assert epsilons == [f"{search.epsilon(int(str(number))):g}" for number in numbers]
    assert (set(epsilons) == {"1"}) == (algorithm == "RandomSearch")


def test_the_band_holds_most_iterations_drawn_at_random() -> None:
    search = made(noise)
    band = random_band(learning(search).control, 64)
    assert band
    means = [iteration.mean_reward for iteration in statistics.iterations(search)]
    inside = [abs((mean or 0) - band.mean) <= band.margin for mean in means]
    assert sum(inside) >= 18
    assert random_band(None, 64) is None


def record(trial: int, accuracy: float | None) -> TrialRecord:
    return (
        made(noise, iterations=1)
        .records[0]
        .model_copy(update={"trial": trial, "accuracy": accuracy})
    )


def test_the_median_is_the_lower_of_two_and_the_earliest_of_equals() -> None:
    trials = [record(0, 0.9), record(1, 0.5), record(2, None), record(3, 0.5), record(4, 0.7)]
    median = median_trial(trials)
    assert median
    assert (median.trial, median.accuracy) == (1, 0.5)
    assert all(median_trial(mixed) == median for mixed in itertools.permutations(trials))
    assert median_trial([record(0, None)]) is None


STAGES = st.lists(st.integers(1, 20), min_size=1, max_size=40).map(
    lambda lengths: [
        Stage(1.0 if number == 0 else 1 / (number + 1), last - length + 1, last)
        for number, (length, last) in enumerate(
            zip(lengths, (end - 1 for end in itertools.accumulate(lengths)), strict=True)
        )
    ]
)


@given(STAGES)
def test_stages_are_taken_together_without_gaps_and_the_random_one_stays_apart(
    stages: Sequence[Stage],
) -> None:
    joined = periods(stages)
    assert len(joined) == min(len(stages), MOST)
    assert joined[0].first == 0
    assert joined[-1].last == stages[-1].last
    assert all(a.last + 1 == b.first for a, b in itertools.pairwise(joined))
    assert (joined[0].first, joined[0].last) == (stages[0].first, stages[0].last)
    assert {period.first for period in joined} <= {stage.first for stage in stages}


def test_every_stage_shows_its_median_block_with_its_facts() -> None:
    section = stages_section(made(unlearning))
    random, late = re.findall(r"<article.*?</article>", section)
    assert "<h3>ε 1</h3>" in random
    assert "iterations 0 to 9<" in random
    assert "640 trials, " in random
    assert "4 layers" not in random
    assert "3 layers, 2 convolutions, 1 add, 1M MACs" in random
    assert "1 layer, 0 convolutions, 1M MACs" in late
    assert "median accuracy 42.00%" in late
