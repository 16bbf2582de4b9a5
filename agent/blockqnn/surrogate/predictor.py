"""Expects what a block that was never trained is worth.

The journal version of the papers predicts accuracies in place of most trainings; it leaves open
what the predictor is. Here it is a ridge regression of the ranks of the rewards on features of the
block (:mod:`blockqnn.space.features`): quick, with an uncertainty, and the same on every machine.
What it gains on NAS-Bench-201 is in docs/benchmarks.md.
"""

from collections.abc import Sequence
from math import fsum, sqrt

from blockqnn.numerics.cholesky import Row
from blockqnn.numerics.ranks import rank_rewards
from blockqnn.space.protocol import Candidate, Key, SearchSpace
from blockqnn.surrogate.ridge import Prediction, Ridge

_PENALTY = 1.0
"""Lambda of the ridge, for features of about unit size."""


class Predictor:
    """Predicts the share of the trials so far that a candidate is better than.

    A share rather than a reward: it has no outliers, and means the same on every dataset. It may
    come out above 1, better than everything, or below 0.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._ridge = Ridge(_PENALTY)
        self._places: dict[Key, int] = {}
        self._fitted = 0

    def __len__(self) -> int:
        return len(self._ridge)

    def add(self, candidate: Candidate) -> None:
        """Take in the next candidate that was trained."""
        encoded = self._space.encoding(candidate)
        self._ridge.add(
            {self._places.setdefault(name, len(self._places)): v for name, v in encoded.items()}
        )

    def fit(self, rewards: Sequence[float]) -> None:
        """Learn from the rewards of all candidates, in their order, unless that was done."""
        if self._fitted != len(rewards):
            self._ridge.fit(rank_rewards(rewards))
            self._fitted = len(rewards)

    def predict(self, candidate: Candidate) -> float:
        """Return the share of the trials at the last fit that a candidate should be better than."""
        return self._ridge.predict(*self._rows([candidate]))

    def explain(self, candidate: Candidate) -> Prediction:
        """Return the same together with its standard deviation, which takes longer."""
        (row,) = self._rows([candidate])
        return Prediction(self._ridge.predict(row), self._ridge.deviation(row))

    def choose(self, candidates: Sequence[Candidate], count: int, optimism: float) -> list[int]:
        """Choose the candidates that may be best, one after the other.

        Each time it is the one with the highest expectation plus `optimism` standard deviations of
        it (GP-UCB, Srinivas et al. 2010). What is chosen counts as known from then on, which leaves
        all expectations as they are but makes what is alike less uncertain, so that the candidates
        of an iteration differ (GP-BUCB, Desautels et al. 2014).

        Args:
            candidates: at least `count`.
            count: how many are chosen.
            optimism: 0 chooses by expectation alone.

        Returns:
            Their places, the first choice first; the first of equals.
        """
        ridge = self._ridge
        found = [ridge.project(row) for row in self._rows(candidates)]
        values = [one.value for one in found]
        spreads = [one.spread for one in found]
        scale = optimism * ridge.noise
        left = list(range(len(candidates)))
        chosen: list[int] = []
        known: list[list[float]] = []
        while len(chosen) < count:
            best = max(left, key=lambda one: values[one] + scale * sqrt(max(spreads[one], 0.0)))
            left.remove(best)
            chosen.append(best)
            if not optimism:
                continue
            # One more row of a decomposition of Cholesky: the covariances, given what was chosen.
            own = [row[best] for row in known]
            unit = sqrt(1 + max(spreads[best], 0.0))
            learned = [0.0] * len(candidates)
            for one in left:
                told = fsum([row[one] * share for row, share in zip(known, own, strict=True)])
                learned[one] = (ridge.covariance(found[one], found[best]) - told) / unit
                spreads[one] -= learned[one] ** 2
            known.append(learned)
        return chosen

    def _rows(self, candidates: Sequence[Candidate]) -> list[Row]:
        # Features that no trained candidate has are named for the moment only: what is asked must
        # leave no trace, or a recovered search would go on differently.
        places = dict(self._places)
        return [
            {
                places.setdefault(name, len(places)): value
                for name, value in self._space.encoding(candidate).items()
            }
            for candidate in candidates
        ]
