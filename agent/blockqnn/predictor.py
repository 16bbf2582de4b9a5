"""Expects what a block that was never trained is worth.

The journal version of the papers predicts accuracies in place of most trainings; it leaves open
what the predictor is. Here it is a ridge regression of the ranks of the rewards on features of the
block (:mod:`blockqnn.encoding`): quick, with an uncertainty, and the same on every machine. What it
gains on NAS-Bench-201 is in docs/benchmarks.md.
"""

from collections.abc import Mapping, Sequence

from blockqnn.replay import rank_rewards
from blockqnn.ridge import Prediction, Ridge
from blockqnn.search_space import Candidate, Key, SearchSpace

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
        return self._ridge.predict(self._known(candidate))

    def explain(self, candidate: Candidate) -> Prediction:
        """Return the same together with its standard deviation, which takes longer."""
        row = self._known(candidate)
        return Prediction(self._ridge.predict(row), self._ridge.deviation(row))

    def _known(self, candidate: Candidate) -> Mapping[int, float]:
        # What no trained candidate has says nothing of this one.
        places = self._places
        encoded = self._space.encoding(candidate)
        return {places[name]: value for name, value in encoded.items() if name in places}
