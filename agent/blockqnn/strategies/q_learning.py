"""Epsilon-greedy Q-learning with experience replay: the strategy of the papers."""

from collections.abc import Sequence
from random import Random
from typing import ClassVar, Protocol

from blockqnn.learning.back_off import BackOffTable
from blockqnn.learning.q_table import QTable
from blockqnn.learning.replay_memory import ReplayMemory
from blockqnn.learning.shaping import FixedShaping, LearnedShaping
from blockqnn.numerics.ranks import rank_rewards
from blockqnn.settings.epsilon_schedule import epsilon_at
from blockqnn.settings.search import AgentSettings
from blockqnn.space.protocol import Candidate, Prefix, SearchSpace, draw_part
from blockqnn.strategies.base import Feedback, StrategySettings, replay_random, trial_random
from blockqnn.strategies.duplicates import RandomPhase, SeenCandidates
from blockqnn.strategies.predictor_filter import PredictorFilter
from blockqnn.surrogate.ridge import Prediction

_FAILURES = 10
_MORE_RANDOM = 0.1
"""Rise of epsilon for the candidate that is drawn, after each 10 duplicates in a row."""


class ValueTable(Protocol):
    """The learned values; candidates are referred to by number, in the order added."""

    def add(self, candidate: Candidate) -> None:
        """Add the next candidate."""
        ...

    def update(self, number: int, rewards: Sequence[float]) -> None:
        """Learn from a candidate, given the reward of each of its parts."""
        ...

    def best(self, prefix: Prefix, random: Random) -> int:
        """Choose the next part by value."""
        ...


class RewardShaping(Protocol):
    """Splits rewards over parts; candidates are referred to by number, in the order added."""

    def add(self, candidate: Candidate) -> None:
        """Add the next candidate."""
        ...

    def fit(self, rewards: Sequence[float]) -> None:
        """Learn the split from the rewards of all candidates."""
        ...

    def split(self, number: int, reward: float) -> list[float]:
        """Return the reward of each part of a candidate."""
        ...


class QLearning:
    """CVPR 2018, sections 3.2 and 4.2; and a variant for small budgets, by the settings.

    All candidates of an iteration are proposed from the same values. When all are trained, they
    enter the replay memory, and a sample of the memory updates the values. The new ones are not
    learned from in any other way, as in MetaQNN.
    """

    uses: ClassVar = frozenset(
        {
            "pipelining",
            "random_step",
            "learning_rate",
            "discount",
            "duplicates",
            "state",
            "shaping",
            "reward_scale",
            "initialization",
            "initial_value",
            "epsilon_schedule",
            "replay",
            "early_termination",
            "predictor",
        }
    )
    Settings: ClassVar = StrategySettings

    def __init__(self, settings: AgentSettings, space: SearchSpace, seed: int) -> None:
        self.space = space
        self.table = _make_table(settings, space)
        self.memory = ReplayMemory(settings.replay.weighting)
        self._shaping: RewardShaping = (
            LearnedShaping(space)
            if settings.shaping == "Learned"
            else FixedShaping(settings.shaping, space.longest)
        )
        self._settings = settings
        self._seed = seed
        self._met = SeenCandidates(space)
        self._phase = RandomPhase(settings, space, seed)
        self._filter = (
            PredictorFilter(settings.predictor, space, seed) if settings.predictor else None
        )

    def epsilon(self, iteration: int) -> float:
        """Return epsilon by the schedule."""
        return epsilon_at(self._settings.epsilon_schedule, iteration)

    def _is_random(self, iteration: int) -> bool:
        """Return whether neither this iteration nor any before it depends on values."""
        end = 0
        for stage in self._settings.epsilon_schedule:
            if stage.epsilon < 1:
                return iteration < end
            end += stage.iterations
        return True

    def proposable(self, iteration: int, learned: int) -> bool:
        """Return whether the iteration is proposed from the current values, or from none."""
        return iteration == learned or self._is_random(iteration)

    def propose(self, iteration: int, in_flight: Sequence[Candidate] = ()) -> tuple[Candidate, ...]:
        """Return the candidates of an iteration."""
        if self._is_random(iteration):
            return self._phase.propose(iteration)
        epsilon = self.epsilon(iteration)
        met = SeenCandidates(self.space, self._met)
        if self._settings.duplicates == "Redraw":
            met.add(in_flight)
        size = self._settings.batch_size
        randoms = [trial_random(self._seed, iteration * size + offset) for offset in range(size)]
        if self._filter is None or not self._filter.is_warm:
            return tuple([self._propose_one(epsilon, random, met) for random in randoms])
        return self._filter.choose(
            iteration,
            self.memory.rewards,
            randoms,
            met,
            lambda random: self._propose_one(epsilon, random, met),
        )

    def expected(self, candidate: Candidate) -> Prediction | None:
        """Return the prediction for a candidate of the last iteration that was filtered."""
        return self._filter.expected(candidate) if self._filter else None

    def _propose_one(self, epsilon: float, random: Random, met: SeenCandidates) -> Candidate:
        if self._settings.duplicates == "Keep":
            return self._draw(epsilon, random)
        return met.draw(
            lambda failures: self._draw(epsilon + failures // _FAILURES * _MORE_RANDOM, random)
        )

    def _draw(self, epsilon: float, random: Random) -> Candidate:
        step = self._settings.random_step
        numbers: list[int] = []
        while not self.space.is_complete(numbers):
            if random.random() < epsilon:
                number = draw_part(self.space.choices(numbers), random, step)
            else:
                number = self.table.best(numbers, random)
            numbers.append(number)
        return tuple(numbers)

    def learn(self, iteration: int, batch: Sequence[Feedback]) -> None:
        """Store the trials that have a reward, and replay."""
        for candidate, reward in batch:
            if reward is None:
                continue
            self.memory.append(reward)
            self.table.add(candidate)
            self._shaping.add(candidate)
            if self._filter is not None:
                self._filter.add(candidate)
            if self._settings.duplicates == "Redraw":
                self._met.add([candidate])
        if len(self.memory):
            self._replay(replay_random(self._seed, iteration))

    def _replay(self, random: Random) -> None:
        replay, rewards = self._settings.replay, self.memory.rewards
        if self._settings.reward_scale == "Rank":
            rewards = rank_rewards(rewards)
        self._shaping.fit(rewards)
        sample = self.memory.draw(replay.sample_size, random)
        shares = {number: self._shaping.split(number, rewards[number]) for number in set(sample)}
        for update in range(replay.updates):
            number = sample[update % len(sample)]
            self.table.update(number, shares[number])


def _make_table(settings: AgentSettings, space: SearchSpace) -> ValueTable:
    if settings.state == "BackOff":
        return BackOffTable(
            space, settings.learning_rate, settings.discount, settings.initial_value
        )
    return QTable(
        space,
        settings.learning_rate,
        settings.discount,
        None if settings.initialization == "FirstTarget" else settings.initial_value,
        settings.random_step,
    )
