"""A line for each contestant with a band for its error, as SVG."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log2
from typing import NamedTuple

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 60, 150, 30, 50
COLOURS = ("#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948")


class Point(NamedTuple):
    """The mean of a contestant after a number of trials."""

    trials: int
    mean: float
    error: float


def draw(title: str, axis: str, lines: Mapping[str, Sequence[Point]]) -> str:
    """Draw accuracy or regret against trials, which double from tick to tick.

    Args:
        title: stands above the plot.
        axis: names what is plotted.
        lines: for each contestant its points; bands are one standard error to either side.
    """
    points = [point for line in lines.values() for point in line]
    trials = sorted({point.trials for point in points})
    low = min(point.mean - point.error for point in points)
    high = max(point.mean + point.error for point in points)
    low, high = (low, high) if high > low else (low - 1, high + 1)
    span = log2(trials[-1] / trials[0]) or 1.0

    def x(count: int) -> float:
        return LEFT + log2(count / trials[0]) / span * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>',
        f'<text x="{LEFT}" y="{HEIGHT - 10}">trials</text>',
        f'<text transform="translate(14 {HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(axis)}</text>",
    ]
    parts += [
        f'<text x="{x(count):.1f}" y="{HEIGHT - 30}" text-anchor="middle">{count}</text>'
        f'<line x1="{x(count):.1f}" x2="{x(count):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" '
        'stroke="#ddd"/>'
        for count in trials
    ]
    parts += [
        f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        for value in (low + (high - low) * step / 4 for step in range(5))
    ]
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        above = [f"{x(point.trials):.1f},{y(point.mean + point.error):.1f}" for point in line]
        below = [
            f"{x(point.trials):.1f},{y(point.mean - point.error):.1f}" for point in reversed(line)
        ]
        middle = [f"{x(point.trials):.1f},{y(point.mean):.1f}" for point in line]
        height = TOP + 14 + 18 * number
        parts += [
            f'<polygon points="{" ".join([*above, *below])}" fill="{colour}" opacity="0.2"/>',
            f'<polyline points="{" ".join(middle)}" fill="none" stroke="{colour}" '
            'stroke-width="2"/>',
            f'<text x="{WIDTH - RIGHT + 12}" y="{height}" fill="{colour}">{escape(name)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
