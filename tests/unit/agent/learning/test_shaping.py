"""Rewards split over layers, ranks, and the draws of the replay memory."""

from collections import Counter
from math import fsum
from random import Random

import pytest
from agent_spaces import make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.learning.replay_memory import ReplayMemory
from blockqnn.learning.shaping import CountProducts, FixedShaping, LearnedShaping, shaped
from blockqnn.numerics.cholesky import Triangle, add_products, decompose, solve
from blockqnn.numerics.ranks import rank_rewards
from blockqnn.space.protocol import Candidate, Key, draw_candidate

SPACE = make_space(9)
seeds = st.lists(st.integers(0, 10_000), min_size=1, max_size=30)


def blocks(chosen: list[int]) -> list[Candidate]:
    return [draw_candidate(SPACE, Random(seed), "TypeFirst") for seed in chosen]


@settings(deadline=None)
@given(st.floats(-50, 100), st.integers(1, 23))
def test_what_each_fixed_shaping_sums_to(reward: float, length: int) -> None:
    assert sum(shaped(reward, length, "AAAI2017", 23)) == pytest.approx(length * reward)
    expected = reward + reward * (length - 1) / length
    assert sum(shaped(reward, length, "CVPR2018", 23)) == pytest.approx(expected)
    assert sum(shaped(reward, length, "CVPR2018MaxIndex", 23)) == pytest.approx(
        reward + reward * (length - 1) / 23
    )
    assert sum(shaped(reward, length, "MetaQNN", 23)) == pytest.approx(reward)
    assert sum(shaped(reward, length, "Uniform", 23)) == pytest.approx(reward)


def test_a_fixed_shaping_knows_only_the_length() -> None:
    shaping = FixedShaping("CVPR2018", 23)
    for candidate in ((1, 2), (1, 2, 3)):
        shaping.add(candidate)
    shaping.fit([60.0, 60.0])
    assert shaping.split(0, 60.0) == [30.0, 60.0]
    assert shaping.split(1, 60.0) == [20.0, 20.0, 60.0]


@settings(deadline=None)
@given(st.floats(1, 100), st.integers(1, 23), st.integers(1, 23), st.integers(0, 22))
def test_a_layer_earns_the_same_in_short_and_long_blocks_by_the_largest_index(
    reward: float, length: int, other: int, position: int
) -> None:
    """With T the length of the block, a layer of a short block would earn many times more."""
    shaped_rewards, two = (shaped(reward, n, "CVPR2018MaxIndex", 23) for n in (length, other))
    if position < min(length, other) - 1:
        assert shaped_rewards[position] == two[position] == reward / 23
    assert shaped_rewards[-1] == two[-1] == reward


@settings(deadline=None, max_examples=30)
@given(seeds, st.randoms(use_true_random=False))
def test_a_learned_shaping_adds_up_to_the_reward_at_any_length(
    chosen: list[int], random: Random
) -> None:
    shaping = LearnedShaping(SPACE)
    rewards = [random.random() for _ in chosen]
    for candidate in blocks(chosen):
        shaping.add(candidate)
    shaping.fit(rewards)
    for number, (candidate, reward) in enumerate(zip(blocks(chosen), rewards, strict=True)):
        shares = shaping.split(number, reward)
        assert len(shares) == len(candidate)
        assert sum(shares) == pytest.approx(reward, abs=1e-9)


class Coins:
    """A space of two parts, each 1 or 2 and 3 or 4; only what the shaping asks is there."""

    @staticmethod
    def features(prefix: Candidate, number: int) -> tuple[tuple[int, ...], ...]:
        return ((number,),)


def test_a_learned_shaping_solves_the_ridge() -> None:
    """All four candidates, reward 1 for each with part 1: by symmetry w1 = -w2 and w3 = w4 = 0.

    Centred rewards are +-1/2. Normal equations with a penalty of 1: for part 1, (2 + 1) w1 +
    w3 + w4 = 2 x 1/2, so w1 = 1/3.
    """
    shaping = LearnedShaping(Coins())  # type: ignore[arg-type]
    candidates = [(1, 3), (1, 4), (2, 3), (2, 4)]
    for candidate in candidates:
        shaping.add(candidate)
    shaping.fit([1.0, 1.0, 0.0, 0.0])
    # The fit explains 1/3 of the 1/2 above the mean; half of the rest goes to either part.
    assert shaping.split(0, 1.0) == pytest.approx([1 / 3 + 1 / 12, 1 / 12 + 1 / 2])
    assert shaping.split(3, 0.0) == pytest.approx([-1 / 3 - 1 / 12, -1 / 12 + 1 / 2])


@settings(deadline=None, max_examples=30)
@given(seeds, st.randoms(use_true_random=False))
def test_a_learned_shaping_adds_in_the_order_of_the_candidates(
    chosen: list[int], random: Random
) -> None:
    """To the last bit: a search that another version recovers goes on as it was."""
    shaping = LearnedShaping(SPACE)
    candidates, rewards = blocks(chosen), [random.random() for _ in chosen]
    for candidate in candidates:
        shaping.add(candidate)
    shaping.fit(rewards)
    mean = fsum(rewards) / len(rewards)
    places: dict[Key, int] = {}
    rows = []
    for candidate in candidates:
        decisions = [
            SPACE.features(candidate[:position], part) for position, part in enumerate(candidate)
        ]
        rows.append([[places.setdefault(key, len(places)) for key in keys] for keys in decisions])
    products: Triangle = []
    sums = [0.0] * len(places)
    for row, reward in zip(rows, rewards, strict=True):
        add_products(products, Counter([feature for features in row for feature in features]))
        for features in row:
            for feature in features:
                sums[feature] += reward - mean
    weights = solve(decompose(products, 1.0), sums)
    for number, (row, reward) in enumerate(zip(rows, rewards, strict=True)):
        earned = [fsum([weights[feature] for feature in features]) for features in row]
        share = (reward - mean - fsum(earned)) / len(row)
        expected = [value + share for value in earned]
        expected[-1] += mean
        assert shaping.split(number, reward) == expected


@given(
    st.lists(
        st.dictionaries(st.integers(0, 12), st.integers(1, 23), max_size=8), min_size=1, max_size=8
    )
)
def test_products_of_counts_are_those_of_any_features(rows: list[dict[int, int]]) -> None:
    counted, products = CountProducts(), [[0.0] * (index + 1) for index in range(13)]
    for row in rows:
        counted.add(row)
        add_products(products, row)
    triangle = counted.triangle()
    assert triangle == products[: len(triangle)]
    assert not any(value for row in products[len(triangle) :] for value in row)


def test_ranks_are_shares_and_equals_share() -> None:
    assert rank_rewards([3.0, 1.0, 2.0, 99.0]) == [5 / 8, 1 / 8, 3 / 8, 7 / 8]
    assert rank_rewards([5.0, 5.0, 7.0]) == [2 / 6, 2 / 6, 5 / 6]
    assert rank_rewards([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40))
def test_ranks_keep_the_order_and_mean_one_half(rewards: list[float]) -> None:
    ranks = rank_rewards(rewards)
    assert sum(ranks) / len(ranks) == pytest.approx(0.5)
    for reward, rank in zip(rewards, ranks, strict=True):
        below = sum(other < reward for other in rewards)
        equal = rewards.count(reward)
        assert rank == pytest.approx((below + equal / 2) / len(rewards))


def test_replay_draws_with_replacement_and_nothing_from_nothing() -> None:
    memory = ReplayMemory("Uniform")
    assert memory.draw(64, Random(0)) == []
    for number in range(10):
        memory.append(float(number))
    counts = Counter(memory.draw(10_000, Random(0)))
    assert set(counts) == set(range(10))
    assert all(count == pytest.approx(1000, rel=0.15) for count in counts.values())


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 9))
def test_what_replay_draws_by_rank_does_not_depend_on_earlier_draws(
    rewards: list[int], batch: int
) -> None:
    often = ReplayMemory("Rank")
    for number, reward in enumerate(rewards, start=1):
        often.append(float(reward))
        if number % batch == 0:
            often.draw(1, Random(0))
    once = ReplayMemory("Rank")
    for reward in rewards:
        once.append(float(reward))
    assert often.draw(64, Random(1)) == once.draw(64, Random(1))


def test_replay_by_rank_draws_better_trials_more_often() -> None:
    memory = ReplayMemory("Rank")
    assert memory.draw(64, Random(0)) == []
    for reward in (2.0, 9.0, 4.0):
        memory.append(reward)
    counts = Counter(memory.draw(20_000, Random(0)))
    weights = {1: 1 / 1.15, 2: 1 / 2.15, 0: 1 / 3.15}
    for number, weight in weights.items():
        expected = weight / sum(weights.values())
        assert counts[number] / 20_000 == pytest.approx(expected, rel=0.05)
