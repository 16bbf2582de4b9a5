"""The epsilon schedule: the share of random choices of the agent, stage by stage.

CVPR 2018, section 4.2 and Table 2: epsilon falls from 1.0 to 0.1 in ten stages, and a longer
exploration gave better results. The numbers of iterations are printed in AAAI 2017, Table 2.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated

from pydantic import Field

from blockqnn.errors import InvalidSettings, ScheduleMismatch
from blockqnn.model import Model


class EpsilonStage(Model):
    """A number of iterations during which epsilon stays the same."""

    epsilon: Annotated[float, Field(ge=0, le=1)]
    """Probability with which each layer is drawn at random rather than chosen by value."""

    iterations: Annotated[int, Field(ge=1, le=1_000_000)]
    """Number of iterations (batches of blocks) of the stage."""


PAPERS_SCHEDULE = tuple(
    EpsilonStage(epsilon=epsilon, iterations=iterations)
    for epsilon, iterations in (
        (1.0, 95),
        (0.9, 7),
        (0.8, 7),
        (0.7, 7),
        (0.6, 10),
        (0.5, 10),
        (0.4, 10),
        (0.3, 10),
        (0.2, 10),
        (0.1, 12),
    )
)
"""AAAI 2017, Table 2: 178 iterations, of 64 blocks each, as CVPR 2018 trains too."""


def scaled(stages: Sequence[EpsilonStage], iterations: int) -> tuple[EpsilonStage, ...]:
    """Stretch or shrink a schedule to another number of iterations.

    Each boundary between two stages moves to its share of the new length, rounded to the nearest
    iteration (halves up), so the sum is exact and a longer schedule has no earlier boundary. Stages
    that shrink to nothing are left out, but not the first nor, from two iterations on, the last.

    Args:
        stages: the schedule; a schedule of `iterations` iterations is returned unchanged.
        iterations: the wanted sum, at least 1.

    Raises:
        InvalidSettings: when there is no stage, or `iterations` is less than 1.
    """
    if not stages or iterations < 1:
        raise InvalidSettings(
            f"A schedule of {len(stages)} epsilon stages cannot be scaled to {iterations} "
            "iterations; give at least one of both."
        )
    total = sum(stage.iterations for stage in stages)
    ends = [
        (2 * end * iterations + total) // (2 * total)
        for end in accumulate(stage.iterations for stage in stages)
    ]
    if len(stages) > 1:
        # All inner boundaries leave room for the first and the last stage.
        most = max(1, iterations - 1)
        ends[:-1] = [min(max(end, 1), most) for end in ends[:-1]]
    starts = [0, *ends[:-1]]
    return tuple(
        EpsilonStage(epsilon=stage.epsilon, iterations=end - start)
        for stage, start, end in zip(stages, starts, ends, strict=True)
        if end > start
    )


def check_schedule(stages: Sequence[EpsilonStage], trials: int, batch_size: int) -> None:
    """Check that a schedule has as many iterations as a budget.

    Raises:
        ScheduleMismatch: when it has another number of iterations than the budget.
    """
    iterations = -(-trials // batch_size)
    planned = sum(stage.iterations for stage in stages)
    if planned != iterations:
        raise ScheduleMismatch(
            f"agent.epsilonSchedule has {planned} iterations, but the budget of {trials} trials "
            f"makes {iterations} iterations of {batch_size}. Change one of them, or omit "
            "epsilonSchedule: the preset's is scaled to the budget."
        )


def epsilon_at(stages: Sequence[EpsilonStage], iteration: int) -> float:
    """Return epsilon in an iteration, counted from 0.

    After the end the last stage continues: a search whose budget was raised keeps exploiting.
    """
    end = 0
    for stage in stages:
        end += stage.iterations
        if iteration < end:
            return stage.epsilon
    return stages[-1].epsilon


def learning_iterations(stages: Sequence[EpsilonStage], iterations: int) -> int:
    """Return the number of iterations with epsilon below 1, which choose by learned values."""
    remaining, learning = iterations, 0
    for stage in stages:
        lasting = min(stage.iterations, remaining)
        remaining -= lasting
        learning += lasting if stage.epsilon < 1 else 0
    return learning + (remaining if stages[-1].epsilon < 1 else 0)
