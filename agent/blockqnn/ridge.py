"""Ridge regression in plain Python: the same to the last bit on every machine.

A library of linear algebra rounds differently with another processor or number of threads, and a
search that is recovered elsewhere must propose the same blocks. `fsum` rounds once, in every
version of Python alike; `sum` does not.
"""

from collections.abc import Mapping, Sequence
from math import fsum, sqrt
from operator import mul
from typing import NamedTuple

from blockqnn.errors import NotFitted

Row = Mapping[int, float]
"""The features of one observation that are not zero, by their places."""

Triangle = list[list[float]]
"""The lower triangle of a symmetric matrix, or a triangular matrix, row by row."""


class Prediction(NamedTuple):
    """What a model expects of an observation."""

    value: float
    deviation: float
    """The standard deviation of the observation from it."""


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
        self._lower: Triangle = []
        self._centre: list[float] = []
        self._mean = 0.0
        self._weights: list[float] = []
        self._variance = 0.0
        self._is_dual = False
        self._is_fitted = False

    def __len__(self) -> int:
        return len(self._rows)

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
        self._is_dual = count < self._features
        if self._is_dual:
            self._fit_observations(left)
        else:
            self._fit_features([fsum(one) for one in moments])
        errors = [one - self._fitted(row) for row, one in zip(self._rows, left, strict=True)]
        cost = fsum(map(mul, errors, errors))
        cost += self._penalty * fsum(map(mul, self._weights, self._weights))
        self._variance = cost / count
        self._is_fitted = True

    def _fit_features(self, moments: Sequence[float]) -> None:
        for row in self._rows[self._summed :]:
            add_products(self._products, row)
        self._summed = count = len(self._rows)
        _enlarge(self._products, self._features)
        centre = self._centre
        centred = [
            [value - count * one * other for value, other in zip(products, centre, strict=False)]
            for products, one in zip(self._products, centre, strict=True)
        ]
        self._lower = decompose(centred, self._penalty)
        self._weights = solve(self._lower, moments)

    def _fit_observations(self, left: Sequence[float]) -> None:
        rows = [self._centred(row) for row in self._rows]
        products = [
            [fsum(map(mul, row, other)) for other in rows[: number + 1]]
            for number, row in enumerate(rows)
        ]
        self._lower = decompose(products, self._penalty)
        shares = solve(self._lower, left)
        self._weights = [fsum(map(mul, shares, column)) for column in zip(*rows, strict=True)]

    def _centred(self, row: Row) -> list[float]:
        return [row.get(place, 0.0) - one for place, one in enumerate(self._centre)]

    def _fitted(self, row: Row) -> float:
        return fsum(map(mul, self._weights, self._centred(row)))

    def predict(self, row: Row) -> float:
        """Return what the last fit expects of an observation.

        Raises:
            NotFitted: when there was no fit.
        """
        if not self._is_fitted:
            raise NotFitted("Nothing was learned yet; fit the model before it is asked.")
        return self._mean + self._fitted(row)

    def deviation(self, row: Row) -> float:
        """Return the standard deviation of an observation from what is expected of it.

        That of the posterior, noise included, where weights have the prior that the penalty means,
        and the noise is what makes the targets likeliest.
        """
        centred = self._centred(row)
        if self._is_dual:
            inner = [fsum(map(mul, self._centred(other), centred)) for other in self._rows]
            seen = forward(self._lower, inner)
            unseen = fsum(map(mul, centred, centred)) - fsum(map(mul, seen, seen))
            spread = max(unseen, 0.0) / self._penalty
        else:
            seen = forward(self._lower, centred)
            spread = fsum(map(mul, seen, seen))
        return sqrt(self._variance * (1 + spread))


def add_products(products: Triangle, row: Row) -> None:
    """Add the products of an observation's features to their sums, which grow as they must."""
    places = sorted(row)
    _enlarge(products, 1 + max(places, default=-1))
    for number, place in enumerate(places, start=1):
        sums, value = products[place], row[place]
        for other in places[:number]:
            sums[other] += value * row[other]


def _enlarge(products: Triangle, size: int) -> None:
    while len(products) < size:
        products.append([0.0] * (len(products) + 1))


def decompose(products: Triangle, penalty: float) -> Triangle:
    """Return the decomposition of Cholesky of products with the penalty on the diagonal."""
    lower: Triangle = []
    for number, row in enumerate(products):
        solved: list[float] = []
        for other in range(number):
            above = lower[other]
            solved.append((row[other] - fsum(map(mul, solved, above))) / above[other])
        solved.append(sqrt(row[number] + penalty - fsum(map(mul, solved, solved))))
        lower.append(solved)
    return lower


def forward(lower: Triangle, right: Sequence[float]) -> list[float]:
    """Solve ``lower x = right``."""
    found: list[float] = []
    for row, one in zip(lower, right, strict=True):
        found.append((one - fsum(map(mul, found, row))) / row[-1])
    return found


def solve(lower: Triangle, right: Sequence[float]) -> list[float]:
    """Solve ``lower lower' x = right``."""
    halfway = forward(lower, right)
    found = [0.0] * len(halfway)
    for number in range(len(halfway) - 1, -1, -1):
        row = lower[number]
        found[number] = weight = halfway[number] / row[number]
        for other in range(number):
            halfway[other] -= row[other] * weight
    return found
