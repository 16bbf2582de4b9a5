"""Writes docs/reproduction.md from the sections."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.report import machine
from benchmarks.reproduction.section import Section

_INTRODUCTION = """\
# The papers' figures, repeated

`make reproduce` wrote this page on {date} ({machine}, {seeds} seeds). It runs the presets
`CVPR2018` and `AAAI2017` as they resolve, with their whole budget of 178 iterations of 64 blocks
and with the reward that production uses. No GPU was used: trainings are looked up in
`benchmarks/data`, which are trainings of ten classes of CIFAR-100 at 16x16 pixels with a small
network ([trained blocks](benchmarks/trained-blocks.md)). A model answers for blocks that were never
trained, with the noise of a training. So percentages are not those of the papers; what can be
compared is whether a claim holds.

*Accuracy* is what a search measures, noise included. *Worth* is the same without the noise. Figures
are means over seeds with their standard errors. A claim *holds* if the difference is above two
standard errors.
"""


def write_page(
    path: Path, sections: Sequence[Section], model: str, best: float, seeds: int
) -> None:
    """Write the page.

    Args:
        path: the Markdown file.
        sections: its parts, in their order.
        model: a table of how far the model of untrained blocks can be trusted.
        best: the best worth that the model knows.
        seeds: how many searches each mean is over.
    """
    today = datetime.now(UTC).date().isoformat()
    parts = [_INTRODUCTION.format(date=today, machine=machine(), seeds=seeds), _summary(sections)]
    parts += [
        f"## {section.title}\n\nThe paper: {section.paper}\n\n{section.text}\n\n"
        f"**{section.verdict}**\n"
        for section in sections
    ]
    parts.append(
        "## How far the model of untrained blocks can be trusted\n\n"
        f"The best worth that it knows is {best:.2f} %. *Alike*: a tenth of the table is predicted "
        "from the rest. *Unlike*: the whole group is predicted from the other groups.\n\n"
        f"{model}\n"
    )
    path.write_text("\n".join(parts))


def _summary(sections: Sequence[Section]) -> str:
    lines = ["| figure | here |", "|---|---|"]
    lines += [f"| {section.title} | {section.verdict} |" for section in sections]
    return "\n".join([*lines, ""])
