"""A part of docs/reproduction.md: a figure of the papers, and whether its claim holds here."""

from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.reproduction.figures import Figure


class Section(NamedTuple):
    """A part of the page."""

    title: str
    paper: str
    """Claim of the paper."""
    text: str
    """Measurement, in Markdown."""
    verdict: str
    """One sentence on whether the claim holds here."""
    figures: Mapping[str, object]
    """The numbers, for programs."""


def holds(figure: Figure, wanted: float = 0.0) -> str:
    """Say whether a difference is what is claimed, by two standard errors."""
    if figure.mean - 2 * figure.error > wanted:
        return "Holds"
    if figure.mean + 2 * figure.error < wanted:
        return "Does not hold"
    return "Cannot be told from these seeds"
