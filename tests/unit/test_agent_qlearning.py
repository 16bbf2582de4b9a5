"""The values against a slow reference that is written as the papers' equations are."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.nsc import Block
from blockqnn.presets import PRESETS
from blockqnn.qlearning import QTable, Shaping, shaped
from blockqnn.replay import Episode, ReplayMemory
from blockqnn.settings import AgentSettings, SpaceSettings
from blockqnn.space import START, Space

SPACE = Space(SpaceSettings(max_layers=6))
shapings = st.sampled_from(["AAAI2017", "CVPR2018", "MetaQNN", "Uniform"])


def agent(**changes: Any) -> AgentSettings:
    return AgentSettings.model_validate({**PRESETS["CVPR2018"]["agent"], **changes})


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
        return [str(SPACE.layer(number)) for number in SPACE.choices(index).numbers]

    def reward(self, t: int, length: int, reward: float) -> float:
        """The reward of the layer at index t of a block of that length."""
        last = t == length
        return {
            "AAAI2017": reward,
            "CVPR2018": reward if last else reward / length,
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
    table, reference = QTable(SPACE, chosen), Reference(chosen)
    for seed, reward in experiences:
        block = SPACE.random_block(Random(seed), "TypeFirst")
        table.update(Episode(SPACE.encode(block), reward))
        reference.update(block, reward)
    for (state, action), expected in reference.q.items():
        assert value(table, state, action, initial) == pytest.approx(expected, rel=1e-12)


NUMBERS = {
    str(SPACE.layer(number)): number for number in range(1, SPACE.choices(6).numbers[-1] + 1)
}


def value(table: QTable, state: str, action: str, initial: float) -> float:
    row = table.rows.get(NUMBERS.get(state, START), {})
    return row.get(NUMBERS[action], initial)


def test_the_worked_example() -> None:
    """A chain of one convolution with reward 60: see the docstring of blockqnn.qlearning."""
    table = QTable(SPACE, agent())
    block = Block.parse("(1,1,3,0,0)(2,7,0,0,0)")
    table.update(Episode(SPACE.encode(block), 60.0))
    assert value(table, "(1,1,3,0,0)", "(2,7,0,0,0)", 0) == pytest.approx(0.6)
    assert value(table, "start", "(1,1,3,0,0)", 0) == pytest.approx(0.306)
    table.update(Episode(SPACE.encode(block), 60.0))
    assert value(table, "(1,1,3,0,0)", "(2,7,0,0,0)", 0) == pytest.approx(1.194)
    assert value(table, "start", "(1,1,3,0,0)", 0) == pytest.approx(0.61488)


@settings(deadline=None)
@given(st.floats(-50, 100), st.integers(1, 23))
def test_what_each_shaping_sums_to(reward: float, length: int) -> None:
    sums = {
        shaping: before * (length - 1) + last
        for shaping in ("AAAI2017", "CVPR2018", "MetaQNN", "Uniform")
        for before, last in [shaped(reward, length, shaping)]
    }
    assert sums["AAAI2017"] == pytest.approx(length * reward)
    assert sums["CVPR2018"] == pytest.approx(reward + reward * (length - 1) / length)
    assert sums["MetaQNN"] == pytest.approx(reward)
    assert sums["Uniform"] == pytest.approx(reward)


def drawn(table: QTable, state: int, index: int, step: Any = "Flat") -> Counter[int]:
    return Counter(table.best(state, index, Random(seed), step) for seed in range(2000))


def test_the_best_is_chosen_and_nothing_else() -> None:
    table = QTable(SPACE, agent())
    for code, reward in (("(1,1,3,0,0)(2,7,0,0,0)", 60.0), ("(1,2,3,0,0)(2,7,0,0,0)", 70.0)):
        table.update(Episode(SPACE.encode(Block.parse(code)), reward))
    assert set(drawn(table, START, 1)) == {NUMBERS["(1,2,3,0,0)"]}


@pytest.mark.parametrize("step", ["Flat", "TypeFirst"])
def test_what_was_never_tried_is_drawn_at_random(step: str) -> None:
    assert set(drawn(QTable(SPACE, agent()), START, 1, step)) == set(SPACE.choices(1).numbers)


def test_untried_layers_beat_those_below_the_initial_value() -> None:
    table = QTable(SPACE, agent())
    table.update(Episode(SPACE.encode(Block.parse("(1,1,3,0,0)(2,7,0,0,0)")), -5.0))
    others = set(SPACE.choices(1).numbers) - {NUMBERS["(1,1,3,0,0)"]}
    assert set(drawn(table, START, 1)) == others


def test_untried_layers_tie_with_those_at_the_initial_value() -> None:
    table = QTable(SPACE, agent())
    table.update(Episode(SPACE.encode(Block.parse("(1,1,3,0,0)(2,7,0,0,0)")), 0.0))
    assert set(drawn(table, START, 1)) == set(SPACE.choices(1).numbers)


@pytest.mark.parametrize(("step", "share"), [("Flat", 2 / 3), ("TypeFirst", 1 / 2)])
def test_equals_are_drawn_as_random_layers_are(step: str, share: float) -> None:
    table = QTable(SPACE, agent())
    for layer in ("(1,1,1,0,0)", "(1,1,3,0,0)", "(1,4,0,0,0)"):
        table.update(Episode(SPACE.encode(Block.parse(f"{layer}(2,7,0,0,0)")), 60.0))
    counts = drawn(table, START, 1, step)
    assert set(counts) == {NUMBERS[one] for one in ("(1,1,1,0,0)", "(1,1,3,0,0)", "(1,4,0,0,0)")}
    assert 1 - counts[NUMBERS["(1,4,0,0,0)"]] / 2000 == pytest.approx(share, rel=0.06)


def test_replay_draws_with_replacement_and_nothing_from_nothing() -> None:
    memory = ReplayMemory()
    assert memory.sample(64, Random(0)) == []
    for number in range(10):
        memory.append(Episode((number,), float(number)))
    counts = Counter(episode.layers[0] for episode in memory.sample(10_000, Random(0)))
    assert set(counts) == set(range(10))
    assert all(count == pytest.approx(1000, rel=0.15) for count in counts.values())
