"""Answers for blocks that the table lacks: kernel regression on the graphs of those that it has.

Two blocks are alike as far as the same operations stand in the same surroundings (the labels of
Weisfeiler and Lehman, Shervashidze et al. 2011; for architectures Ru et al. 2021) and their
networks have the same size. Beside this there is a trend, linear in how often each operation feeds
each other one, and quadratic in the sizes: likeness alone expects the mean of whatever is unlike
all known blocks. What measures better on the table decides how much each counts. The agent's
predictor, which is judged by this model, has a trend in edges and costs too, but knows no likeness.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any, NamedTuple

import numpy
from numpy.typing import NDArray

from benchmarks.table.recipe import CLASSES, INPUT_SHAPE, NETWORK
from blockqnn.block.graph import connections, fold, operations
from blockqnn.block.nsc import Block
from blockqnn.learning.calibration import rank_correlation
from blockqnn.network.cost import body_cost

Vector = NDArray[numpy.float64]

_ROUNDS = 2
"""Reach of the surroundings, in edges from the layer."""

_CHOSEN_ON = 600
"""The kernel is chosen on at most so many blocks, which takes seconds; all are learned from."""

_FOLDS = 10

_TOP_SHARE = 5
"""One in so many blocks is among the best."""


class Description(NamedTuple):
    """Features of a block; equal for blocks that mean the same network."""

    surroundings: tuple[Counter[Hashable], ...]
    """Count of each label, for each reach from 0 on."""
    edges: Counter[tuple[tuple[int, int], tuple[int, int]]]
    """Count of edges between each pair of operations."""
    sizes: Vector
    """Logarithms to the base 2 of MACs, parameters, layers and depth, shape (4,)."""


def describe(block: Block) -> Description:
    """Return what the model knows of a block."""
    graph = fold(block)
    kinds = operations(graph)
    takers: list[list[int]] = [[] for _ in kinds]
    depths = [0] * len(kinds)
    for node, sources in enumerate(graph.sources):
        for source in sources:
            takers[source].append(node)
        depths[node] = 1 + max([depths[source] for source in sources], default=-1)
    levels: list[Counter[Hashable]] = [Counter(kinds)]
    labels: list[Any] = list(graph.labels)
    for _ in range(_ROUNDS):
        labels = [
            (
                labels[node],
                tuple(sorted([labels[source] for source in graph.sources[node]])),
                tuple(sorted([labels[taker] for taker in takers[node]])),
            )
            for node in range(len(labels))
        ]
        levels.append(Counter(labels))
    cost = body_cost(block.body, NETWORK, INPUT_SHAPE, CLASSES)
    sizes = (cost.macs, cost.parameters, len(kinds), 1 + max(depths))
    return Description(
        tuple(levels), connections(graph), numpy.log2(numpy.array(sizes, dtype=float))
    )


class Likeness(NamedTuple):
    """Similarity of blocks in three respects; of one block or several to the known ones."""

    structure: Vector
    """The share of surroundings in common, 0 to 1: the mean over the reaches."""
    distance: Vector
    """The squared distance of the sizes, in standard deviations of the known blocks."""
    trend: Vector
    """The product of what the trend is made of: edges, sizes, and the products of two sizes."""

    def of(self, rows: Sequence[int], columns: Sequence[int]) -> "Likeness":
        """Return that of some blocks to some others."""
        return Likeness(*[part[numpy.ix_(rows, columns)] for part in self])


class Known:
    """The blocks that others are compared to."""

    def __init__(self, blocks: Sequence[Description]) -> None:
        self._blocks = blocks
        sizes = numpy.array([one.sizes for one in blocks])
        spread = sizes.std(axis=0)
        self._unit = numpy.where(spread > 0, spread, 1.0)
        self._sizes = sizes / self._unit
        self._centre = self._sizes.mean(axis=0)
        self._edges = {edge: place for place, edge in enumerate(_edges_of(blocks))}
        self._trends = numpy.array([self._trend(one) for one in blocks])
        reaches = range(_ROUNDS + 1)
        self._totals = [
            numpy.array([float(one.surroundings[reach].total()) for one in blocks])
            for reach in reaches
        ]
        self._occurrences: list[dict[Hashable, list[tuple[int, int]]]] = [{} for _ in reaches]
        for number, one in enumerate(blocks):
            for found, counts in zip(self._occurrences, one.surroundings, strict=True):
                for label, times in counts.items():
                    found.setdefault(label, []).append((number, times))
        self._arrays = [
            {label: numpy.array(places) for label, places in found.items()}
            for found in self._occurrences
        ]

    def _trend(self, block: Description) -> Vector:
        edges = numpy.zeros(len(self._edges))
        for edge, times in block.edges.items():
            if edge in self._edges:
                edges[self._edges[edge]] = math.log2(1 + times)
        sizes = block.sizes / self._unit - self._centre
        squares = numpy.outer(sizes, sizes)[numpy.triu_indices(len(sizes))]
        return numpy.concatenate([edges, sizes, squares])

    def compare(self, block: Description) -> Likeness:
        """Return how alike a block is to each that is known; all parts have the shape (n,)."""
        structure = numpy.zeros(len(self._blocks))
        for arrays, totals, counts in zip(
            self._arrays, self._totals, block.surroundings, strict=True
        ):
            shared = numpy.zeros(len(self._blocks))
            for label, times in counts.items():
                places = arrays.get(label)
                if places is not None:
                    shared[places[:, 0]] += numpy.minimum(places[:, 1], times)
            structure += shared / (totals + counts.total() - shared)
        distances = ((self._sizes - block.sizes / self._unit) ** 2).sum(axis=1)
        return Likeness(structure / (_ROUNDS + 1), distances, self._trends @ self._trend(block))

    def compare_all(self) -> Likeness:
        """Return how alike the known blocks are to each other; all have the shape (n, n)."""
        rows = [self.compare(one) for one in self._blocks]
        return Likeness(*[numpy.array(part) for part in zip(*rows, strict=True)])


def _edges_of(blocks: Sequence[Description]) -> list[Hashable]:
    return list(dict.fromkeys(edge for block in blocks for edge in block.edges))


class Kernel(NamedTuple):
    """Weights of the respects in one number, and its reliability."""

    structure: float
    """The weight of structure beside size, 0 to 1."""
    reach: float
    """At which distance sizes stop being alike, in standard deviations."""
    penalty: float
    """Addend of the diagonal: the larger, the smoother."""
    slope: float = 0.0
    """The weight of the trend beside both, 0 for none."""

    def __call__(self, likeness: Likeness) -> Vector:
        """Return the kernel; it is 0 to 1 without a trend."""
        sizes = numpy.exp(-likeness.distance / (2 * self.reach**2))
        alike = self.structure * likeness.structure + (1 - self.structure) * sizes
        return alike + self.slope * likeness.trend


_SHAPES = tuple(product((0.3, 0.5, 0.7, 0.9), (0.7, 1.4, 2.8), (0.0, 0.01, 0.03, 0.1)))
"""The kernels to choose from: structure, reach, slope."""

_PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0)


def choose_kernel(likeness: Likeness, values: Vector) -> Kernel:
    """Return the kernel with the least squared error when each block is left out in turn.

    Args:
        likeness: of the blocks to each other.
        values: what each is worth, shape (n,).
    """
    count = len(values)
    some = sorted(Random(0).sample(range(count), min(count, _CHOSEN_ON)))
    likeness, values = likeness.of(some, some), values[some]
    left = values - values.mean()
    errors: dict[Kernel, float] = {}
    for structure, reach, slope in _SHAPES:
        scales, axes = numpy.linalg.eigh(Kernel(structure, reach, 0.0, slope)(likeness))
        turned = axes.T @ left
        for penalty in _PENALTIES:
            weights = 1 / (numpy.maximum(scales, 0.0) + penalty)
            # What leaving a block out does to its own error, without another fit.
            missed = (axes @ (weights * turned)) / ((axes**2) @ weights)
            errors[Kernel(structure, reach, penalty, slope)] = float((missed**2).mean())
    return min(errors, key=lambda kernel: errors[kernel])


def _fit(kernel: Kernel, likeness: Likeness, values: Vector) -> tuple[float, Vector]:
    mean = float(values.mean())
    matrix = kernel(likeness) + kernel.penalty * numpy.eye(len(values))
    return mean, numpy.linalg.solve(matrix, values - mean).astype(numpy.float64)


class Surrogate:
    """Expects of a block what is known of those that it is like.

    Args:
        blocks: the known ones, each network once.
        values: what each is worth, in percent.
    """

    def __init__(self, blocks: Sequence[Description], values: Sequence[float]) -> None:
        self._known = Known(blocks)
        self._values = numpy.array(values)
        self._likeness = self._known.compare_all()
        self.kernel = choose_kernel(self._likeness, self._values)
        self._mean, self._weights = _fit(self.kernel, self._likeness, self._values)

    def predict(self, block: Description) -> float:
        """Return what a block should be worth, in percent; smoothed for one that is known."""
        return self._mean + float(self.kernel(self._known.compare(block)) @ self._weights)

    def fitted(self) -> Vector:
        """Return what the known blocks should be worth, smoothed, in percent; shape (n,)."""
        return self._mean + (self.kernel(self._likeness) @ self._weights)

    def predict_without(self, hidden: Sequence[int]) -> Vector:
        """Predict known blocks from all others; the kernel is chosen anew.

        Args:
            hidden: the places of these blocks, ascending.

        Returns:
            What each should be worth, in percent, shape (len(hidden),).
        """
        rest = sorted(set(range(len(self._values))) - set(hidden))
        likeness, values = self._likeness.of(rest, rest), self._values[rest]
        kernel = choose_kernel(likeness, values)
        mean, weights = _fit(kernel, likeness, values)
        return mean + (kernel(self._likeness.of(hidden, rest)) @ weights)

    def cross_validate(self, seed: int = 0) -> Vector:
        """Predict each known block from nine tenths of the others, in percent; shape (n,)."""
        count = len(self._values)
        order = list(range(count))
        Random(seed).shuffle(order)
        expected = numpy.zeros(count)
        for fold_number in range(min(_FOLDS, count)):
            tested = sorted(order[fold_number::_FOLDS])
            expected[tested] = self.predict_without(tested)
        return expected

    def judge(self, seed: int = 0) -> "Errors":
        """Return how well blocks are predicted that the model has not seen."""
        return errors_of(self.cross_validate(seed), self._values)


@dataclass(frozen=True, slots=True)
class Errors:
    """Quality of predictions of blocks that the model has not seen."""

    blocks: int
    error: float
    """Root of the mean squared error, in percent."""
    bias: float
    """The mean of expected minus trained, in percent."""
    error_of_mean: float
    """The error of a model that expects the mean of every block."""
    correlation: float
    """Spearman's rank correlation, -1 to 1."""
    top_correlation: float
    """The same among the best fifth by their training; 0 for fewer than ten blocks."""


def errors_of(expected: Vector, trained: Vector) -> Errors:
    """Compare expectations of blocks with what trainings of them reached.

    Args:
        expected: in percent, shape (n,) with n of at least 2.
        trained: likewise.
    """
    top = numpy.argsort(-trained, kind="stable")[: len(trained) // _TOP_SHARE]
    return Errors(
        blocks=len(trained),
        error=_root_mean_square(expected - trained),
        bias=float((expected - trained).mean()),
        error_of_mean=_root_mean_square(trained.mean() - trained),
        correlation=rank_correlation(list(expected), list(trained)),
        top_correlation=(
            rank_correlation(list(expected[top]), list(trained[top])) if len(top) > 1 else 0.0
        ),
    )


def _root_mean_square(values: Vector) -> float:
    return math.sqrt(float((values**2).mean()))
