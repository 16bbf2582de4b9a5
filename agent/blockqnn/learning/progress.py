"""Learning of a search: a comparison of its latest proposals with random ones.

CVPR 2018, section 5.1, shows that a search learns by the mean of an iteration's proposals: 56 %
while epsilon is 1, 65 % when it is 0.1. Two things can raise or lower that mean without any
learning: chance, and a few networks that are proposed again and again.

* The mean of all proposals decides whether an agent prefers networks with low rewards. Its standard
  error counts proposals: these rewards are what the agent has seen, so they can be held against it
  whatever training noise is in them.
* A rise of that mean alone proves nothing. An agent that repeats the luckiest networks of the
  random phase raises it even if all networks are equal. So a search learns only if, besides, the
  networks that it tries for the first time, each counted once, have higher rewards than those
  that random draws tried for the first time. Their rewards were measured after they were chosen.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from math import fsum, sqrt

FEWEST = 10
"""Minimum number of rewards on each side for a verdict."""

WANTED = 30
"""Number of rewards up to which the latest iterations are combined."""

ERRORS = 3.0
"""Standard errors that a difference must exceed; strict, as users check a search often."""

_SMALLEST = 1e-9
"""Share of the rewards up to which a difference counts as a rounding error."""


@dataclass(frozen=True, slots=True)
class Result:
    """Reward of a proposal, including proposals that share the result of an earlier trial."""

    iteration: int
    network: str
    """Equal for proposals that mean the same network: its canonical hash."""
    reward: float
    """In percent."""


class Verdict(StrEnum):
    """Verdict on the learning of a search."""

    LEARNS = "Learns"
    """Proposals are better than random ones, and so are the networks that are new among them."""
    UNLEARNS = "Unlearns"
    """Proposals are worse than random ones."""
    REPEATS = "Repeats"
    """Proposals are better than random ones, but this is not certain of their new networks."""
    OPEN = "Open"
    """Proposals do not differ significantly from random ones."""
    EQUAL = "Equal"
    """All rewards are equal, so there is nothing to learn."""
    TOO_FEW = "TooFew"
    """There are too few rewards on one side."""
    STILL_RANDOM = "StillRandom"
    """All proposals so far are random ones."""
    NO_CONTROL = "NoControl"
    """No proposal is random, so there is nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Statistics of some rewards, and of the mean that they were drawn from."""

    size: int
    networks: int
    """Number of different networks among them."""
    most: int
    """Number of rewards of the most frequent network."""
    mean: float
    deviation: float
    """The standard deviation of a single reward; 0 of a single one."""
    error: float
    """The standard error of the mean."""


@dataclass(frozen=True, slots=True)
class Learning:
    """Verdict on the learning of a search, with the figures behind it."""

    verdict: Verdict
    control: Sample | None = None
    """All proposals of the iterations with epsilon 1; None if none has a reward."""
    late: Sample | None = None
    """The proposals that are compared: those of the last stage, plus those of earlier iterations if
    the stage has few; None if no proposal with a reward depends on learned values."""
    first: int = 0
    """The first of their iterations."""
    last: int = 0
    """The last of their iterations."""
    new_control: Sample | None = None
    """The networks that the later half of the random draws tried for the first time, each once."""
    new: Sample | None = None
    """The networks that the latest proposals tried for the first time, each once."""

    @property
    def difference(self) -> float:
        """Mean of the latest proposals less that of the random ones, in points; 0 without both."""
        return self.late.mean - self.control.mean if self.late and self.control else 0.0


def judge(results: Sequence[Result], epsilon: Callable[[int], float]) -> Learning:
    """Judge from its history whether a search learns.

    The order of results within an iteration changes nothing.

    Args:
        results: each proposal with a reward, in the order of the iterations.
        epsilon: the probability with which an iteration draws a layer at random; at 1 its
            proposals are the control.
    """
    random = [result for result in results if epsilon(result.iteration) >= 1]
    guided = [result for result in results if epsilon(result.iteration) < 1]
    control = sample(random)
    if not guided:
        return Learning(Verdict.STILL_RANDOM, control)
    stage = epsilon(guided[-1].iteration)
    late = _latest(guided, lambda iteration: epsilon(iteration) == stage)
    figures = Learning(
        Verdict.NO_CONTROL, control, sample(late), late[0].iteration, late[-1].iteration
    )
    if control is None:
        return figures
    tried = first_tried(results)
    new = [result for result in tried if epsilon(result.iteration) < 1]
    new_random = [result for result in tried if epsilon(result.iteration) >= 1]
    # Random draws meet frequent networks first, which are short and poor: their later half is the
    # fair control of what is new later still.
    middle = random[len(random) // 2].iteration
    figures = replace(
        figures,
        new_control=sample(_latest(new_random, lambda iteration: iteration >= middle)),
        new=sample(_latest(new, lambda iteration: iteration >= figures.first)),
    )
    return replace(figures, verdict=_decide(figures))


def _decide(figures: Learning) -> Verdict:
    late, control = figures.late, figures.control
    if late is None or control is None or min(late.size, control.size) < FEWEST:
        return Verdict.TOO_FEW
    if late.deviation == control.deviation == 0 and late.mean == control.mean:
        return Verdict.EQUAL
    if is_above(control, late):
        return Verdict.UNLEARNS
    if not is_above(late, control):
        return Verdict.OPEN
    new, new_control = figures.new, figures.new_control
    if new is None or new_control is None or min(new.size, new_control.size) < FEWEST:
        return Verdict.REPEATS
    return Verdict.LEARNS if is_above(new, new_control) else Verdict.REPEATS


def is_above(higher: Sample, lower: Sample) -> bool:
    """Return whether one mean is above another by more than chance explains."""
    rounding = _SMALLEST * max(abs(higher.mean), abs(lower.mean))
    return higher.mean - lower.mean > limit_of(higher, lower) + rounding


def limit_of(first: Sample, second: Sample) -> float:
    """Return the largest difference of two means that chance explains, in points.

    Three standard errors for many rewards, more for few, roughly as in Student's distribution.
    """
    freedom = max(min(first.size, second.size) - 1, 1)
    return (ERRORS + 10 / freedom) * sqrt(first.error**2 + second.error**2)


def first_tried(results: Sequence[Result]) -> list[Result]:
    """Return each network once, in the iteration that first tried it, with its mean reward there.

    Args:
        results: in the order of the iterations.
    """
    rewards: dict[str, tuple[int, list[float]]] = {}
    for result in results:
        iteration, measured = rewards.setdefault(result.network, (result.iteration, []))
        if iteration == result.iteration:
            measured.append(result.reward)
    return [
        Result(iteration, network, fsum(measured) / len(measured))
        for network, (iteration, measured) in rewards.items()
    ]


def _latest(results: Sequence[Result], wanted: Callable[[int], bool]) -> list[Result]:
    """Return the results of the latest iterations: those wanted, and more if they are few."""
    batches = [list(batch) for _, batch in groupby(results, lambda result: result.iteration)]
    latest: list[Result] = []
    while batches and (wanted(batches[-1][0].iteration) or len(latest) < WANTED):
        latest = batches.pop() + latest
    return latest


def sample(results: Sequence[Result]) -> Sample | None:
    """Return the statistics of some rewards; None if there is no reward.

    The proposals of an iteration are independent draws from one policy, which moves from one
    iteration to the next. So the standard error is that over proposals or, from three iterations
    on, that over iterations if it is larger.
    """
    if not results:
        return None
    networks = Counter(result.network for result in results)
    mean, deviation = _moments([result.reward for result in results])
    error = deviation / sqrt(len(results))
    excesses: dict[int, list[float]] = {}
    for result in results:
        excesses.setdefault(result.iteration, []).append(result.reward - mean)
    batches = len(excesses)
    if batches >= 3:
        squares = fsum(fsum(batch) ** 2 for batch in excesses.values())
        error = max(error, sqrt(squares * batches / (batches - 1)) / len(results))
    return Sample(len(results), len(networks), max(networks.values()), mean, deviation, error)


def _moments(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the standard deviation of at least one value."""
    low, high = min(values), max(values)
    if low == high:
        return low, 0.0
    mean = fsum(values) / len(values)
    return mean, sqrt(fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
