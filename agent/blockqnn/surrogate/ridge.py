"""Ridge regression in plain Python: the same to the last bit on every machine.

A library of linear algebra rounds differently with another processor or number of threads, but a
search that is recovered elsewhere must propose the same blocks. `fsum` rounds once, in every
version of Python alike; `sum` does not.
"""

from collections.abc import Sequence
from math import fsum, sqrt
from operator import mul
from typing import NamedTuple

from blockqnn.errors import NotFitted
from blockqnn.numerics.cholesky import (
    Row,
    Triangle,
    add_products,
    decompose,
    enlarge,
    forward,
    solve,
)


class Prediction(NamedTuple):
    """Prediction of an observation by a model."""

    value: float
    deviation: float
    """The standard deviation of the observation from it."""


class Projection(NamedTuple):
    """An observation as a fitted model sees it."""

    value: float
    """The expected value."""
    spread: float
    """The variance of the expected value, in units of the variance of the noise."""
    row: Row
    """The features that the model knows."""
    novel: Row
    """The other features: they add nothing to the expected value, but to its variance."""
    shift: float
    """The product of the features with the centre."""
    seen: list[float]
    """The observation in terms of the decomposition of earlier ones."""


class Ridge:
    """A linear model with an unpenalised mean, fitted to all observations at once.

    With n observations of p features it solves n or p equations, whichever is fewer.

    Args:
        penalty: lambda, above 0: the weight of a squared weight relative to a squared error.
    """

    def __init__(self, penalty: float) -> None:
        self._penalty = penalty
        self._rows: list[Row] = []
        self._features = 0
        self._products: Triangle = []
        """The features' products, summed over the first `_summed` observations."""
        self._summed = 0
        self._inner: Triangle = []
        """The observations' products with each other, as far as needed so far."""
        self._owners: list[list[tuple[int, float]]] = []
        """The observations that have each feature, with its value, as far as needed so far."""
        self._lower: Triangle = []
        self._centre: list[float] = []
        self._shifts: list[float] = []
        """The products of the observations with the centre."""
        self._norm = 0.0
        """The product of the centre with itself."""
        self._mean = 0.0
        self._weights: list[float] = []
        self._offset = 0.0
        """The product of the weights with the centre."""
        self._variance = 0.0
        self._is_dual = False
        self._is_fitted = False

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def noise(self) -> float:
        """The standard deviation of observations from the model, as of the last fit."""
        return sqrt(self._variance)

    def add(self, row: Row) -> None:
        """Add the features of the next observation."""
        self._rows.append(row)
        self._features = max(self._features, 1 + max(row, default=-1))

    def fit(self, targets: Sequence[float]) -> None:
        """Learn from the targets of all observations, in their order.

        Raises:
            NotFitted: when there is no observation.
        """
        if not self._rows:
            raise NotFitted("There is no observation to learn from; add one before the fit.")
        count = len(self._rows)
        self._mean = fsum(targets) / count
        centred_targets = [target - self._mean for target in targets]
        columns: list[list[float]] = [[] for _ in range(self._features)]
        moments: list[list[float]] = [[] for _ in range(self._features)]
        for row, entry in zip(self._rows, centred_targets, strict=True):
            for feature, value in row.items():
                columns[feature].append(value)
                moments[feature].append(value * entry)
        self._centre = [fsum(column) / count for column in columns]
        self._norm = fsum(map(mul, self._centre, self._centre))
        self._is_dual = count < self._features
        if self._is_dual:
            self._fit_observations(centred_targets)
        else:
            self._fit_features([fsum(entry) for entry in moments])
        self._offset = fsum(map(mul, self._weights, self._centre))
        errors = [
            entry - self._fitted(row)
            for row, entry in zip(self._rows, centred_targets, strict=True)
        ]
        cost = fsum(map(mul, errors, errors))
        cost += self._penalty * fsum(map(mul, self._weights, self._weights))
        self._variance = cost / count
        self._is_fitted = True

    def _fit_features(self, moments: Sequence[float]) -> None:
        for row in self._rows[self._summed :]:
            add_products(self._products, row)
        self._summed = count = len(self._rows)
        enlarge(self._products, self._features)
        centre = self._centre
        centred = [
            [value - count * mean * other for value, other in zip(products, centre, strict=False)]
            for products, mean in zip(self._products, centre, strict=True)
        ]
        self._lower = decompose(centred, self._penalty)
        self._weights = solve(self._lower, moments)

    def _fit_observations(self, centred_targets: Sequence[float]) -> None:
        self._owners += [[] for _ in range(self._features - len(self._owners))]
        for number in range(len(self._inner), len(self._rows)):
            for feature, value in self._rows[number].items():
                self._owners[feature].append((number, value))
            self._inner.append(self._products_with(self._rows[number], number + 1))
        self._shifts = [self._shift(row) for row in self._rows]
        centred = [
            [
                value - own - other + self._norm
                for value, other in zip(row, self._shifts, strict=False)
            ]
            for row, own in zip(self._inner, self._shifts, strict=True)
        ]
        self._lower = decompose(centred, self._penalty)
        shares = solve(self._lower, centred_targets)
        total = fsum(shares)
        self._weights = [
            fsum([shares[number] * value for number, value in owners]) - total * own
            for owners, own in zip(self._owners, self._centre, strict=True)
        ]

    def _products_with(self, row: Row, count: int) -> list[float]:
        """Return the products of some features with those of the first observations."""
        sums = [0.0] * count
        for feature, value in row.items():
            for number, own in self._owners[feature]:
                sums[number] += value * own
        return sums

    def _shift(self, row: Row) -> float:
        return fsum([self._centre[feature] * value for feature, value in row.items()])

    def _fitted(self, row: Row) -> float:
        weights = self._weights
        return fsum([weights[feature] * value for feature, value in row.items()]) - self._offset

    def _divide(self, row: Row) -> tuple[Row, Row]:
        """Split features into those that earlier observations may have and all others."""
        count = len(self._centre)
        familiar = {feature: value for feature, value in row.items() if feature < count}
        return familiar, {feature: value for feature, value in row.items() if feature >= count}

    def predict(self, row: Row) -> float:
        """Return the value of an observation that the last fit expects.

        Raises:
            NotFitted: when there was no fit.
        """
        if not self._is_fitted:
            raise NotFitted("Nothing was learned yet; fit the model before it is asked.")
        return self._mean + self._fitted(self._divide(row)[0])

    def project(self, row: Row) -> Projection:
        """Return the value that the last fit expects of an observation, with its variance.

        Raises:
            NotFitted: when there was no fit.
        """
        value, (row, novel) = self.predict(row), self._divide(row)
        shift = self._shift(row)
        if self._is_dual:
            products = self._products_with(row, len(self._inner))
            seen = forward(
                self._lower,
                [
                    entry - shift - other + self._norm
                    for entry, other in zip(products, self._shifts, strict=True)
                ],
            )
            own = fsum([entry * entry for entry in row.values()]) - 2 * shift + self._norm
            spread = max(own - fsum(map(mul, seen, seen)), 0.0) / self._penalty
        else:
            centred = [row.get(feature, 0.0) - entry for feature, entry in enumerate(self._centre)]
            seen = forward(self._lower, centred)
            spread = fsum(map(mul, seen, seen))
        spread += fsum([entry * entry for entry in novel.values()]) / self._penalty
        return Projection(value, spread, row, novel, shift, seen)

    def covariance(self, first: Projection, second: Projection) -> float:
        """Return the covariance of the expected values of two observations.

        In units of the variance of the noise; for twice the same observation it is the spread.
        """
        together = fsum(map(mul, first.seen, second.seen))
        novel = _product(first.novel, second.novel) / self._penalty
        if not self._is_dual:
            return together + novel
        inner = _product(first.row, second.row)
        return (inner - first.shift - second.shift + self._norm - together) / self._penalty + novel

    def deviation(self, row: Row) -> float:
        """Return the standard deviation of an observation from its expected value.

        It is that of the posterior, noise included, where the penalty defines the prior of the
        weights, and the noise maximises the likelihood of the targets.
        """
        return sqrt(self._variance * (1 + self.project(row).spread))


def _product(first: Row, second: Row) -> float:
    return fsum([value * second[feature] for feature, value in first.items() if feature in second])
