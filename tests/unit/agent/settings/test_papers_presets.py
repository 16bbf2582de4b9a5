"""The papers' presets, with their own numbers and their whole budget, on rewards that are known."""

from collections import Counter
from collections.abc import Callable, Iterator
from statistics import fmean
from typing import NamedTuple

import pytest

from blockqnn.block.nsc import Block, LayerType
from blockqnn.settings.epsilon_schedule import EpsilonStage
from blockqnn.settings.presets import PRESETS
from blockqnn.settings.search import AgentSettings, SpaceSettings
from blockqnn.space.block_space import Space
from blockqnn.space.protocol import Candidate
from blockqnn.strategies.base import Feedback
from blockqnn.strategies.registry import create_strategy

PAPERS = ("AAAI2017", "CVPR2018")

Reward = Callable[[Block], float]


class Stage(NamedTuple):
    """An epsilon stage of a search with what it proposed."""

    epsilon: float
    proposals: list[Candidate]
    mean: float


def search(preset: str, reward: Reward, seed: int) -> list[Stage]:
    """Run a preset as it is written to the end of its schedule."""
    agent = AgentSettings.model_validate(PRESETS[preset]["agent"])
    space = Space(SpaceSettings.model_validate(PRESETS[preset]["space"]))
    strategy = create_strategy(agent, space, seed)
    rewards: dict[Candidate, float] = {}
    batches: list[tuple[Candidate, ...]] = []
    for iteration in range(sum(stage.iterations for stage in agent.epsilon_schedule)):
        batch = strategy.propose(iteration)
        for candidate in batch:
            if candidate not in rewards:
                rewards[candidate] = reward(space.decode(candidate))
        strategy.learn(iteration, [Feedback(candidate, rewards[candidate]) for candidate in batch])
        batches.append(batch)
    return [
        Stage(
            stage.epsilon,
            [candidate for batch in part for candidate in batch],
            fmean([rewards[candidate] for batch in part for candidate in batch]),
        )
        for stage, part in by_stage(agent.epsilon_schedule, batches)
    ]


def by_stage(
    stages: tuple[EpsilonStage, ...], batches: list[tuple[Candidate, ...]]
) -> Iterator[tuple[EpsilonStage, list[tuple[Candidate, ...]]]]:
    first = 0
    for stage in stages:
        yield stage, batches[first : first + stage.iterations]
        first += stage.iterations


def convolutions(block: Block) -> float:
    """The more convolutions the better, three at most: 40 to 55."""
    count = sum(layer.type is LayerType.CONVOLUTION for layer in block.layers)
    return 40.0 + 5.0 * min(count, 3)


def few_layers(block: Block) -> float:
    """Short blocks with a convolution are best, against what the papers' shaping favours."""
    count = sum(layer.type is LayerType.CONVOLUTION for layer in block.layers)
    return 40.0 + 10.0 * min(count, 1) - 0.2 * len(block)


@pytest.mark.parametrize("preset", PAPERS)
def test_a_papers_preset_learns_where_convolutions_are_worth_something(preset: str) -> None:
    first, *_, last = search(preset, convolutions, 0)
    assert (first.epsilon, last.epsilon) == (1.0, 0.1)
    assert last.mean - first.mean > 0.6 * (55.0 - first.mean)


@pytest.mark.parametrize("preset", PAPERS)
def test_a_papers_preset_never_falls_below_the_random_phase(preset: str) -> None:
    first, *others = search(preset, few_layers, 1)
    assert all(stage.mean > first.mean for stage in others[2:])


@pytest.mark.parametrize("preset", PAPERS)
def test_with_equal_rewards_a_papers_preset_prefers_no_block_beyond_chance(preset: str) -> None:
    """A frequent choice must not look better for being frequent."""
    first, *_, last = search(preset, lambda block: 50.0, 0)
    by_chance = Counter(first.proposals)
    for candidate, count in Counter(last.proposals).items():
        share = by_chance[candidate] / len(first.proposals)
        assert count <= 0.02 * len(last.proposals) + share * len(last.proposals)
