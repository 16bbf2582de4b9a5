"""Regularized evolution: the baseline that a learning strategy must beat.

Real et al., Regularized Evolution for Image Classifier Architecture Search (2019), algorithm 1: of
the latest P candidates, S are drawn; the best of them is mutated; the child joins the population,
and the oldest leaves. Here all children of an iteration come from the population as of its start,
and a child that was seen before is drawn again, tournament included: of twelve variants measured on
NAS-Bench-201, avoiding duplicates mattered most.
"""

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import ClassVar

from blockqnn.settings.search import AgentSettings
from blockqnn.space.protocol import Candidate, SearchSpace, draw_candidate, pick
from blockqnn.strategies.base import Feedback, StrategySettings, trial_random
from blockqnn.strategies.duplicates import Draw, RandomPhase, SeenCandidates


class Evolution:
    """Breeds from the best of the latest candidates."""

    uses: ClassVar = frozenset(
        {"pipelining", "random_step", "duplicates", "evolution", "early_termination"}
    )
    Settings: ClassVar = StrategySettings

    def __init__(self, settings: AgentSettings, space: SearchSpace, seed: int) -> None:
        self._settings = settings
        self._space = space
        self._seed = seed
        self._size = settings.evolution.population_size
        self._population: deque[tuple[float, Candidate]] = deque(maxlen=self._size)
        self._met = SeenCandidates(space)
        self._phase = RandomPhase(settings, space, seed)

    def epsilon(self, iteration: int) -> float:
        """Return 1 while the first population is drawn at random, then 0."""
        return 1.0 if self._is_random(iteration) else 0.0

    def _is_random(self, iteration: int) -> bool:
        return (iteration + 1) * self._settings.batch_size <= self._size

    def proposable(self, iteration: int, learned: int) -> bool:
        """Return whether the iteration is bred from the current population, or from none."""
        return iteration == learned or self._is_random(iteration)

    def propose(self, iteration: int, in_flight: Sequence[Candidate] = ()) -> tuple[Candidate, ...]:
        """Return the candidates of an iteration."""
        if self._is_random(iteration):
            return self._phase.propose(iteration)
        met = SeenCandidates(self._space, self._met)
        met.add(in_flight)
        first = iteration * self._settings.batch_size
        return tuple(
            [self._breed(trial, met) for trial in range(first, first + self._settings.batch_size)]
        )

    def _breed(self, trial: int, met: SeenCandidates) -> Candidate:
        random = trial_random(self._seed, trial)
        if trial < self._size or not self._population:
            return self._draw(met, lambda _: self._stranger(random))
        return self._draw(met, lambda _: self._child(random))

    def _draw(self, met: SeenCandidates, draw: Draw) -> Candidate:
        return draw(0) if self._settings.duplicates == "Keep" else met.draw(draw)

    def _stranger(self, random: Random) -> Candidate:
        return draw_candidate(self._space, random, self._settings.random_step)

    def _child(self, random: Random) -> Candidate:
        """Mutate the best of a few members, drawn with replacement; the latest of equals."""
        members = len(self._population)
        drawn = [pick(range(members), random) for _ in range(self._settings.evolution.sample_size)]
        best = max(drawn, key=lambda member: (self._population[member][0], member))
        return self._space.mutate(self._population[best][1], random)

    def expected(self, candidate: Candidate) -> None:
        """Return None: nothing is predicted."""

    def learn(self, iteration: int, batch: Sequence[Feedback]) -> None:
        """Add the trials with a reward to the population, and remove the oldest."""
        for candidate, reward in batch:
            if reward is not None:
                self._population.append((reward, candidate))
                self._met.add([candidate])
