"""Ridge regression in plain Python: the same to the last bit on every machine.

A library of linear algebra rounds differently with another processor or number of threads, and a
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
    """What a model expects of an observation."""

    value: float
    deviation: float
    """The standard deviation of the observation from it."""


class Projection(NamedTuple):
    """An observation as a fitted model sees it."""

    value: float
    """What is expected of it."""
    spread: float
    """The variance of what is expected, in units of the variance of the noise."""
    row: Row
    """Those of its features that the model knows."""
    novel: Row
    """The others: nothing is expected of them, and that is not sure at all."""
    shift: float
    """The product of its features with the centre."""
    seen: list[float]
    """It in terms of what was observed."""


class Ridge:
    """A linear model with a mean that is not penalised, fitted to all observations at once.

    With n observations of p features it solves n or p equations, whichever are fewer.

    Args:
        penalty: lambda, above 0: what a squared weight costs beside a squared error.
    """

    def __init__(self, penalty: float) -> None:
        self._penalty = penalty
        self._rows: list[Row] = []
        self._features = 0
        self._products: Triangle = []
        """The features' products, summed over the first `_summed` observations."""
        self._summed = 0
        self._inner: Triangle = []
        """The observations' products with each other, as far as they were needed."""
        self._owners: list[list[tuple[int, float]]] = []
        """The observations that have a feature, with its value, of the same observations."""
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
        """Take in the features of the next observation."""
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
        left = [target - self._mean for target in targets]
        columns: list[list[float]] = [[] for _ in range(self._features)]
        moments: list[list[float]] = [[] for _ in range(self._features)]
        for row, one in zip(self._rows, left, strict=True):
            for place, value in row.items():
                columns[place].append(value)
                moments[place].append(value * one)
        self._centre = [fsum(column) / count for column in columns]
        self._norm = fsum(map(mul, self._centre, self._centre))
        self._is_dual = count < self._features
        if self._is_dual:
            self._fit_observations(left)
        else:
            self._fit_features([fsum(one) for one in moments])
        self._offset = fsum(map(mul, self._weights, self._centre))
        errors = [one - self._fitted(row) for row, one in zip(self._rows, left, strict=True)]
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
            [value - count * one * other for value, other in zip(products, centre, strict=False)]
            for products, one in zip(self._products, centre, strict=True)
        ]
        self._lower = decompose(centred, self._penalty)
        self._weights = solve(self._lower, moments)

    def _fit_observations(self, left: Sequence[float]) -> None:
        self._owners += [[] for _ in range(self._features - len(self._owners))]
        for number in range(len(self._inner), len(self._rows)):
            for place, value in self._rows[number].items():
                self._owners[place].append((number, value))
            self._inner.append(self._products_with(self._rows[number], number + 1))
        self._shifts = [self._shift(row) for row in self._rows]
        centred = [
            [
                value - one - other + self._norm
                for value, other in zip(row, self._shifts, strict=False)
            ]
            for row, one in zip(self._inner, self._shifts, strict=True)
        ]
        self._lower = decompose(centred, self._penalty)
        shares = solve(self._lower, left)
        total = fsum(shares)
        self._weights = [
            fsum([shares[number] * value for number, value in owners]) - total * one
            for owners, one in zip(self._owners, self._centre, strict=True)
        ]

    def _products_with(self, row: Row, count: int) -> list[float]:
        """Return the products of some features with those of the first observations."""
        sums = [0.0] * count
        for place, value in row.items():
            for number, own in self._owners[place]:
                sums[number] += value * own
        return sums

    def _shift(self, row: Row) -> float:
        return fsum([self._centre[place] * value for place, value in row.items()])

    def _fitted(self, row: Row) -> float:
        weights = self._weights
        return fsum([weights[place] * value for place, value in row.items()]) - self._offset

    def _divide(self, row: Row) -> tuple[Row, Row]:
        """Tell the features that some observation may have had from all others."""
        count = len(self._centre)
        known = {place: value for place, value in row.items() if place < count}
        return known, {place: value for place, value in row.items() if place >= count}

    def predict(self, row: Row) -> float:
        """Return what the last fit expects of an observation.

        Raises:
            NotFitted: when there was no fit.
        """
        if not self._is_fitted:
            raise NotFitted("Nothing was learned yet; fit the model before it is asked.")
        return self._mean + self._fitted(self._divide(row)[0])

    def project(self, row: Row) -> Projection:
        """Return what the last fit expects of an observation, and how sure it is.

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
                    one - shift - other + self._norm
                    for one, other in zip(products, self._shifts, strict=True)
                ],
            )
            own = fsum([one * one for one in row.values()]) - 2 * shift + self._norm
            spread = max(own - fsum(map(mul, seen, seen)), 0.0) / self._penalty
        else:
            centred = [row.get(place, 0.0) - one for place, one in enumerate(self._centre)]
            seen = forward(self._lower, centred)
            spread = fsum(map(mul, seen, seen))
        spread += fsum([one * one for one in novel.values()]) / self._penalty
        return Projection(value, spread, row, novel, shift, seen)

    def covariance(self, one: Projection, other: Projection) -> float:
        """Return how what is expected of two observations errs together.

        In units of the variance of the noise; of an observation and itself it is the spread.
        """
        together = fsum(map(mul, one.seen, other.seen))
        novel = _product(one.novel, other.novel) / self._penalty
        if not self._is_dual:
            return together + novel
        inner = _product(one.row, other.row)
        return (inner - one.shift - other.shift + self._norm - together) / self._penalty + novel

    def deviation(self, row: Row) -> float:
        """Return the standard deviation of an observation from what is expected of it.

        That of the posterior, noise included, where weights have the prior that the penalty means,
        and the noise is what makes the targets likeliest.
        """
        return sqrt(self._variance * (1 + self.project(row).spread))


def _product(one: Row, other: Row) -> float:
    return fsum([value * other[place] for place, value in one.items() if place in other])
