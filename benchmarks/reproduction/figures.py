"""The figures that the papers give of a search, over several seeds."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from benchmarks.report import mean_and_error
from benchmarks.reproduction.course import TOP, Course, Trial, best_by


class Figure(NamedTuple):
    """A mean over seeds."""

    mean: float
    error: float
    """The standard error of the mean; 0 for a single seed."""

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.error:.2f}"

    def less(self, other: "Figure") -> float:
        """Return how far it is above another, in its unit."""
        return self.mean - other.mean


def over_seeds(courses: Sequence[Course], measure: Callable[[Course], float]) -> Figure:
    """Measure each of several searches."""
    return Figure(*mean_and_error([measure(course) for course in courses]))


def mean_of_top(course: Course, ranked_by: str, measured: str, count: int = TOP) -> float:
    """Return the mean of the best networks of the exploitation phase.

    Args:
        course: the search.
        ranked_by: the field of a trial by which they are the best.
        measured: the field of which the mean is taken.
        count: how many networks.
    """
    best = best_by(course.exploitation, ranked_by, count)
    return fmean([getattr(trial, measured) for trial in best])


@dataclass(frozen=True, slots=True)
class Learning:
    """Learning of searches with the same settings."""

    random_mean: Figure
    """The mean worth of the random phase, in percent of accuracy."""
    last_mean: Figure
    """The mean worth of the last stage."""
    gap_closed: Figure
    """The share of the way from the random mean to the best worth, in percent."""
    rises: Figure
    """Number of stages above the one before."""
    distinct: Figure
    """The share of different networks in the last stage, in percent."""
    length: Figure
    """The mean number of layers in the last stage."""
    best_measured: Figure
    """The highest accuracy measured in the exploitation phase (Fig. 10, top 1)."""
    top_measured: Figure
    """The mean of the five highest (Fig. 10, top 5)."""
    top_worth: Figure
    """The mean of the five highest worths in the exploitation phase."""
    top_by_reward: Figure
    """The mean worth of the five networks with the highest rewards, which users get."""

    @classmethod
    def of(cls, courses: Sequence[Course], best: float) -> "Learning":
        """Work the figures out.

        Args:
            courses: searches that differ in their seeds.
            best: the best worth that there is.
        """
        measured = {name: over_seeds(courses, measure) for name, measure in MEASURES.items()}
        gap = over_seeds(courses, lambda course: 100 * course.gap_closed(best))
        return cls(gap_closed=gap, **measured)


MEASURES: Mapping[str, Callable[[Course], float]] = {
    "random_mean": lambda course: course.stage_worths[0],
    "last_mean": lambda course: course.stage_worths[-1],
    "rises": Course.rises,
    "distinct": lambda course: 100 * course.distinct(),
    "length": Course.length,
    "best_measured": lambda course: mean_of_top(course, "accuracy", "accuracy", 1),
    "top_measured": lambda course: mean_of_top(course, "accuracy", "accuracy"),
    "top_worth": lambda course: mean_of_top(course, "worth", "worth"),
    "top_by_reward": lambda course: mean_of_top(course, "reward", "worth"),
}
"""Measurements of one search, by the field of :class:`Learning`."""


def difference(courses: Sequence[Course], rivals: Sequence[Course], measure: str) -> Figure:
    """Return how far searches are above others on average, seed by seed.

    Args:
        courses: searches.
        rivals: as many others, with the same seeds.
        measure: a name of :data:`MEASURES`.
    """
    of = MEASURES[measure]
    pairs = zip(courses, rivals, strict=True)
    return Figure(*mean_and_error([of(course) - of(rival) for course, rival in pairs]))


def mean_by_iteration(courses: Sequence[Course], field: str) -> list[float]:
    """Return the mean of a field over the batch of each iteration and over the seeds (Fig. 8)."""
    means = [
        [fmean([getattr(trial, field) for trial in batch]) for batch in course.by_iteration()]
        for course in courses
    ]
    return [fmean(values) for values in zip(*means, strict=True)]


def best_so_far(course: Course, count: int) -> list[float]:
    """Return the mean accuracy of the best networks so far, after each iteration (Fig. 10)."""
    best: dict[str, float] = {}
    curve: list[float] = []
    for batch in course.by_iteration():
        for trial in batch:
            best.setdefault(trial.hash, trial.accuracy)
        best = dict(sorted(best.items(), key=lambda item: item[1], reverse=True)[: 4 * count])
        curve.append(fmean(list(best.values())[:count]))
    return curve


def median_trials(course: Course) -> list[tuple[float, Trial]]:
    """Return the proposal with the median accuracy of each stage (CVPR 2018, appendix B)."""
    medians = []
    for stage, trials in course.by_stage():
        ordered = sorted(trials, key=lambda trial: (trial.accuracy, trial.hash))
        medians.append((stage.epsilon, ordered[(len(ordered) - 1) // 2]))
    return medians


def stage_bounds(course: Course) -> list[tuple[float, int, int]]:
    """Return epsilon, first and last iteration of each stage."""
    ends = list(itertools.accumulate(stage.iterations for stage in course.stages))
    starts = [0, *ends[:-1]]
    return [
        (stage.epsilon, start, end - 1)
        for stage, start, end in zip(course.stages, starts, ends, strict=True)
    ]
