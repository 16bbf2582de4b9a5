"""Epsilon-greedy Q-learning with experience replay: the strategy of the papers."""

from collections.abc import Sequence
from random import Random

from blockqnn.nsc import Block
from blockqnn.qlearning import QTable
from blockqnn.replay import Episode, ReplayMemory
from blockqnn.schedule import epsilon_at
from blockqnn.settings import SearchSettings
from blockqnn.space import START, Space
from blockqnn.strategies.base import Experience, replay_random, trial_random


class QLearning:
    """CVPR 2018, sections 3.2 and 4.2.

    All blocks of an iteration are proposed from the same values. When all are trained, they enter
    the replay memory, from which a sample updates the values; the new blocks are not learned from
    otherwise, as in MetaQNN.
    """

    def __init__(self, settings: SearchSettings, seed: int) -> None:
        agent = settings.agent
        self.space = Space(settings.space)
        self.table = QTable(self.space, agent)
        self.memory = ReplayMemory()
        self._settings = agent
        self._seed = seed

    def epsilon(self, iteration: int) -> float:
        """Return epsilon by the schedule."""
        return epsilon_at(self._settings.epsilon_schedule, iteration)

    def proposable(self, iteration: int, learned: int) -> bool:
        """Whether the values are those that the iteration is proposed from, or do not matter."""
        return iteration == learned or self.epsilon(iteration) >= 1

    def propose(self, iteration: int) -> tuple[Block, ...]:
        """Return the blocks of an iteration."""
        epsilon = self.epsilon(iteration)
        first = iteration * self._settings.batch_size
        return tuple(
            self._propose_block(epsilon, trial_random(self._seed, trial))
            for trial in range(first, first + self._settings.batch_size)
        )

    def _propose_block(self, epsilon: float, random: Random) -> Block:
        step = self._settings.random_step
        if epsilon >= 1:
            return self.space.random_block(random, step)
        numbers: list[int] = []
        state = START
        while not self.space.is_terminal(state):
            index = len(numbers) + 1
            if random.random() < epsilon:
                state = self.space.draw(self.space.choices(index), random, step)
            else:
                state = self.table.best(state, index, random, step)
            numbers.append(state)
        return self.space.decode(numbers)

    def learn(self, iteration: int, batch: Sequence[Experience]) -> None:
        """Remember the trials that have a reward, and replay.

        Raises:
            InvalidBlock: when a block does not belong to the space of this search; then nothing
                has been learned.
        """
        episodes = [
            Episode(layers, experience.reward)
            for experience, layers in [(one, self.space.encode(one.block)) for one in batch]
            if experience.reward is not None
        ]
        for episode in episodes:
            self.memory.append(episode)
        self._replay(replay_random(self._seed, iteration))

    def _replay(self, random: Random) -> None:
        replay = self._settings.replay
        sample = self.memory.sample(replay.sample_size, random)
        if not sample:
            return
        for number in range(replay.updates):
            self.table.update(sample[number % len(sample)])
