"""Cholesky decomposition in plain Python: the same to the last bit on every machine."""

from collections.abc import Mapping, Sequence
from math import fsum, sqrt
from operator import mul

Row = Mapping[int, float]
"""The features of one observation that are not zero, by their indices."""

Triangle = list[list[float]]
"""The lower triangle of a symmetric matrix, or a triangular matrix, row by row."""


def add_products(products: Triangle, row: Row) -> None:
    """Add the products of an observation's features to their sums, which grow as needed."""
    features = sorted(row)
    enlarge(products, 1 + max(features, default=-1))
    for number, feature in enumerate(features, start=1):
        sums, value = products[feature], row[feature]
        for other in features[:number]:
            sums[other] += value * row[other]


def enlarge(products: Triangle, size: int) -> None:
    """Add rows of zeros until there are `size` rows."""
    while len(products) < size:
        products.append([0.0] * (len(products) + 1))


def decompose(products: Triangle, penalty: float) -> Triangle:
    """Return the Cholesky decomposition of products with the penalty on the diagonal."""
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
    solution: list[float] = []
    for row, value in zip(lower, right, strict=True):
        solution.append((value - fsum(map(mul, solution, row))) / row[-1])
    return solution


def solve(lower: Triangle, right: Sequence[float]) -> list[float]:
    """Solve ``lower lower' x = right``."""
    halfway = forward(lower, right)
    solution = [0.0] * len(halfway)
    for number in range(len(halfway) - 1, -1, -1):
        row = lower[number]
        solution[number] = weight = halfway[number] / row[number]
        for other in range(number):
            halfway[other] -= row[other] * weight
    return solution
