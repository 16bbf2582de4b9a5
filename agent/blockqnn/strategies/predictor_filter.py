"""Proposals that a predictor chooses from a larger number of candidates.

There are several times as many candidates as an iteration trains. Q-learning draws some, since its
values show which kinds of blocks are good. The others are small changes of the best blocks so far,
as in BANANAS (White et al. 2021): they refine a good block. The filter proposes the most promising
ones by the predictor's expectation and uncertainty, and optionally some at random.
"""

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from random import Random

from blockqnn.settings.search import PredictorSettings
from blockqnn.space.protocol import Candidate, SearchSpace, pick
from blockqnn.strategies.duplicates import SeenCandidates
from blockqnn.surrogate.predictor import Predictor
from blockqnn.surrogate.ridge import Prediction

_PARENTS = 10
"""Number of the best blocks so far that are changed: measured, 5 and 20 are no better."""

_FAILURES = 10
"""Number of duplicates in a row after which one more change is made."""


class PredictorFilter:
    """Chooses among drawn candidates by predictions learned from trained ones."""

    def __init__(self, settings: PredictorSettings, space: SearchSpace, seed: int) -> None:
        self._settings = settings
        self._seed = seed
        self._space = space
        self._predictor = Predictor(space)
        self._trained: list[Candidate] = []
        self._expected: dict[Candidate, Prediction] = {}

    @property
    def is_warm(self) -> bool:
        """True if enough candidates were trained for predictions."""
        return len(self._predictor) >= max(self._settings.warmup, 2)

    def add(self, candidate: Candidate) -> None:
        """Add the next trained candidate."""
        self._predictor.add(candidate)
        self._trained.append(candidate)

    def choose(
        self,
        iteration: int,
        rewards: Sequence[float],
        randoms: Sequence[Random],
        met: SeenCandidates,
        draw: Callable[[Random], Candidate],
    ) -> tuple[Candidate, ...]:
        """Return the candidates of an iteration, in the order in which they were drawn.

        Args:
            iteration: its number.
            rewards: the rewards of all candidates that were added.
            randoms: the sources of random choices, one for each candidate of the iteration.
            met: the candidates that must not be drawn again.
            draw: draws a new candidate by Q-learning.
        """
        self._predictor.fit(rewards)
        size = len(randoms)
        parents = self._best(rewards)
        drawn = [
            self._mutate(parents, random, met) if self._is_mutated(random) else draw(random)
            for random in islice(cycle(randoms), size * self._settings.candidates)
        ]
        random = Random(f"{self._seed}:filter:{iteration}")
        kept = self._kept_at_random(size, random)
        chosen = self._predictor.choose(drawn, size - kept, self._settings.optimism)
        unchosen = [number for number in range(len(drawn)) if number not in chosen]
        for _ in range(kept):
            chosen.append(unchosen.pop(pick(range(len(unchosen)), random)))
        proposed = tuple([drawn[number] for number in sorted(chosen)])
        self._expected = {candidate: self._predictor.explain(candidate) for candidate in proposed}
        return proposed

    def _best(self, rewards: Sequence[float]) -> list[Candidate]:
        """Return the best candidates so far, the latest of equals first."""
        order = sorted(range(len(rewards)), key=lambda number: (-rewards[number], -number))
        return [self._trained[number] for number in order[:_PARENTS]]

    def _is_mutated(self, random: Random) -> bool:
        # Without the share nothing is drawn, as before there was one.
        return self._settings.mutated > 0 and random.random() < self._settings.mutated

    def _mutate(
        self, parents: Sequence[Candidate], random: Random, met: SeenCandidates
    ) -> Candidate:
        def change(failures: int) -> Candidate:
            candidate = pick(parents, random)
            for _ in range(1 + failures // _FAILURES):
                candidate = self._space.mutate(candidate, random)
            return candidate

        return met.draw(change)

    def _kept_at_random(self, size: int, random: Random) -> int:
        """Return the number of candidates that are kept whatever their prediction.

        This is the wanted share, rounded to the nearest whole number; if that is 0, one by chance.
        """
        wanted = self._settings.keep_random * size
        return round(wanted) or int(random.random() < wanted)

    def expected(self, candidate: Candidate) -> Prediction | None:
        """Return the prediction for a candidate of the iteration that was chosen last."""
        return self._expected.get(candidate)
