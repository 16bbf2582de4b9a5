"""The values against a slow reference that is written as the papers' equations are."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from agent_spaces import make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.nsc import Block
from blockqnn.learning.q_table import QTable
from blockqnn.learning.shaping import Shaping, shaped
from blockqnn.settings.presets import PRESETS
from blockqnn.settings.search import AgentSettings
from blockqnn.space.protocol import START, RandomStep, draw_candidate

SPACE = make_space(6)
SHAPINGS: list[Shaping] = ["AAAI2017", "CVPR2018", "CVPR2018MaxIndex", "MetaQNN", "Uniform"]
shapings = st.sampled_from(SHAPINGS)
CONSTANT: dict[str, Any] = {"initialization": "Constant", "shaping": "CVPR2018"}
"""Settings of the examples."""


def agent(**changes: Any) -> AgentSettings:
    return AgentSettings.model_validate({**PRESETS["CVPR2018"]["agent"], **CONSTANT, **changes})


def make_table(agent: AgentSettings, step: RandomStep = "Flat") -> QTable:
    first = None if agent.initialization == "FirstTarget" else agent.initial_value
    return QTable(SPACE, agent.learning_rate, agent.discount, first, step)


def learn(table: QTable, block: str | Block, reward: float, shaping: Shaping = "CVPR2018") -> None:
    """Learn from a block once."""
    block = Block.parse(block) if isinstance(block, str) else block
    table.add(SPACE.encode(block))
    table.update(len(table._candidates) - 1, shaped(reward, len(block), shaping, SPACE.max_layers))


class Reference:
    """The papers' update on the whole table: every value of every legal layer is there."""

    def __init__(self, agent: AgentSettings) -> None:
        self.agent = agent
        self.q: dict[tuple[str, str], float] = {}
        for index in range(1, SPACE.max_layers + 1):
            states = self.names(index - 1) if index > 1 else ["start"]
            for state in states:
                for action in self.names(index):
                    self.q[state, action] = agent.initial_value

    @staticmethod
    def names(index: int) -> list[str]:
        return [str(SPACE.layer(number)) for number in SPACE.choices((1,) * (index - 1)).numbers]

    def reward(self, t: int, length: int, reward: float) -> float:
        """The reward of the layer at index t of a block of that length."""
        last = t == length
        return {
            "AAAI2017": reward,
            "CVPR2018": reward if last else reward / length,
            "CVPR2018MaxIndex": reward if last else reward / SPACE.max_layers,
            "MetaQNN": reward if last else 0.0,
            "Uniform": reward / length,
        }[self.agent.shaping]

    def update(self, block: Block, reward: float) -> None:
        alpha, gamma = self.agent.learning_rate, self.agent.discount
        names = ["start", *map(str, block.layers)]
        length = len(block)
        for t in range(length, 0, -1):
            state, action = names[t - 1], names[t]
            target = self.reward(t, length, reward)
            if t < length:
                target += gamma * max(self.q[action, after] for after in self.names(t + 1))
            self.q[state, action] = (1 - alpha) * self.q[state, action] + alpha * target


experiences = st.lists(st.tuples(st.integers(0, 30), st.floats(-50, 100)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(
    experiences,
    shapings,
    st.floats(0.001, 1),
    st.floats(0, 1),
    st.sampled_from([0.0, 50.0, -20.0]),
)
def test_values_equal_the_reference(
    experiences: list[tuple[int, float]],
    shaping: Shaping,
    rate: float,
    discount: float,
    initial: float,
) -> None:
    chosen = agent(shaping=shaping, learningRate=rate, discount=discount, initialValue=initial)
    table, reference = make_table(chosen), Reference(chosen)
    for seed, reward in experiences:
        block = SPACE.decode(draw_candidate(SPACE, Random(seed), "TypeFirst"))
        learn(table, block, reward, shaping)
        reference.update(block, reward)
    for (state, action), expected in reference.q.items():
        assert value(table, state, action, initial) == pytest.approx(expected, rel=1e-12)


NUMBERS = {
    str(SPACE.layer(number)): number for number in range(1, SPACE.choices((1,) * 5).numbers[-1] + 1)
}


def value(table: QTable, state: str, action: str, initial: float) -> float:
    row = table.rows.get(NUMBERS.get(state, START), {})
    return row.get(NUMBERS[action], initial)


def test_the_worked_example() -> None:
    """A chain of one convolution with reward 60: see the docstring of blockqnn.learning.q_table."""
    table = make_table(agent())
    learn(table, "(1,1,3,0,0)(2,7,0,0,0)", 60.0)
    assert value(table, "(1,1,3,0,0)", "(2,7,0,0,0)", 0) == pytest.approx(0.6)
    assert value(table, "start", "(1,1,3,0,0)", 0) == pytest.approx(0.306)
    learn(table, "(1,1,3,0,0)(2,7,0,0,0)", 60.0)
    assert value(table, "(1,1,3,0,0)", "(2,7,0,0,0)", 0) == pytest.approx(1.194)
    assert value(table, "start", "(1,1,3,0,0)", 0) == pytest.approx(0.61488)


def drawn(table: QTable) -> Counter[int]:
    """Choice of the first layer."""
    return Counter(table.best((), Random(seed)) for seed in range(2000))


def test_the_best_is_chosen_and_nothing_else() -> None:
    table = make_table(agent())
    for code, reward in (("(1,1,3,0,0)(2,7,0,0,0)", 60.0), ("(1,2,3,0,0)(2,7,0,0,0)", 70.0)):
        learn(table, code, reward)
    assert set(drawn(table)) == {NUMBERS["(1,2,3,0,0)"]}


@pytest.mark.parametrize("step", ["Flat", "TypeFirst"])
def test_what_was_never_tried_is_drawn_at_random(step: RandomStep) -> None:
    assert set(drawn(make_table(agent(), step))) == set(SPACE.choices(()).numbers)


def test_untried_layers_beat_those_below_the_initial_value() -> None:
    table = make_table(agent())
    learn(table, "(1,1,3,0,0)(2,7,0,0,0)", -5.0)
    others = set(SPACE.choices(()).numbers) - {NUMBERS["(1,1,3,0,0)"]}
    assert set(drawn(table)) == others


def test_untried_layers_tie_with_those_at_the_initial_value() -> None:
    table = make_table(agent())
    learn(table, "(1,1,3,0,0)(2,7,0,0,0)", 0.0)
    assert set(drawn(table)) == set(SPACE.choices(()).numbers)


@pytest.mark.parametrize(("step", "share"), [("Flat", 2 / 3), ("TypeFirst", 1 / 2)])
def test_equals_are_drawn_as_random_layers_are(step: RandomStep, share: float) -> None:
    table = make_table(agent(), step)
    for layer in ("(1,1,1,0,0)", "(1,1,3,0,0)", "(1,4,0,0,0)"):
        learn(table, f"{layer}(2,7,0,0,0)", 60.0)
    counts = drawn(table)
    assert set(counts) == {NUMBERS[code] for code in ("(1,1,1,0,0)", "(1,1,3,0,0)", "(1,4,0,0,0)")}
    assert 1 - counts[NUMBERS["(1,4,0,0,0)"]] / 2000 == pytest.approx(share, rel=0.06)


@settings(max_examples=60, deadline=None)
@given(experiences, shapings, st.floats(0.001, 1), st.floats(0, 1))
def test_values_that_begin_at_their_first_target_equal_a_reference(
    experiences: list[tuple[int, float]], shaping: Shaping, rate: float, discount: float
) -> None:
    chosen = agent(
        initialization="FirstTarget", shaping=shaping, learningRate=rate, discount=discount
    )
    table, reference = make_table(chosen), Reference(chosen)
    tried: dict[tuple[str, str], float] = {}
    for seed, reward in experiences:
        block = SPACE.decode(draw_candidate(SPACE, Random(seed), "TypeFirst"))
        learn(table, block, reward, shaping)
        names = ["start", *map(str, block.layers)]
        for t in range(len(block), 0, -1):
            state, action = names[t - 1], names[t]
            target = reference.reward(t, len(block), reward)
            if t < len(block):
                target += discount * max(v for (s, _), v in tried.items() if s == action)
            before = tried.get((state, action))
            moved = target if before is None else (1 - rate) * before + rate * target
            tried[state, action] = moved
    stored = {
        (NAMES[state], NAMES[action]): value
        for state, row in table.rows.items()
        for action, value in row.items()
    }
    assert stored.keys() == tried.keys()
    for key, expected in tried.items():
        assert stored[key] == pytest.approx(expected, rel=1e-12)


NAMES = {START: "start"} | {number: name for name, number in NUMBERS.items()}


@given(st.floats(-50, 100), st.floats(0.001, 1), st.integers(1, 50))
def test_equal_rewards_give_equal_values_however_often_a_block_is_learned(
    reward: float, rate: float, times: int
) -> None:
    """Values say what a block is worth, not how often it was learned from."""
    table = make_table(agent(initialization="FirstTarget", shaping="MetaQNN", learningRate=rate))
    for _ in range(times):
        learn(table, "(1,1,3,0,0)(2,7,0,0,0)", reward, "MetaQNN")
    learn(table, "(1,2,3,0,0)(2,7,0,0,0)", reward, "MetaQNN")
    first, second = table.rows[START].values()
    assert first == pytest.approx(second, rel=1e-12, abs=1e-12)


def test_with_first_targets_only_what_was_tried_is_chosen_by_value() -> None:
    table = make_table(agent(initialization="FirstTarget"))
    assert set(drawn(table)) == set(SPACE.choices(()).numbers)
    learn(table, "(1,1,3,0,0)(2,7,0,0,0)", -40.0)
    assert set(drawn(table)) == {NUMBERS["(1,1,3,0,0)"]}
