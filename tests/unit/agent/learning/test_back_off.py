"""Backed-off values against a slow reference that is written as the docstrings say."""

from random import Random

import pytest
from agent_spaces import make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.nsc import Block
from blockqnn.learning.back_off import BackOffTable, Offer
from blockqnn.space.protocol import Candidate, Key, draw_candidate

SPACE = make_space(6)


class Reference:
    """Every value by its name, every estimate computed anew."""

    def __init__(self, rate: float, discount: float, initial: float) -> None:
        self.rate, self.discount, self.initial = rate, discount, initial
        self.q: dict[Key, float] = {}
        self.met: dict[Key, int] = {}

    def value_keys(self, candidate: Candidate, position: int) -> tuple[Key, Key]:
        prefix = candidate[:position]
        return SPACE.value_keys(
            SPACE.state(prefix), SPACE.abstract_action(prefix, candidate[position])
        )

    def add(self, candidate: Candidate) -> None:
        for position in range(len(candidate)):
            fine = self.value_keys(candidate, position)[1]
            self.met[fine] = self.met.get(fine, 0) + 1

    def estimate(self, keys: tuple[Key, Key]) -> float:
        coarse, fine = (self.q.get(name, self.initial) for name in keys)
        times = self.met.get(keys[1], 0)
        weight = times / (times + 3)
        return (1 - weight) * coarse + weight * fine

    def highest(self, prefix: Candidate) -> float:
        state = SPACE.state(prefix)
        return max(
            self.estimate(SPACE.value_keys(state, abstract_action))
            for abstract_action in SPACE.abstract_actions(state)
        )

    def update(self, candidate: Candidate, rewards: list[float]) -> None:
        for position in range(len(candidate) - 1, -1, -1):
            target = rewards[position]
            if position + 1 < len(candidate):
                target += self.discount * self.highest(candidate[: position + 1])
            for name in self.value_keys(candidate, position):
                value = self.q.get(name, self.initial)
                self.q[name] = (1 - self.rate) * value + self.rate * target


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=12),
    st.floats(0.01, 1),
    st.floats(0, 1),
    st.sampled_from([0.0, 1.0]),
)
def test_values_equal_the_reference(
    seeds: list[int], rate: float, discount: float, initial: float
) -> None:
    table = BackOffTable(SPACE, rate, discount, initial)
    reference = Reference(rate, discount, initial)
    for number, seed in enumerate(seeds):
        candidate = draw_candidate(SPACE, Random(seed), "TypeFirst")
        rewards = [Random(f"{seed}:{position}").random() for position in range(len(candidate))]
        table.add(candidate)
        reference.add(candidate)
        table.update(number, rewards)
        reference.update(candidate, rewards)
    for name, value in reference.q.items():
        assert table.values.get(name, initial) == pytest.approx(value, rel=1e-9, abs=1e-12)


class Plain(BackOffTable):
    """Looks at each action for the highest estimate."""

    def _highest(self, offer: Offer) -> float:
        return max(self._estimates(offer.actions))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.floats(-2, 2)), max_size=60),
    st.floats(0.01, 1),
    st.floats(-1, 1),
)
def test_no_action_that_is_passed_over_has_the_highest_estimate(
    seeds: list[int], updates: list[tuple[int, float]], rate: float, initial: float
) -> None:
    """To the last bit: a search that another version recovers goes on as it was."""
    table, plain = BackOffTable(SPACE, rate, 1.0, initial), Plain(SPACE, rate, 1.0, initial)
    candidates = [draw_candidate(SPACE, Random(seed), "TypeFirst") for seed in seeds]
    for candidate in candidates:
        table.add(candidate)
        plain.add(candidate)
    for number, reward in updates:
        index = number % len(candidates)
        rewards = [reward] * len(candidates[index])
        table.update(index, rewards)
        plain.update(index, rewards)
    assert table.values == plain.values


def test_the_best_action_is_chosen_whatever_its_predecessors() -> None:
    table = BackOffTable(SPACE, 1.0, 1.0, 0.0)
    good = SPACE.encode(Block.parse("(1,1,5,0,0)(2,7,0,0,0)"))[0]
    end = SPACE.choices((good,)).numbers[-1]
    table.add((good, end))
    table.update(0, [1.0, 1.0])
    assert {table.best((), Random(seed)) for seed in range(50)} == {good}
    assert {table.best((good,), Random(seed)) for seed in range(50)} == {end}
