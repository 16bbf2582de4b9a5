"""A whole search on the landscape of trained blocks, and the figures that the papers give of one.

Everything that decides what is proposed is what production uses: the strategy, the settings of the
preset, its space and its redefined reward. Only the training is looked up.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, NamedTuple

from benchmarks.table.space import make_space
from benchmarks.table.trained_blocks import TrainedBlocks
from blockqnn.block.nsc import Block
from blockqnn.settings.epsilon_schedule import EpsilonStage, scaled
from blockqnn.settings.presets import PRESETS
from blockqnn.settings.search import AgentSettings, RewardSettings, SpaceSettings
from blockqnn.space.protocol import Candidate
from blockqnn.strategies import STRATEGIES
from blockqnn.strategies.base import Feedback

TOP = 5
"""So many of the best blocks count (CVPR 2018, appendix A)."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The settings of a search that is run to its end."""

    space: SpaceSettings
    agent: AgentSettings
    reward: RewardSettings
    control: float | None = None
    """The reward of every block alike, for a control without information; None for real rewards."""

    @classmethod
    def of(
        cls,
        preset: str,
        *,
        space: dict[str, Any] | None = None,
        agent: dict[str, Any] | None = None,
        reward: dict[str, Any] | None = None,
        control: float | None = None,
        iterations: int | None = None,
    ) -> "Setup":
        """Return a preset's settings with changes, in the names of the BlockSearch resource."""
        values = PRESETS[preset]
        chosen = AgentSettings.model_validate({**values["agent"], **(agent or {})})
        if iterations is not None:
            stages = scaled(chosen.epsilon_schedule, iterations)
            chosen = chosen.model_copy(update={"epsilon_schedule": stages})
        return cls(
            SpaceSettings.model_validate({**values["space"], **(space or {})}),
            chosen,
            RewardSettings.model_validate({**values["reward"], **(reward or {})}),
            control,
        )


class Trial(NamedTuple):
    """One proposal of a search."""

    hash: str
    """The canonical hash of its block; equal for blocks that mean the same network."""
    block: Block
    worth: float
    """The accuracy without the noise of a training, in percent."""
    accuracy: float
    """The accuracy that the search measured, in percent."""
    reward: float
    """Reward that the agent learned from."""


@dataclass(frozen=True)
class Course:
    """Everything that a search tried, in order."""

    trials: Sequence[Trial]
    stages: Sequence[EpsilonStage]
    batch_size: int

    def by_stage(self) -> Iterator[tuple[EpsilonStage, Sequence[Trial]]]:
        """Yield each epsilon stage with its trials."""
        first = 0
        for stage in self.stages:
            last = first + stage.iterations * self.batch_size
            yield stage, self.trials[first:last]
            first = last

    def by_iteration(self) -> Iterator[Sequence[Trial]]:
        """Yield the trials of each iteration."""
        for first in range(0, len(self.trials), self.batch_size):
            yield self.trials[first : first + self.batch_size]

    @cached_property
    def stage_worths(self) -> list[float]:
        """The mean worth of each stage's proposals, duplicates counted as often as proposed."""
        return [fmean([trial.worth for trial in trials]) for _, trials in self.by_stage()]

    @cached_property
    def exploitation(self) -> Sequence[Trial]:
        """The trials after the random phase."""
        return self.trials[self.stages[0].iterations * self.batch_size :]

    @property
    def last_stage(self) -> Sequence[Trial]:
        """The trials of the last stage."""
        return self.trials[-self.stages[-1].iterations * self.batch_size :]

    def rises(self) -> int:
        """Count the stages whose mean worth is above that of the stage before."""
        means = self.stage_worths
        return sum(after > before for before, after in itertools.pairwise(means))

    def gap_closed(self, best: float) -> float:
        """Return the share of the way from the random phase to the best worth, 0 to 1.

        Args:
            best: the best worth that there is, in percent.
        """
        first, *_, last = self.stage_worths
        return (last - first) / (best - first)

    def distinct(self) -> float:
        """Return the share of different networks among the proposals of the last stage, 0 to 1."""
        return len({trial.hash for trial in self.last_stage}) / len(self.last_stage)

    def length(self) -> float:
        """Return the mean number of layers in the last stage, terminals included."""
        return fmean([len(trial.block) for trial in self.last_stage])


def best_by(trials: Sequence[Trial], field: str, count: int = TOP) -> list[Trial]:
    """Return the best different networks, the best first.

    Args:
        trials: where to look; of equal networks the first counts.
        field: by which field of :class:`Trial`.
        count: how many.
    """
    different: dict[str, Trial] = {}
    for trial in trials:
        different.setdefault(trial.hash, trial)
    return sorted(different.values(), key=lambda trial: getattr(trial, field), reverse=True)[:count]


def run(setup: Setup, landscape: TrainedBlocks, seed: int) -> Course:
    """Run a search to the end of its schedule.

    Args:
        setup: its settings.
        landscape: knows what a training of any block reaches.
        seed: of the search.
    """
    space = make_space(setup.space)
    strategy = STRATEGIES[setup.agent.algorithm](setup.agent, space, seed)
    trained: dict[Candidate, Trial] = {}
    trials: list[Trial] = []

    def train(candidate: Candidate) -> Trial:
        trial = trained.get(candidate)
        if trial is None:
            block, digest = space.decode(candidate), space.identity(candidate)
            accuracy = landscape.accuracy(block, digest, seed)
            reward = setup.control
            if reward is None:
                reward = landscape.production_reward(block, accuracy, setup.reward)
            worth = landscape.worth(block, digest)
            trial = trained[candidate] = Trial(digest, block, worth, accuracy, reward)
        return trial

    stages = setup.agent.epsilon_schedule
    for iteration in range(sum(stage.iterations for stage in stages)):
        candidates = strategy.propose(iteration)
        batch = [train(candidate) for candidate in candidates]
        trials += batch
        strategy.learn(
            iteration,
            [Feedback(c, trial.reward) for c, trial in zip(candidates, batch, strict=True)],
        )
    return Course(trials, stages, setup.agent.batch_size)
