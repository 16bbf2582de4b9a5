"""Draws the pictures of docs/reproduction.md, as SVG that is the same whenever it is drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure as Picture

_STYLE: Any = {
    "svg.hashsalt": "blockqnn",  # the names of clipping paths are random otherwise
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
_SIZE = (7.5, 4.0)


class Line(NamedTuple):
    """A series of a chart."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str = "-"


class Axes(NamedTuple):
    """The title of a chart and of its axes."""

    title: str
    x: str
    y: str


def draw_lines(
    path: Path, axes: Axes, lines: Sequence[Line], boundaries: Sequence[float] = ()
) -> None:
    """Draw lines.

    Args:
        path: the file, which ends with ``.svg``.
        axes: the titles.
        lines: what is drawn.
        boundaries: places on the x axis where something begins, such as an epsilon stage.
    """
    with matplotlib.rc_context(_STYLE):
        picture = Picture(figsize=_SIZE, layout="constrained")
        plot = picture.add_subplot()
        for boundary in boundaries:
            plot.axvline(boundary, color="grey", linewidth=0.6, alpha=0.5)
        for line in lines:
            plot.plot(line.x, line.y, line.style, label=line.name, linewidth=1.4, markersize=3)
        _finish(picture, path, axes)


def draw_densities(path: Path, axes: Axes, samples: Sequence[tuple[str, Sequence[float]]]) -> None:
    """Draw how samples are distributed, as histograms of shares one over the other."""
    values = [value for _, sample in samples for value in sample]
    low, high = min(values), max(values)
    edges = [low + (high - low) * step / 20 for step in range(21)]
    with matplotlib.rc_context(_STYLE):
        picture = Picture(figsize=_SIZE, layout="constrained")
        plot = picture.add_subplot()
        for name, sample in samples:
            weights = [100 / len(sample)] * len(sample)
            plot.hist(sample, edges, weights=weights, alpha=0.5, label=name)
        _finish(picture, path, axes)


def _finish(picture: Picture, path: Path, axes: Axes) -> None:
    (plot,) = picture.axes
    plot.set_title(axes.title)
    plot.set_xlabel(axes.x)
    plot.set_ylabel(axes.y)
    plot.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, metadata={"Date": None})
