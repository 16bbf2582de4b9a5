"""Calibrating the reward: does it order blocks as training to convergence does?

CVPR 2018, section 3.3 and Fig. 6, redefines the reward as the accuracy of the early-stop training,
less mu ln(FLOPs) and rho ln(density), because there the final accuracy falls with both. Finalists
show whether this holds on another dataset, with another recipe: each has the accuracy of its
early-stop training and that of its training to convergence.

A limit of the method: finalists are the best blocks by the very reward that is judged, so their
early accuracies are alike, and every correlation among them is weaker than among all blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from random import Random

from blockqnn.block.graph import density
from blockqnn.block.nsc import Block
from blockqnn.errors import InvalidSettings
from blockqnn.learning.reward import redefined_reward
from blockqnn.network.cost import block_macs
from blockqnn.network.spec import NetworkSpec
from blockqnn.settings.search import RewardSettings

LEAST = 8
"""Minimum number of finalists: the fit has four coefficients."""

RESAMPLES = 500
"""Number of resamples of the finalists for the ranges; 2.5 % of them are 12 at each end."""

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Finalist:
    """A block with two trainings: one stopped early, one to convergence."""

    block: Block
    early: float
    """The accuracy of the search's early-stop training, from 0 to 1."""
    converged: float
    """The accuracy after training to convergence, from 0 to 1; the mean over seeds."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A fitted weight of the reward, with its confidence interval."""

    value: float
    """In the units of `reward.macsWeight` and `densityWeight`; the reward subtracts it."""
    low: float
    high: float
    """95 % of the fits to resampled finalists lie between `low` and `high`."""

    @property
    def sign(self) -> int:
        """1 if the reward should subtract the term, -1 if it should add it, 0 if that is open."""
        return (self.low > 0) - (self.high < 0)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Judgement of a reward by finalists."""

    finalists: int
    early_correlation: float
    """Spearman's rank correlation of early and converged accuracy, -1 to 1."""
    reward_correlation: float
    """The same of the redefined reward, with the weights of the search."""
    fitted_correlation: float | None
    """The same with the fitted weights; optimistic, since the weights were fitted to the same
    finalists."""
    macs: Weight | None
    """The fitted `reward.macsWeight`; None if it cannot be fitted."""
    density: Weight | None
    """The fitted `reward.densityWeight`; None if it cannot be fitted."""
    note: str
    """The reason why there is no fit, in a sentence; empty if there is one."""


def calibrate(
    finalists: Sequence[Finalist], settings: RewardSettings, network: NetworkSpec
) -> Calibration:
    """Judge a reward by blocks that were trained to convergence.

    The weights are those of the linear regression of the converged accuracy on the early accuracy,
    ln(MACs) and ln(density), divided by the coefficient of the early accuracy. The same finalists
    give the same result to the last bit.

    Args:
        finalists: at least :data:`LEAST` blocks, each once.
        settings: the weights that the search was run with.
        network: how the search stacked its blocks.

    Raises:
        InvalidSettings: when there are too few.
    """
    if len(finalists) < LEAST:
        raise InvalidSettings(
            f"There are {len(finalists)} finalists with an accuracy; at least {LEAST} are needed "
            "to calibrate the reward. Raise finalists.count."
        )
    converged = [finalist.converged for finalist in finalists]
    early = [finalist.early for finalist in finalists]
    rewards = [_reward(finalist, settings, network) for finalist in finalists]
    fit = _fit_weights(finalists, network)
    fitted_correlation = None
    if not isinstance(fit, str):
        macs_weight, density_weight = (_bounded(weight.value) for weight in fit)
        fitted = RewardSettings(macs_weight=macs_weight, density_weight=density_weight)
        values = [_reward(finalist, fitted, network) for finalist in finalists]
        fitted_correlation = rank_correlation(values, converged)
    return Calibration(
        finalists=len(finalists),
        early_correlation=rank_correlation(early, converged),
        reward_correlation=rank_correlation(rewards, converged),
        fitted_correlation=fitted_correlation,
        macs=None if isinstance(fit, str) else fit[0],
        density=None if isinstance(fit, str) else fit[1],
        note=fit if isinstance(fit, str) else "",
    )


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation: Pearson's of the ranks; equal values share their mean rank.

    Returns:
        From -1 to 1; 0 if all values of one side are equal.

    Raises:
        ValueError: when the lengths differ.
    """
    pairs = list(zip(_ranks(first), _ranks(second), strict=True))
    if not pairs:
        return 0.0
    middle = (len(pairs) + 1) / 2
    together = sum((a - middle) * (b - middle) for a, b in pairs)
    alone = sum((a - middle) ** 2 for a, _ in pairs) * sum((b - middle) ** 2 for _, b in pairs)
    return together / sqrt(alone) if alone else 0.0


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for index in order[start:end]:
            ranks[index] = (start + 1 + end) / 2
        start = end
    return ranks


def _reward(finalist: Finalist, settings: RewardSettings, network: NetworkSpec) -> float:
    return redefined_reward(finalist.block, finalist.early, settings, network)


_LARGEST = 1000.0  # the limit of a weight in the resource


def _bounded(weight: float) -> float:
    return max(-_LARGEST, min(_LARGEST, weight))


Row = tuple[float, float, float, float]
"""Early accuracy, ln(MACs) and ln(density) of a finalist, then its converged accuracy; percent."""


def _fit_weights(
    finalists: Sequence[Finalist], network: NetworkSpec
) -> tuple[Weight, Weight] | str:
    rows = [_row(finalist, network) for finalist in finalists]
    fit = _regress(rows)
    if fit is None:
        return (
            "No weights can be fitted: early accuracy, MACs and density of these finalists do not "
            "vary independently of one another."
        )
    if fit[0] <= 0:
        return (
            "No weights can be fitted: among these finalists, a better early accuracy does not go "
            "with a better converged accuracy."
        )
    weights = -fit[1] / fit[0], -fit[2] / fit[0]
    random = Random(0)
    resampled: list[tuple[float, float]] = []
    for _ in range(RESAMPLES):
        again = _regress(random.choices(rows, k=len(rows)))
        # A fit in which the early accuracy says nothing could be any.
        if again is not None and again[0] > 0:
            resampled.append((-again[1] / again[0], -again[2] / again[0]))
    if len(resampled) < RESAMPLES / 2:
        return (
            "No weights can be fitted: whether a better early accuracy goes with a better "
            "converged accuracy depends on a few of these finalists."
        )
    macs, dense = (
        _weight(value, sorted(column))
        for value, column in zip(weights, zip(*resampled, strict=True), strict=True)
    )
    return macs, dense


def _weight(value: float, resampled: Sequence[float]) -> Weight:
    beyond = int(len(resampled) * (1 - _CONFIDENCE) / 2)
    return Weight(value, resampled[beyond], resampled[-1 - beyond])


def _row(finalist: Finalist, network: NetworkSpec) -> Row:
    width = network.filters[0]
    # As the reward counts it: a block without any convolution costs as one.
    macs = max(block_macs(finalist.block, width, network.output_projection) / (width * width), 1.0)
    return (100 * finalist.early, log(macs), log(density(finalist.block)), 100 * finalist.converged)


_SMALLEST = 1e-9
"""Share of a column's own length up to which a length counts as a rounding error."""


def _regress(rows: Sequence[Row]) -> tuple[float, float, float] | None:
    """Least squares with an intercept, by orthogonalising one column after the other.

    Returns:
        The coefficients of the three columns; None where one depends on the others.
    """
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    columns = [[row[k] - means[k] for row in rows] for k in range(4)]
    upper: list[list[float]] = []
    for k in range(3):
        length = _dot(columns[k], columns[k])
        for j in range(k):
            _subtract(columns[k], columns[j], upper[j][k])
        norm = _dot(columns[k], columns[k])
        if norm <= _SMALLEST * max(length, _SMALLEST):
            return None
        rest = [_dot(columns[k], columns[m]) / norm for m in range(k + 1, 4)]
        upper.append([0.0] * k + [1.0, *rest])
    c = upper[2][3]
    b = upper[1][3] - upper[1][2] * c
    a = upper[0][3] - upper[0][1] * b - upper[0][2] * c
    return a, b, c


def _dot(first: Sequence[float], second: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))


def _subtract(column: list[float], other: Sequence[float], factor: float) -> None:
    for row, value in enumerate(other):
        column[row] -= factor * value
