"""The charts of a report, each as a picture of any size."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from blockqnn.block.nsc import LayerType
from blockqnn.block.text_drawing import type_name
from blockqnn.learning.progress import Sample
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_cli.quantities import short
from blockqnn_cli.report.scales import Scale, padded, padded_factor
from blockqnn_cli.report.statistics import Iteration, Stage, pareto_front, stages
from blockqnn_cli.report.svg import Attribute, Markup, element, join, number, path, picture

Size = tuple[float, float]

TICK_WIDTH = 70
"""Length of an axis for each name, so that names do not touch."""

NARROWEST_LABEL, NARROWEST_NUMBER = 40, 22
"""Least widths of an epsilon stage for its name and for its number; the table has them all."""

MOST_MARKS = 60
"""Most points of a line that have marks; more would overlap, so only the line is drawn."""


@dataclass(frozen=True, slots=True)
class Plot:
    """The area of a chart in which values are drawn, with its axes."""

    x: Scale
    y: Scale

    @classmethod
    def over_iterations(cls, size: Size, last: int, y: tuple[float, float]) -> "Plot":
        """Return the plot of a picture of a size, for values within bounds by iteration."""
        return cls(Scale(0, last, 52, size[0] - 12, integers=True), Scale(*y, size[1] - 44, 26))

    @classmethod
    def over_factors(cls, size: Size, x: tuple[float, float], y: tuple[float, float]) -> "Plot":
        """Return the plot of a picture of a size, for values within bounds by orders of size."""
        return cls(Scale(*x, 52, size[0] - 12, logarithmic=True), Scale(*y, size[1] - 44, 26))

    def axes(self, x_title: str, y_title: str, y_unit: str = "", places: int = 0) -> Markup:
        """Draw the grid, the names of values, and the titles of the axes."""
        x, y = self.x, self.y
        parts: list[str] = []
        for value in y.ticks(6):
            parts += [
                line((x.start, y(value)), (x.end, y(value)), "grid"),
                words(f"{value:.{places}f}{y_unit}", x.start - 8, y(value) + 4, anchor="end"),
            ]
        for value in x.ticks(int((x.end - x.start) / TICK_WIDTH)):
            parts += [
                line((x(value), y.start), (x(value), y.start + 5), "axis"),
                words(short(value), x(value), y.start + 19, anchor="middle"),
            ]
        parts += [
            line((x.start, y.start), (x.end, y.start), "axis"),
            words(x_title, x.end, y.start + 37, "axis-title", anchor="end"),
            words(y_title, 2, 13, "axis-title"),
        ]
        return join(parts)


def line(start: tuple[float, float], end: tuple[float, float], style: str) -> Markup:
    """Draw a straight line."""
    return element("line", class_=style, x1=start[0], y1=start[1], x2=end[0], y2=end[1])


def words(text: str, x: float, y: float, style: str = "tick", *, anchor: str = "start") -> Markup:
    """Write a few words."""
    return element("text", text, class_=style, x=x, y=y, text_anchor=anchor)


def curve(points: Sequence[tuple[float, float]], style: str) -> Markup:
    """Draw a line through points."""
    return element("path", class_=f"curve {style}", d=path(points)) if points else Markup()


def stepped(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a line that keeps each height until the next point."""
    corners = list(points[:1])
    for (_, before), (x, y) in itertools.pairwise(points):
        corners += [(x, before), (x, y)]
    return corners


@dataclass(frozen=True, slots=True)
class Band:
    """Range of the means of iterations that are drawn at random."""

    mean: float
    margin: float
    """Distance from the mean within which 95 % of them are."""


def random_band(control: Sample | None, batch_size: int) -> Band | None:
    """Return the band of a random phase; None where fewer than two of its trials have a reward."""
    if control is None or control.size < 2:
        return None
    return Band(control.mean, 1.96 * control.deviation / batch_size**0.5)


def learning_curve(
    iterations: Sequence[Iteration],
    identity: str,
    size: Size,
    band: Band | None = None,
    **more: Attribute,
) -> Markup:
    """Draw the mean reward by iteration and the best so far (CVPR 2018, Fig. 8).

    Args:
        iterations: at least one iteration.
        identity: names the picture within the page.
        size: width and height.
        band: the band to compare the means with; None draws none.
        more: attributes of the picture.
    """
    values = [v for i in iterations for v in (i.mean_reward, i.top_1, i.top_5) if v is not None]
    if band is not None:
        values += [band.mean - band.margin, band.mean + band.margin]
    plot = Plot.over_iterations(size, max(iterations[-1].number, 1), padded(values or [0.0]))

    def points(which: str) -> list[tuple[float, float]]:
        pairs = [(iteration.number, getattr(iteration, which)) for iteration in iterations]
        return [(plot.x(n), plot.y(value)) for n, value in pairs if value is not None]

    means = points("mean_reward")
    marks = means if len(means) <= MOST_MARKS else []
    return picture(
        identity,
        "Learning curve",
        _learning_in_words(iterations, band),
        size,
        *_stages(stages(iterations), plot),
        *_band(band, plot),
        plot.axes("iteration", "reward, %"),
        curve(stepped(points("top_1")), "top-1"),
        curve(stepped(points("top_5")), "top-5"),
        curve(means, "mean"),
        *(element("circle", class_="mean-mark", cx=x, cy=y, r=2.6) for x, y in marks),
        **more,
    )


def _stages(epsilon_stages: Sequence[Stage], plot: Plot) -> Iterator[Markup]:
    for index, stage in enumerate(epsilon_stages):
        start = plot.x(max(stage.first - 0.5, plot.x.low))
        end = plot.x(min(stage.last + 0.5, plot.x.high))
        yield element(
            "rect", element("title", f"epsilon {stage.epsilon:g}"), class_=f"stage-{index % 2}",
            x=start, y=plot.y.end, width=end - start, height=plot.y.start - plot.y.end,
        )  # fmt: skip
        name = f"{stage.epsilon:.2g}"
        if end - start >= NARROWEST_LABEL:
            name = f"\N{GREEK SMALL LETTER EPSILON} {name}"
        if end - start >= NARROWEST_NUMBER:
            yield words(name, (start + end) / 2, plot.y.end - 6, "stage-name", anchor="middle")


def _band(band: Band | None, plot: Plot) -> Iterator[Markup]:
    if band is None:
        return
    top, bottom = plot.y(band.mean + band.margin), plot.y(band.mean - band.margin)
    yield element(
        "rect", class_="random-band", x=plot.x.start, y=top,
        width=plot.x.end - plot.x.start, height=bottom - top,
    )  # fmt: skip
    yield line((plot.x.start, plot.y(band.mean)), (plot.x.end, plot.y(band.mean)), "random-mean")


def _learning_in_words(iterations: Sequence[Iteration], band: Band | None) -> str:
    means = [iteration.mean_reward for iteration in iterations if iteration.mean_reward is not None]
    best = iterations[-1].top_1
    if not means or best is None:
        return "No iteration has a reward yet."
    return (
        f"The mean reward went from {means[0]:.1f} in the first iteration to {means[-1]:.1f} in "
        f"iteration {iterations[-1].number}; the best block so far has a reward of {best:.1f}."
        + (f" The random trials have a mean of {band.mean:.1f}." if band else "")
    )


def accuracy_by_parameters(
    records: Sequence[TrialRecord], random_trials: int, identity: str, size: Size
) -> Markup:
    """Draw the accuracy of each trained network against its parameters, and the Pareto front.

    Args:
        records: measured trials, at least one.
        random_trials: number of trials at the start that were chosen at random.
        identity: names the picture within the page.
        size: width and height.
    """
    front = pareto_front(records)
    plot = Plot.over_factors(
        size,
        padded_factor([float(r.parameters or 1) for r in records]),
        padded([100 * (r.accuracy or 0.0) for r in records]),
    )

    def position(record: TrialRecord) -> tuple[float, float]:
        return plot.x(float(record.parameters or 1)), plot.y(100 * (record.accuracy or 0.0))

    guided = [position(r) for r in records if r.trial >= random_trials]
    last = front[-1]
    return picture(
        identity,
        "Accuracy against parameters",
        f"{len(records)} trained networks, of which {len(front)} are on the Pareto front, from "
        f"{short(front[0].parameters or 0)} parameters with {front[0].accuracy:.1%} to "
        f"{short(last.parameters or 0)} with {last.accuracy:.1%}.",
        size,
        plot.axes("parameters", "accuracy, %"),
        dots((position(r) for r in records if r.trial < random_trials), "dot random"),
        dots(guided, "dot guided"),
        curve(stepped([position(r) for r in front]), "front"),
        *(_named_dot(record, *position(record)) for record in front),
    )


def dots(places: Iterable[tuple[float, float]], style: str) -> Markup:
    """Draw dots as one path; those that fall on the same place are drawn once."""
    distinct = dict.fromkeys((round(x), round(y)) for x, y in places)
    return element("path", class_=style, d="".join(f"M{x},{y}h0" for x, y in distinct))


def _named_dot(record: TrialRecord, x: float, y: float) -> Markup:
    text = f"trial {record.trial}: {record.accuracy:.2%}, {record.parameters:,} parameters"
    return element("circle", element("title", text), class_="front-mark", cx=x, cy=y, r=4)


def layer_types(
    shares: Sequence[tuple[int, Mapping[LayerType, float]]], identity: str, size: Size
) -> Markup:
    """Draw the share of each type of layer over time (CVPR 2018, appendix B)."""
    points = shares if len(shares) > 1 else [shares[0], (shares[0][0] + 1, shares[0][1])]
    plot = Plot.over_iterations(size, points[-1][0], (0, 100))
    areas: list[Markup] = []
    lower = [0.0] * len(points)
    for kind in shares[0][1]:
        upper = [base + 100 * share[kind] for base, (_, share) in zip(lower, points, strict=True)]
        top = [(plot.x(n), plot.y(v)) for (n, _), v in zip(points, upper, strict=True)]
        bottom = [(plot.x(n), plot.y(v)) for (n, _), v in zip(points, lower, strict=True)]
        outline = path([*top, *reversed(bottom)]) + "Z"
        areas.append(
            element("path", element("title", type_name(kind)), class_=_of_type(kind), d=outline)
        )
        lower = upper
    first, last = shares[0][1], shares[-1][1]
    changes = ", ".join(f"{type_name(k)} {first[k]:.0%} to {last[k]:.0%}" for k in first)
    return picture(
        identity,
        "Types of layers over time",
        f"From the first to the last iterations: {changes}.",
        size,
        *areas,
        plot.axes("iteration", "share of layers, %"),
    )


def _of_type(kind: LayerType) -> str:
    return f"type-{number(float(kind.value))}"
