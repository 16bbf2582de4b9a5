"""Does the redefined reward follow the final accuracy better than the early accuracy does?

CVPR 2018, section 3.3 and Fig. 6, subtracts mu ln(FLOPs) and rho ln(density) from the accuracy
after few epochs, so that the reward comes closer to the accuracy after many. Here each reward is
correlated with the final accuracy of blocks that were trained both ways, and so is the early
accuracy itself, which is the reward with weights of 0.

Weights that are fitted to some blocks are judged on others: the blocks are divided into parts, and
each part is ordered by weights that were fitted to the rest. A part's correlation needs no common
level of its rewards with those of other parts, which have other weights. Standard errors are those
of blocks drawn anew with replacement; a gain is that over the early accuracy on the same blocks.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy
from numpy.typing import NDArray

from benchmarks.table.converged import Converged
from benchmarks.table.recipe import NETWORK, TEST, VALIDATION
from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.learning.calibration import Calibration, Finalist, calibrate, rank_correlation
from blockqnn.learning.reward import redefined_reward
from blockqnn.settings.search import RewardSettings

Vector = NDArray[numpy.float64]

MeasuredOn = Literal["both", "validation", "test"]
"""Images of the final accuracy. The early accuracy is of the validation images, so chance
in these goes into both; test images are free of that, but fewer."""

CVPR = RewardSettings(macs_weight=1.0, density_weight=8.0)
"""CVPR 2018, section 4.2."""

AAAI = RewardSettings(macs_weight=0.5, density_weight=0.5)
"""AAAI 2017, formula 1."""

RESAMPLES = 1000
"""Number of times that blocks are drawn anew for the standard errors."""

PARTS = 5
REPEATS = 40
"""Number of times that the blocks are divided anew; fewer for blocks that are drawn anew."""

_REPEATS_OF_RESAMPLE = 4

_FEWEST = 20
"""Of fewer blocks a part has three, which hardly have an order."""


class Estimate(NamedTuple):
    """A number that other blocks would have made another."""

    value: float
    error: float
    """The standard error."""

    @property
    def exceeds_chance(self) -> bool:
        """Return whether the number is above 0 by more than two standard errors."""
        return self.value > 2 * self.error


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of a reward with the final accuracy."""

    spearman: Estimate
    """The rank correlation, -1 to 1."""
    pearson: Estimate
    """The linear correlation, -1 to 1."""
    spearman_gain: Estimate
    """The rank correlation less that of the early accuracy."""
    pearson_gain: Estimate
    """The linear correlation less that of the early accuracy."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Agreement of the rewards with the accuracies of some blocks."""

    blocks: int
    early: Agreement
    """Of the early accuracy, whose gains are 0."""
    cvpr: Agreement
    aaai: Agreement
    fitted: Agreement
    """Of weights fitted to other blocks; the gains are over the early accuracy in the same parts,
    whose correlation differs a little from that of all blocks together."""
    calibration: Calibration
    """The weights fitted to all these blocks, with their ranges, as the product tells them."""


def answers(
    trainings: Sequence[Converged],
    best: Collection[str],
    measured_on: MeasuredOn = "both",
    resamples: int = RESAMPLES,
) -> dict[str, Answer]:
    """Judge the rewards on all blocks, and on the best alone, by name.

    Args:
        trainings: blocks that were trained to convergence.
        best: hashes of those among them that are a sample of the best.
        measured_on: which images the final accuracy is of.
        resamples: how often blocks are drawn anew.
    """
    chosen = [training for training in trainings if training.hash in best]
    return {
        name: judge(finalists(some, measured_on), resamples)
        for name, some in (("all", trainings), ("best", chosen))
    }


def finalists(trainings: Sequence[Converged], measured_on: MeasuredOn) -> list[Finalist]:
    """Return the blocks that could be trained, with their early and final accuracies."""
    shares = {
        "both": VALIDATION / (VALIDATION + TEST),
        "validation": 1.0,
        "test": 0.0,
    }
    share = shares[measured_on]
    return [
        Finalist(
            Block.parse(training.block),
            training.early_accuracy,
            share * training.validation_accuracy + (1 - share) * training.test_accuracy,
        )
        for training in trainings
        if training.outcome == "Succeeded"
    ]


def judge(blocks: Sequence[Finalist], resamples: int = RESAMPLES) -> Answer:
    """Judge the rewards on blocks, each given once; their order does not matter.

    Args:
        blocks: at least 20.
        resamples: how often blocks are drawn anew.

    Raises:
        ValueError: when there are fewer blocks.
    """
    if len(blocks) < _FEWEST:
        raise ValueError(f"{len(blocks)} blocks are too few to judge a reward; give {_FEWEST}.")
    blocks = sorted(blocks, key=lambda trained: canonical_hash(trained.block))
    sample = _Sample.of(blocks)
    random = numpy.random.default_rng(0)
    measured = _measure(sample, random, REPEATS)
    drawn = [
        _measure(sample.take(random.integers(0, len(blocks), len(blocks))), random)
        for _ in range(resamples)
    ]
    errors = numpy.array(drawn).std(axis=0)
    early, cvpr, aaai, fitted = [
        Agreement(*[Estimate(float(v), float(e)) for v, e in zip(values, error, strict=True)])
        for values, error in zip(measured, errors, strict=True)
    ]
    calibration = calibrate(blocks, CVPR, NETWORK)
    return Answer(len(blocks), early, cvpr, aaai, fitted, calibration)


class Weights(NamedTuple):
    """The weights of a reward, without limits: those of `RewardSettings` are bounded."""

    macs: float
    density: float


NO_WEIGHTS = Weights(0.0, 0.0)


def fit_weights(early: Vector, macs: Vector, density: Vector, final: Vector) -> Weights:
    """Return the weights whose reward has the highest linear correlation with the final accuracy.

    They are those of a linear regression, as :func:`blockqnn.learning.calibration.calibrate` fits
    them. Where a better early accuracy does not go with a better final one, no weights make a
    reward, and there are none.

    Args:
        early: the accuracy after few epochs, in percent, shape (n,).
        macs: ln(MACs), shape (n,).
        density: ln(density), shape (n,).
        final: the accuracy after many epochs, in percent, shape (n,).
    """
    columns = numpy.stack([early, macs, density], axis=1)
    centred = columns - columns.mean(axis=0)
    slopes, _, rank, _ = numpy.linalg.lstsq(centred, final - final.mean(), rcond=1e-9)
    if rank < centred.shape[1] or slopes[0] <= 0:
        return NO_WEIGHTS
    return Weights(-float(slopes[1] / slopes[0]), -float(slopes[2] / slopes[0]))


class _Sample(NamedTuple):
    """Blocks, of which some may be the same one drawn again."""

    numbers: NDArray[numpy.int64]
    """Equal for the same block."""
    early: Vector
    macs: Vector
    density: Vector
    final: Vector

    @classmethod
    def of(cls, blocks: Sequence[Finalist]) -> "_Sample":
        none = RewardSettings(macs_weight=0.0, density_weight=0.0)

        def added(settings: RewardSettings) -> Vector:
            """Return what a reward adds to each accuracy."""
            return numpy.array(
                [redefined_reward(trained.block, 0.0, settings, NETWORK) for trained in blocks]
            )

        return cls(
            numpy.arange(len(blocks)),
            numpy.array([100 * trained.early for trained in blocks]),
            added(none.model_copy(update={"macs_weight": -1.0})),
            added(none.model_copy(update={"density_weight": -1.0})),
            numpy.array([100 * trained.converged for trained in blocks]),
        )

    def take(self, places: NDArray[numpy.int64] | NDArray[numpy.bool_]) -> "_Sample":
        return _Sample(
            self.numbers[places],
            self.early[places],
            self.macs[places],
            self.density[places],
            self.final[places],
        )

    def reward(self, weights: Weights) -> Vector:
        return self.early - weights.macs * self.macs - weights.density * self.density


def _measure(
    sample: _Sample, random: numpy.random.Generator, repeats: int = _REPEATS_OF_RESAMPLE
) -> Vector:
    """Return the four numbers of each agreement, shape (4, 4)."""
    early = _agree(sample.early, sample.final)
    papers = [Weights(preset.macs_weight, preset.density_weight) for preset in (CVPR, AAAI)]
    given = [_agree(sample.reward(weights), sample.final) for weights in papers]
    fitted, in_parts = _cross_validate(sample, random, repeats)
    rows = [(early, early), *[(given_reward, early) for given_reward in given], (fitted, in_parts)]
    return numpy.array([[*agreement, *(agreement - compared)] for agreement, compared in rows])


def _agree(reward: Vector, final: Vector) -> Vector:
    """Return the rank correlation and the linear one."""
    ranks = rank_correlation(reward.tolist(), final.tolist())
    return numpy.array([ranks, _linear_correlation(reward, final)])


def _linear_correlation(first: Vector, second: Vector) -> float:
    """Return Pearson's correlation; 0 where one side has a single value."""
    a, b = first - first.mean(), second - second.mean()
    alone = float(a @ a) * float(b @ b)
    return float(a @ b) / alone**0.5 if alone > 0 else 0.0


def _cross_validate(
    sample: _Sample, random: numpy.random.Generator, repeats: int
) -> tuple[Vector, Vector]:
    """Return the correlations of fitted weights, and of none, in parts they were not fitted to.

    A block that was drawn twice is in one part both times.
    """
    blocks = numpy.unique(sample.numbers)
    fitted, early = [], []
    for _ in range(repeats):
        shuffled = random.permutation(blocks)
        for part in numpy.array_split(shuffled, PARTS):
            inside = numpy.isin(sample.numbers, part)
            rest, tested = sample.take(~inside), sample.take(inside)
            weights = fit_weights(rest.early, rest.macs, rest.density, rest.final)
            fitted.append(_agree(tested.reward(weights), tested.final))
            early.append(_agree(tested.early, tested.final))
    return numpy.mean(fitted, axis=0), numpy.mean(early, axis=0)
