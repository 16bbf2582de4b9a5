"""Split of a candidate's reward over the decisions that made it.

The papers give each decision a fixed share; the Bellman update then carries values backwards
(:mod:`blockqnn.learning.q_table`). With few trials it is better to *learn* which decisions earned
the reward: return decomposition by a ridge regression of the rewards on features that the decisions
share.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import fsum
from struct import unpack
from typing import Literal

from blockqnn.numerics.cholesky import Triangle, decompose, solve
from blockqnn.space.protocol import Candidate, Key, SearchSpace

Shaping = Literal["AAAI2017", "CVPR2018", "CVPR2018MaxIndex", "MetaQNN", "Uniform", "Learned"]

_PENALTY = 1.0
"""Lambda of the ridge; measured on NAS-Bench-201 together with ranks as rewards."""


def shaped(reward: float, length: int, shaping: Shaping, longest: int) -> list[float]:
    """Split the reward of a block over its layers by a fixed rule.

    The sums over a block of T layers, of at most M, with a discount of 1, are: MetaQNN and Uniform
    r, CVPR2018 r + r (T - 1) / T, CVPR2018MaxIndex r + r (T - 1) / M, AAAI2017 T r. So the papers'
    own rules favour long blocks.

    Args:
        reward: the reward r of the block.
        length: the number T of its layers, the terminal included.
        shaping: `CVPR2018` and `CVPR2018MaxIndex` (section 3.2, where r_T / T may mean either),
            `AAAI2017` (equation 2), `MetaQNN` (nothing before the end) or `Uniform` (every layer
            the same share).
        longest: the number M of layers that a block may have.

    Returns:
        The reward of each layer.
    """
    share = reward / length
    before, last = {
        "AAAI2017": (reward, reward),
        "CVPR2018": (share, reward),
        "CVPR2018MaxIndex": (reward / longest, reward),
        "MetaQNN": (0.0, reward),
        "Uniform": (share, share),
    }[shaping]
    return [before] * (length - 1) + [last]


class FixedShaping:
    """Splits each reward by the same rule (:func:`shaped`)."""

    def __init__(self, shaping: Shaping, longest: int) -> None:
        self._shaping = shaping
        self._longest = longest
        self._lengths: list[int] = []

    def add(self, candidate: Candidate) -> None:
        """Add the next candidate; candidates are numbered from 0."""
        self._lengths.append(len(candidate))

    def fit(self, rewards: Sequence[float]) -> None:
        """Do nothing: the rule is fixed."""

    def split(self, number: int, reward: float) -> list[float]:
        """Return the reward of each decision of a candidate."""
        return shaped(reward, self._lengths[number], self._shaping, self._longest)


class CountProducts:
    """The products of features that are counts, summed over candidates.

    Sums of whole numbers are exact in any order. So the sums of a feature with all others are
    stored as the digits of one large number, 64 bits each, and one multiplication updates all.
    """

    def __init__(self) -> None:
        self._sums: list[int] = []
        """By feature: its products with itself and all before it, the first in the lowest digit."""

    def add(self, counts: Mapping[int, int]) -> None:
        """Add the products of a candidate's features, given how often it has each."""
        self._sums += [0] * (1 + max(counts, default=-1) - len(self._sums))
        digits = 0
        for feature, count in sorted(counts.items()):
            digits += count << 64 * feature
            self._sums[feature] += count * digits

    def triangle(self) -> Triangle:
        """Return the lower triangle of the sums."""
        return [
            list(map(float, unpack(f"<{size}Q", digits.to_bytes(8 * size, "little"))))
            for size, digits in enumerate(self._sums, start=1)
        ]


class LearnedShaping:
    """Splits rewards by features that the decisions share.

    A ridge regression with a penalty of 1 fits the rewards of all trained candidates, less their
    mean, by a weight for each feature of their decisions. A decision earns the weights of its
    features, the last one also the mean, and all share the residual equally. So the shares of a
    candidate add up to its reward exactly, whatever its length: long candidates have no advantage.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._places: dict[Key, int] = {}
        self._rows: list[tuple[tuple[int, ...], ...]] = []
        self._owners: list[list[int]] = []
        """The candidates that have each feature, in order, once for each occurrence."""
        self._products = CountProducts()
        self._weights: list[float] = []
        self._mean = 0.0

    def add(self, candidate: Candidate) -> None:
        """Add the next candidate; candidates are numbered from 0."""
        row = tuple(
            tuple([self._place(key) for key in self._space.features(candidate[:position], number)])
            for position, number in enumerate(candidate)
        )
        number = len(self._rows)
        self._rows.append(row)
        all_features = [feature for features in row for feature in features]
        for feature in all_features:
            self._owners[feature].append(number)
        self._products.add(Counter(all_features))

    def _place(self, key: Key) -> int:
        index = self._places.setdefault(key, len(self._places))
        if index == len(self._owners):
            self._owners.append([])
        return index

    def fit(self, rewards: Sequence[float]) -> None:
        """Learn the weights from the rewards of all candidates, in the order of their numbers."""
        self._mean = mean = fsum(rewards) / len(rewards)
        residuals = [reward - mean for reward in rewards]
        sums = [_add_up(residuals, owners) for owners in self._owners]
        self._weights = solve(decompose(self._products.triangle(), _PENALTY), sums)

    def split(self, number: int, reward: float) -> list[float]:
        """Return the reward of each decision of a candidate that was added before the last fit."""
        row, weight = self._rows[number], self._weights.__getitem__
        earned = [fsum(map(weight, features)) for features in row]
        residual = (reward - self._mean - fsum(earned)) / len(row)
        shares = [value + residual for value in earned]
        shares[-1] += self._mean
        return shares


def _add_up(values: Sequence[float], positions: Sequence[int]) -> float:
    """Add the values at some positions, one by one: `sum` depends on Python's version."""
    total = 0.0
    for position in positions:
        total += values[position]
    return total
