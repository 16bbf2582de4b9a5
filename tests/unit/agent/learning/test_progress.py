"""Verdicts on learning: made-up histories, and what holds for all of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.learning.progress import FEWEST, WANTED, Result, Verdict, first_tried, judge

RANDOM_PHASE, BATCH = 30, 64


def epsilon(iteration: int) -> float:
    """1 in the random phase, then 0.5, and 0.1 from iteration 40 on."""
    return 1.0 if iteration < RANDOM_PHASE else 0.5 if iteration < 40 else 0.1


def history(
    reward: Callable[[int, Random], tuple[str, float]], iterations: int = 52, seed: int = 0
) -> list[Result]:
    """Proposals in batches; ``reward`` draws the network and the reward of one."""
    random = Random(seed)
    return [
        Result(number // BATCH, *reward(number // BATCH, random))
        for number in range(iterations * BATCH)
    ]


def test_a_search_whose_new_networks_get_better_learns() -> None:
    def better(iteration: int, random: Random) -> tuple[str, float]:
        level = 56 if iteration < RANDOM_PHASE else 62 if iteration < 40 else 65
        return str(random.random()), random.gauss(level, 6)

    learned = judge(history(better), epsilon)
    assert learned.verdict is Verdict.LEARNS
    assert (learned.first, learned.last) == (40, 51)
    assert learned.difference == pytest.approx(9, abs=0.6)
    assert learned.control
    assert learned.control.size == RANDOM_PHASE * BATCH
    assert learned.control.error == pytest.approx(6 / (RANDOM_PHASE * BATCH) ** 0.5, rel=0.5)


def unlearning(iteration: int, random: Random) -> tuple[str, float]:
    """Draw as a search does that ends with one empty block in 78 % of its proposals."""
    if iteration >= 40 and random.random() < 600 / 768:
        return "empty", 42.0
    if iteration < RANDOM_PHASE and random.random() < 0.2:
        return "empty", 42.0
    return str(random.random()), random.gauss(48, 6)


def test_a_search_that_falls_back_on_one_empty_block_does_not_learn() -> None:
    learned = judge(history(unlearning), epsilon)
    assert learned.verdict is Verdict.UNLEARNS
    assert learned.difference == pytest.approx(-3.7, abs=0.7)
    assert learned.late
    assert learned.late.size == 768
    assert learned.late.most == pytest.approx(600, abs=40)
    assert learned.late.networks == 768 - learned.late.most + 1


def test_a_search_that_repeats_the_luckiest_networks_has_not_been_shown_to_learn() -> None:
    lucky: list[float] = []

    def repeat(iteration: int, random: Random) -> tuple[str, float]:
        if iteration >= RANDOM_PHASE and random.random() < 0.8:
            best = max(lucky)
            return f"network {best}", best
        drawn = random.gauss(50, 5)
        if iteration < RANDOM_PHASE:
            lucky.append(drawn)
        return f"network {drawn}", drawn

    learned = judge(history(repeat), epsilon)
    assert learned.difference > 10
    assert learned.verdict is Verdict.REPEATS


def test_where_all_rewards_are_equal_there_is_nothing_to_learn() -> None:
    equal = history(lambda _iteration, random: (str(random.random()), 50.0))
    assert judge(equal, epsilon).verdict is Verdict.EQUAL


def test_one_network_that_is_all_a_search_proposes_is_no_proof_of_learning() -> None:
    def settle(iteration: int, random: Random) -> tuple[str, float]:
        if iteration >= RANDOM_PHASE:
            return "favourite", 58.0
        return str(random.random()), random.gauss(50, 5)

    learned = judge(history(settle), epsilon)
    assert learned.verdict is Verdict.REPEATS
    assert learned.new
    assert learned.new.size == 1


@pytest.mark.parametrize(
    ("iterations", "verdict"),
    [(0, Verdict.STILL_RANDOM), (RANDOM_PHASE, Verdict.STILL_RANDOM), (31, Verdict.OPEN)],
)
def test_little_is_said_of_a_search_that_has_just_begun(iterations: int, verdict: Verdict) -> None:
    noise = history(lambda _iteration, random: (str(random.random()), random.gauss(50, 5)))
    learned = judge([r for r in noise if r.iteration < iterations], epsilon)
    assert learned.verdict is verdict
    assert (learned.late is None) == (verdict is Verdict.STILL_RANDOM)


def test_a_search_without_random_trials_has_nothing_to_be_held_against() -> None:
    noise = history(lambda _iteration, random: (str(random.random()), random.gauss(50, 5)))
    learned = judge([r for r in noise if r.iteration >= RANDOM_PHASE], epsilon)
    assert learned.verdict is Verdict.NO_CONTROL
    assert learned.late


def test_few_rewards_on_one_side_are_too_few() -> None:
    noise = history(lambda _iteration, random: (str(random.random()), random.gauss(50, 5)))
    start = RANDOM_PHASE * BATCH
    assert judge(noise[: start + FEWEST - 1], epsilon).verdict is Verdict.TOO_FEW
    assert judge(noise[start - FEWEST + 1 : start + 100], epsilon).verdict is Verdict.TOO_FEW
    assert judge(noise[start - FEWEST : start + FEWEST], epsilon).verdict is not Verdict.TOO_FEW


def test_a_stage_that_has_just_begun_is_taken_together_with_the_iteration_before() -> None:
    noise = history(lambda _iteration, random: (str(random.random()), random.gauss(50, 5)))
    begun = judge(noise[: 40 * BATCH + 3], epsilon)
    assert (begun.first, begun.last) == (39, 40)
    complete = judge(noise[: 40 * BATCH + WANTED], epsilon)
    assert (complete.first, complete.last) == (40, 40)


def test_a_network_counts_where_it_was_tried_first() -> None:
    results = [Result(0, "a", 1.0), Result(0, "a", 3.0), Result(0, "b", 5.0), Result(1, "a", 9.0)]
    assert first_tried(results) == [Result(0, "a", 2.0), Result(0, "b", 5.0)]


REWARDS = st.floats(-50, 100, allow_nan=False)
HISTORIES = st.lists(
    st.tuples(st.integers(25, 45), st.integers(0, 30), REWARDS), min_size=1, max_size=150
).map(
    lambda drawn: [
        Result(iteration, str(network), reward) for iteration, network, reward in sorted(drawn)
    ]
)


def shuffled(results: Sequence[Result], random: Random) -> list[Result]:
    mixed: list[Result] = []
    for _, group in groupby(results, lambda result: result.iteration):
        batch = list(group)
        random.shuffle(batch)
        mixed += batch
    return mixed


@given(HISTORIES, st.randoms(use_true_random=False))
def test_the_order_within_an_iteration_changes_nothing(
    results: list[Result], random: Random
) -> None:
    assert judge(shuffled(results, random), epsilon) == judge(results, epsilon)


@given(HISTORIES)
def test_no_search_learns_whose_latest_mean_is_not_above_the_random_one(
    results: list[Result],
) -> None:
    learned = judge(results, epsilon)
    if learned.verdict in (Verdict.LEARNS, Verdict.REPEATS):
        assert learned.difference > 0
    if learned.verdict is Verdict.UNLEARNS:
        assert learned.difference < 0


@given(HISTORIES)
def test_names_of_networks_and_a_shift_of_all_rewards_change_no_verdict(
    results: list[Result],
) -> None:
    rounded = [replace(result, reward=float(round(result.reward))) for result in results]
    moved = [
        replace(result, network=f"another {result.network}", reward=result.reward + 16)
        for result in rounded
    ]
    assert judge(moved, epsilon).verdict is judge(rounded, epsilon).verdict


@given(HISTORIES)
def test_a_fall_is_what_a_rise_of_the_opposite_rewards_is(
    results: list[Result],
) -> None:
    turned = [replace(result, reward=-result.reward) for result in results]
    before, after = judge(results, epsilon).verdict, judge(turned, epsilon).verdict
    rises = {Verdict.LEARNS, Verdict.REPEATS}
    assert (before is Verdict.UNLEARNS) == (after in rises)
    assert (before in rises) == (after is Verdict.UNLEARNS)


@settings(max_examples=5)
@given(st.integers(0, 2**32))
def test_pure_noise_is_seldom_taken_for_learning(start: int) -> None:
    """Also where the agent prefers the luckiest networks, and where some rewards are the floor."""
    wrong = 0
    for seed in range(start, start + 40):
        random = Random(seed)
        rewards: list[float] = []
        results = []
        for iteration in range(20, 44):
            lucky = sorted(rewards)[-10:]
            for _ in range(10):
                if iteration >= RANDOM_PHASE and random.random() < 0.7:
                    reward = lucky[int(random.random() * len(lucky))]
                else:
                    reward = random.gauss(50, 5) if random.random() < 0.9 else random.random()
                    rewards.append(reward)
                results.append(Result(iteration, str(reward), reward))
        wrong += judge(results, epsilon).verdict is Verdict.LEARNS
    assert wrong <= 5
