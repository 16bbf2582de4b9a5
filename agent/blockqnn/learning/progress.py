"""Whether a search learns: its latest proposals against those that were drawn at random.

CVPR 2018, section 5.1, shows that a search learns by the mean of an iteration's proposals: 56 %
while epsilon is 1, 65 % when it is 0.1. Two things can raise or lower that mean without any
learning: chance, and a few networks that are proposed again and again.

* The mean of all proposals decides whether an agent prefers networks with low rewards. Its standard
  error counts proposals: these rewards are what the agent has seen, so they can be held against it
  whatever training noise is in them.
* A rise of that mean proves nothing alone. An agent that repeats the luckiest networks of the
  random phase raises it even where all networks are equal. So a search learns only when, besides,
  the networks that it tries for the first time, each counted once, have higher rewards than those
  that random draws tried for the first time. Their rewards were measured after they were chosen.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from math import fsum, sqrt

FEWEST = 10
"""Of fewer rewards on one side nothing is said."""

WANTED = 30
"""The latest iterations are taken together until they have as many rewards."""

ERRORS = 3.0
"""A difference counts from as many standard errors on: whoever watches a search looks often."""

_SMALLEST = 1e-9
"""A share of the rewards themselves that counts as nothing but rounding."""


@dataclass(frozen=True, slots=True)
class Result:
    """The reward of a proposal; one that shares the result of an earlier trial has one too."""

    iteration: int
    network: str
    """Equal for proposals that mean the same network: its canonical hash."""
    reward: float
    """In percent."""


class Verdict(StrEnum):
    """What a history says of learning."""

    LEARNS = "Learns"
    """Proposals are better than random ones, and so are the networks that are new among them."""
    UNLEARNS = "Unlearns"
    """Proposals are worse than random ones."""
    REPEATS = "Repeats"
    """Proposals are better than random ones, but their new networks are not known to be."""
    OPEN = "Open"
    """Proposals are not to be told apart from random ones."""
    EQUAL = "Equal"
    """All rewards are equal, so that there is nothing to learn."""
    TOO_FEW = "TooFew"
    """There are too few rewards on one side."""
    STILL_RANDOM = "StillRandom"
    """All proposals so far are random ones."""
    NO_CONTROL = "NoControl"
    """No proposal is a random one, so that there is nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rewards, and what is known of the mean that they were drawn from."""

    size: int
    networks: int
    """How many different networks they are of."""
    most: int
    """How many of them are of the one network that is most frequent."""
    mean: float
    deviation: float
    """The standard deviation of a single reward; 0 of a single one."""
    error: float
    """The standard error of the mean."""


@dataclass(frozen=True, slots=True)
class Learning:
    """What a history says of learning, and by which figures."""

    verdict: Verdict
    control: Sample | None = None
    """All proposals of the iterations with epsilon 1; None where none has a reward."""
    late: Sample | None = None
    """The proposals that are compared: those of the last stage, with those of earlier iterations
    where it has few; None where no proposal with a reward was chosen with what was learned."""
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
        """How far the latest proposals are above the random ones, in points; 0 without both."""
        return self.late.mean - self.control.mean if self.late and self.control else 0.0


def judge(results: Sequence[Result], epsilon: Callable[[int], float]) -> Learning:
    """Judge by its history whether a search learns.

    The order of results within an iteration changes nothing.

    Args:
        results: what is known of each proposal with a reward, in the order of the iterations.
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
    """Whether one mean is above another by more than chance would make it."""
    rounding = _SMALLEST * max(abs(higher.mean), abs(lower.mean))
    return higher.mean - lower.mean > limit_of(higher, lower) + rounding


def limit_of(first: Sample, second: Sample) -> float:
    """Return how far two means may differ by chance, in points.

    Three standard errors of many rewards, and more of few, about as Student's distribution has it.
    """
    freedom = max(min(first.size, second.size) - 1, 1)
    return (ERRORS + 10 / freedom) * sqrt(first.error**2 + second.error**2)


def first_tried(results: Sequence[Result]) -> list[Result]:
    """Return each network once: in the iteration that tried it first, with its mean reward there.

    Args:
        results: in the order of the iterations.
    """
    rewards: dict[str, tuple[int, list[float]]] = {}
    for result in results:
        iteration, known = rewards.setdefault(result.network, (result.iteration, []))
        if iteration == result.iteration:
            known.append(result.reward)
    return [
        Result(iteration, network, fsum(known) / len(known))
        for network, (iteration, known) in rewards.items()
    ]


def _latest(results: Sequence[Result], wanted: Callable[[int], bool]) -> list[Result]:
    """Return the results of the latest iterations: those wanted, and more where they are few."""
    batches = [list(batch) for _, batch in groupby(results, lambda result: result.iteration)]
    latest: list[Result] = []
    while batches and (wanted(batches[-1][0].iteration) or len(latest) < WANTED):
        latest = batches.pop() + latest
    return latest


def sample(results: Sequence[Result]) -> Sample | None:
    """Return what some rewards say of the mean that they were drawn from; None of no reward.

    The proposals of an iteration are independent draws from one policy, which moves from one
    iteration to the next. So the standard error is that over proposals or, from three iterations
    on, that over iterations where it is larger.
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
