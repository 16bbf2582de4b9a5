"""Predicts the worth of blocks that were never trained.

The journal version of the papers predicts accuracies in place of most trainings, but does not
describe its predictor. Here it is a ridge regression of the ranks of the rewards on features of the
block (:mod:`blockqnn.space.features`): quick, with an uncertainty, and the same on every machine.
docs/benchmarks/search.md has the gain on NAS-Bench-201.
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

    A share, unlike a reward, has no outliers, and means the same on every dataset. It may be above
    1, better than everything, or below 0.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._ridge = Ridge(_PENALTY)
        self._places: dict[Key, int] = {}
        self._fitted = 0

    def __len__(self) -> int:
        return len(self._ridge)

    def add(self, candidate: Candidate) -> None:
        """Add the next trained candidate."""
        encoded = self._space.encoding(candidate)
        self._ridge.add(
            {self._places.setdefault(name, len(self._places)): v for name, v in encoded.items()}
        )

    def fit(self, rewards: Sequence[float]) -> None:
        """Learn from the rewards of all candidates, in their order, unless already done."""
        if self._fitted != len(rewards):
            self._ridge.fit(rank_rewards(rewards))
            self._fitted = len(rewards)

    def predict(self, candidate: Candidate) -> float:
        """Return the share of the trials at the last fit that a candidate should be better than."""
        return self._ridge.predict(*self._rows([candidate]))

    def explain(self, candidate: Candidate) -> Prediction:
        """Return the same with its standard deviation, which takes longer."""
        (row,) = self._rows([candidate])
        return Prediction(self._ridge.predict(row), self._ridge.deviation(row))

    def choose(self, candidates: Sequence[Candidate], count: int, optimism: float) -> list[int]:
        """Choose the most promising candidates, one after the other.

        Each choice is the candidate with the highest expectation plus `optimism` standard
        deviations of it (GP-UCB, Srinivas et al. 2010). From then on it counts as known, which
        leaves all expectations unchanged but makes similar candidates less uncertain, so that the
        candidates of an iteration differ (GP-BUCB, Desautels et al. 2014).

        Args:
            candidates: at least `count`.
            count: the number of candidates to choose.
            optimism: 0 chooses by expectation only.

        Returns:
            Their indices, the first choice first; the first of equals.
        """
        ridge = self._ridge
        projections = [ridge.project(row) for row in self._rows(candidates)]
        values = [candidate.value for candidate in projections]
        spreads = [candidate.spread for candidate in projections]
        scale = optimism * ridge.noise
        remaining = list(range(len(candidates)))
        chosen: list[int] = []
        lower: list[list[float]] = []
        while len(chosen) < count:
            best = max(
                remaining,
                key=lambda candidate: (
                    values[candidate] + scale * sqrt(max(spreads[candidate], 0.0))
                ),
            )
            remaining.remove(best)
            chosen.append(best)
            if not optimism:
                continue
            # One more row of a decomposition of Cholesky: the covariances, given what was chosen.
            own = [row[best] for row in lower]
            unit = sqrt(1 + max(spreads[best], 0.0))
            learned = [0.0] * len(candidates)
            for candidate in remaining:
                explained = fsum(
                    [row[candidate] * share for row, share in zip(lower, own, strict=True)]
                )
                learned[candidate] = (
                    ridge.covariance(projections[candidate], projections[best]) - explained
                ) / unit
                spreads[candidate] -= learned[candidate] ** 2
            lower.append(learned)
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
