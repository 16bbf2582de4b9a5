"""Searches side by side, as in appendix A of CVPR 2018: their results by number of trials.

Searches that differ in nothing but the seed are one group. Its mean is drawn, with the 95 %
confidence band of a mean over seeds (Student's t).
"""

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from blockqnn.contract.message import Outcome
from blockqnn_cli.report.charts import Plot, Size
from blockqnn_cli.report.html import figure, folded, legend, section, table
from blockqnn_cli.report.scales import padded
from blockqnn_cli.report.statistics import TOP
from blockqnn_cli.report.svg import Markup, element, path, picture
from blockqnn_cli.view import SearchView

POINTS = 100
"""Number of points of a curve that are drawn: a screen does not show more of them apart."""

COLOURS = ("blue", "orange", "green", "red", "grey")

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""The 97.5 % quantiles of Student's distribution with 1 to 9 degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Results of a group after a number of trials."""

    trials: int
    mean: float
    """Accuracy in percent."""
    margin: float | None
    """Half of the confidence band's height; None of a single search."""


@dataclass(frozen=True, slots=True)
class Group:
    """Searches that differ in nothing but the seed."""

    algorithm: str
    names: tuple[str, ...]
    top_1: tuple[Reached, ...]
    """The highest accuracy so far."""
    top_5: tuple[Reached, ...]
    """The mean of the five highest accuracies of different networks so far."""

    @property
    def label(self) -> str:
        """Name of the group in output for people."""
        return f"{self.algorithm}: {', '.join(self.names)}"


def groups(searches: Sequence[SearchView]) -> list[Group]:
    """Return the groups of searches that have trials, in the order in which they are given."""
    alike: dict[str, list[SearchView]] = {}
    for search in searches:
        alike.setdefault(_setup(search), []).append(search)
    return [_group(members) for members in alike.values()]


def _setup(search: SearchView) -> str:
    """Return the setup that the searches of one group share."""
    pinned = search.started().settings.items()
    settings = {key: value for key, value in pinned if key not in ("budget", "preset")}
    return json.dumps([search.spec.get("dataset", {}).get("name"), settings], sort_keys=True)


def _group(members: Sequence[SearchView]) -> Group:
    curves = [_curves(member) for member in members]
    shortest = min(len(reached) for reached, _ in curves)
    step = max(shortest // POINTS, 1)
    indices = sorted({*range(step - 1, shortest, step), shortest - 1})
    first, second = (
        tuple(
            reached
            for index in indices
            if (reached := _reached(index, [c[which] for c in curves])) is not None
        )
        for which in (0, 1)
    )
    algorithm = str(members[0].started().settings["agent"]["algorithm"])
    return Group(algorithm, tuple(member.name for member in members), first, second)


def _curves(search: SearchView) -> tuple[list[float | None], list[float | None]]:
    """Return the best and the mean of the five best accuracies after each trial, in percent."""
    leaders: list[float] = []
    first: list[float | None] = []
    second: list[float | None] = []
    for record in search.records:
        if record.outcome is Outcome.SUCCEEDED and record.accuracy is not None:
            leaders = heapq.nlargest(TOP, [*leaders, 100 * record.accuracy])
        first.append(leaders[0] if leaders else None)
        second.append(fmean(leaders) if len(leaders) == TOP else None)
    return first, second


def _reached(index: int, curves: Sequence[Sequence[float | None]]) -> Reached | None:
    values = [value for curve in curves if (value := curve[index]) is not None]
    if len(values) < len(curves):
        return None
    return Reached(index + 1, fmean(values), margin(values))


def margin(values: Sequence[float]) -> float | None:
    """Return half of the 95 % confidence band of a mean; None for a single value."""
    freedom = len(values) - 1
    if freedom < 1:
        return None
    # The approximation is within 1 % from ten degrees of freedom on.
    student = STUDENT[freedom - 1] if freedom <= len(STUDENT) else 1.96 + 2.5 / freedom
    return float(student * stdev(values) / len(values) ** 0.5)


def side_by_side(searches: Sequence[SearchView], size: Size) -> Markup:
    """Write the section that lays searches side by side.

    Args:
        searches: at least two with trials.
        size: of each of its two charts.
    """
    seed_groups = groups(searches)
    charts = [
        _chart([seed_group.top_1 for seed_group in seed_groups], "top-1", "best so far", size),
        _chart(
            [seed_group.top_5 for seed_group in seed_groups],
            "top-5",
            "mean of the five best so far",
            size,
        ),
    ]
    marks = legend(("line", _colour(n), group.label) for n, group in enumerate(seed_groups))
    rows = [
        [group.label, str(len(group.names)), str(last.trials), _text(last), _text_of(group.top_5)]
        for group in seed_groups
        if (last := group.top_1[-1] if group.top_1 else None) is not None
    ]
    titles = ("searches", "seeds", "trials", "top-1", "top-5")
    return section(
        "Side by side",
        element("div", *(figure(chart, marks=marks) for chart in charts), class_="pair"),
        folded("The last values as a table", table(titles, rows)),
        text="Early-stop accuracy by trials, as in appendix A of CVPR 2018. "
        "Searches that differ only in the seed are one line, their mean; the band is its 95 % "
        "confidence.",
    )


def _chart(curves: Sequence[Sequence[Reached]], identity: str, what: str, size: Size) -> Markup:
    values = [
        point.mean + sign * (point.margin or 0)
        for curve in curves
        for point in curve
        for sign in (-1, 1)
    ]
    last = max((curve[-1].trials for curve in curves if curve), default=1)
    plot = Plot.over_iterations(size, last, padded(values or [0.0]))
    drawn: list[Markup] = []
    for number, curve in enumerate(curves):
        if not curve:
            continue
        colour = f"var(--{_colour(number)})"
        if curve[0].margin is not None:
            upper = [
                (plot.x(point.trials), plot.y(point.mean + (point.margin or 0))) for point in curve
            ]
            lower = [
                (plot.x(point.trials), plot.y(point.mean - (point.margin or 0))) for point in curve
            ]
            band = f"{path([*upper, *reversed(lower)])}Z"
            drawn.append(element("path", d=band, style=f"fill:{colour};fill-opacity:.16"))
        line = path([(plot.x(point.trials), plot.y(point.mean)) for point in curve])
        drawn.append(element("path", class_="curve", d=line, style=f"stroke:{colour}"))
    said = "; ".join(
        f"line {n + 1} ends at {_text(curve[-1])}" for n, curve in enumerate(curves) if curve
    )
    title = f"{identity} by trials"
    return picture(
        f"beside-{identity}",
        title,
        f"Accuracy by trials, {what}: {said}.",
        size,
        plot.axes("trial", f"{identity} accuracy, %", places=1),
        *drawn,
    )


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _text_of(curve: Sequence[Reached]) -> str:
    return _text(curve[-1]) if curve else "-"


def _text(reached: Reached) -> str:
    return f"{reached.mean:.2f}%" + ("" if reached.margin is None else f" ± {reached.margin:.2f}")
