"""The strategies declare the fields that have an effect with them, neither more nor fewer."""

from collections.abc import Iterator
from typing import Any

import pytest
from agent_spaces import space_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.search import Experience, Proposal, Search, SearchSettings
from blockqnn.settings.presets import PRESETS
from blockqnn.settings.search import AgentSettings
from blockqnn.strategies.registry import ALWAYS_USED, BUILT_IN, CHOOSABLE

VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "Evolution": ({}, {"duplicates": "Redraw"}),
    "RandomSearch": ({}, {"duplicates": "Redraw"}),
    "QLearning": (
        {},
        {"initialization": "Constant"},
        {
            "duplicates": "Redraw",
            "state": "BackOff",
            "initialization": "Constant",
            "shaping": "Learned",
            "rewardScale": "Rank",
            "predictor": {"candidates": 3, "warmup": 6},
        },
    ),
}
"""Agents that together read every field that their algorithm uses."""

READ_BY_THE_SEARCH = {"pipelining", "early_termination"}
"""Fields that the search itself reads; they have an effect where proposals depend on results."""

OTHER_VALUES: dict[str, tuple[Any, ...]] = {
    "pipelining": (1, 2),
    "randomStep": ("Flat",),
    "learningRate": (0.1, 0.9),
    "discount": (0.1, 0.5),
    "duplicates": ("Redraw",),
    "state": ("BackOff",),
    "shaping": ("MetaQNN", "AAAI2017", "Learned"),
    "rewardScale": ("Rank",),
    "initialization": ("FirstTarget",),
    "initialValue": (50.0, 1000.0),
    "epsilonSchedule": ([{"epsilon": 0.3, "iterations": 6}],),
    "replay": ({"sampleSize": 2, "updates": 8, "weighting": "Rank"},),
    "evolution": ({"populationSize": 4, "sampleSize": 1},),
    "earlyTermination": ({"warmup": 10, "epochs": [1], "deviations": 0.5, "share": 0.5},),
    "predictor": ({"candidates": 4, "warmup": 4},),
}
"""Values of each field besides those of `settings_of`."""

ITERATIONS = 6


def settings_of(algorithm: str, **agent: Any) -> SearchSettings:
    preset = PRESETS["CVPR2018"]
    chosen = {
        "algorithm": algorithm,
        "batchSize": 4,
        "learningRate": 0.3,
        "initialization": "Constant",
        "replay": {"sampleSize": 32, "updates": 32, "weighting": "Uniform"},
        "evolution": {"populationSize": 8, "sampleSize": 3},
        "epsilonSchedule": [
            {"epsilon": 1.0, "iterations": 2},
            {"epsilon": 0.2, "iterations": ITERATIONS - 2},
        ],
    }
    return SearchSettings.model_validate(
        {
            "space": space_settings(6),
            "agent": {**preset["agent"], **chosen, **agent},
            "reward": preset["reward"],
            "network": preset["network"],
        }
    )


def course(settings: SearchSettings, seed: int) -> Iterator[tuple[Proposal, ...]]:
    """All that a search proposes, with rewards and curves that depend on the block alone."""
    search = Search(settings, seed)
    for iteration in range(ITERATIONS):
        proposals = search.proposals(iteration)
        yield proposals
        batch = []
        for proposal in proposals:
            reward = int(proposal.hash[:6], 16) / 2**18
            curve = (reward / 200, reward / 128, reward / 100)
            batch.append(Experience(proposal.trial, proposal.block, reward, curve))
        search.learn(batch)


class Recorded(AgentSettings):
    """Settings that note which fields are read."""

    def __getattribute__(self, name: str) -> Any:
        if name in CHOOSABLE:
            READ.add(name)
        return super().__getattribute__(name)


READ: set[str] = set()


@pytest.mark.parametrize("algorithm", sorted(BUILT_IN))
def test_a_strategy_reads_exactly_the_fields_that_it_declares(algorithm: str) -> None:
    READ.clear()
    for variant in VARIANTS[algorithm]:
        plain = settings_of(algorithm, **variant)
        search = Search(plain, 1)
        recorded = Recorded.model_validate(plain.agent.model_dump())
        strategy = BUILT_IN[algorithm](recorded, search._space, 1)
        search._strategy = strategy
        for iteration in range(ITERATIONS):
            batch = [
                Experience(p.trial, p.block, int(p.hash[:6], 16) / 2**18)
                for p in search.proposals(iteration)
            ]
            search.learn(batch)
    assert BUILT_IN[algorithm].uses - READ_BY_THE_SEARCH == READ


@given(st.data(), st.sampled_from(sorted(BUILT_IN)), st.integers(0, 9))
@settings(max_examples=60)
def test_a_field_that_is_not_declared_changes_nothing(
    data: st.DataObject, algorithm: str, seed: int
) -> None:
    aliases = {AgentSettings.model_fields[name].alias or name: name for name in CHOOSABLE}
    unused = [alias for alias in sorted(aliases) if aliases[alias] not in BUILT_IN[algorithm].uses]
    # The search refuses a predictor where nothing draws blocks for it.
    field = data.draw(st.sampled_from([name for name in unused if name != "predictor"]))
    value = data.draw(st.sampled_from(OTHER_VALUES[field]))
    plain, changed = settings_of(algorithm), settings_of(algorithm, **{field: value})
    assert plain != changed
    assert list(course(changed, seed)) == list(course(plain, seed))


@pytest.mark.parametrize(
    ("algorithm", "field"),
    [
        (algorithm, AgentSettings.model_fields[name].alias or name)
        for algorithm in sorted(BUILT_IN)
        for name in sorted(BUILT_IN[algorithm].uses)
    ],
)
def test_a_field_that_is_declared_changes_something(algorithm: str, field: str) -> None:
    more: dict[str, Any] = {"duplicates": "Redraw"} if field == "predictor" else {}
    for value in OTHER_VALUES[field]:
        changed = settings_of(algorithm, **more, **{field: value})
        for seed in range(10):
            if list(course(changed, seed)) != list(course(settings_of(algorithm, **more), seed)):
                return
    pytest.fail(f"{field} has no effect with {algorithm}")


def test_fields_that_every_strategy_uses_are_not_declared() -> None:
    for strategy in BUILT_IN.values():
        assert not strategy.uses & ALWAYS_USED
        assert strategy.uses <= CHOOSABLE
