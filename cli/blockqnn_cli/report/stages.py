"""The median block of each epsilon stage (CVPR 2018, appendix B, Fig. 12 and 13).

The median is that of the accuracies of all proposals of the stage, duplicates included: a block
that the agent proposes 600 times of 768 is what the stage is like. Of two in the middle the lower
is taken, so that there is a block with that accuracy.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from blockqnn.block.nsc import Block, LayerType
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_cli.quantities import count, short
from blockqnn_cli.report import blocks, statistics
from blockqnn_cli.report.html import folded, section, table
from blockqnn_cli.report.statistics import Stage
from blockqnn_cli.report.svg import Markup, element
from blockqnn_cli.view import SearchView

MOST = 10
"""Most median blocks that are drawn: the papers' schedule has ten stages."""

SCALE = 0.8
"""Scale of the drawings: there are more of them than of the best blocks."""

BROAD = 350.0
"""Full width above which a drawing takes two columns where there is room."""

_CONVOLUTIONS = (
    LayerType.CONVOLUTION,
    LayerType.BARE_CONVOLUTION,
    LayerType.SEPARABLE_CONVOLUTION,
    LayerType.BOTTLENECK,
)


@dataclass(frozen=True, slots=True)
class Period:
    """Consecutive iterations: an epsilon stage, or several that were taken together."""

    first: int
    last: int
    highest: float
    """The highest epsilon of its iterations."""
    lowest: float

    @property
    def iterations(self) -> int:
        """Number of iterations."""
        return self.last - self.first + 1

    @property
    def epsilon(self) -> str:
        """Epsilon, or its highest and lowest value, as text for people."""
        if self.highest == self.lowest:
            return f"{self.highest:.2g}"
        return f"{self.highest:.2g} to {self.lowest:.2g}"

    @property
    def place(self) -> str:
        """The iterations as text for people."""
        if self.first == self.last:
            return f"iteration {self.first}"
        return f"iterations {self.first} to {self.last}"


def periods(stages: Sequence[Stage], most: int = MOST) -> list[Period]:
    """Return the stages, with neighbours joined until there are at most ``most``.

    The two that have the fewest iterations together are joined first, the earliest of equals. Those
    drawn at random stay apart from all others, unless there are too many of either.
    """
    joined = [Period(s.first, s.last, s.epsilon, s.epsilon) for s in stages]
    while len(joined) > most:
        index = min(
            range(len(joined) - 1),
            key=lambda at: (
                (joined[at].lowest >= 1) != (joined[at + 1].highest >= 1),
                joined[at].iterations + joined[at + 1].iterations,
                at,
            ),
        )
        earlier, later = joined[index : index + 2]
        joined[index : index + 2] = [
            Period(
                earlier.first, later.last,
                max(earlier.highest, later.highest), min(earlier.lowest, later.lowest),
            )
        ]  # fmt: skip
    return joined


def median_trial(records: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the trial with the median accuracy; the earliest of equals, None without any."""
    measured = sorted(
        (record for record in records if record.accuracy is not None),
        key=lambda record: (record.accuracy, record.trial),
    )
    if not measured:
        return None
    accuracy = measured[(len(measured) - 1) // 2].accuracy
    return next(record for record in measured if record.accuracy == accuracy)


def stages_section(search: SearchView) -> Markup:
    """Write the section with the median block of each stage that a search has been through.

    Args:
        search: a search with at least one trial in its history.
    """
    size = search.batch_size or 1
    epsilon_periods = periods(statistics.stages(statistics.iterations(search)))
    trials = [
        search.records[period.first * size : (period.last + 1) * size] for period in epsilon_periods
    ]
    cards = [_card(*pair) for pair in zip(epsilon_periods, trials, strict=True)]
    rows = [_row(*pair) for pair in zip(epsilon_periods, trials, strict=True)]
    titles = ("iterations", "epsilon", "proposals", "different networks", "most frequent",
              "mean accuracy", "median", "mean reward", "layers", "convolutions", "adds",
              "concats")  # fmt: skip
    return section(
        "The median block of each stage",
        element("div", *cards, class_="blocks stages"),
        folded("The stages as a table, with means over all proposals", table(titles, rows)),
        text="The block with the median accuracy of each epsilon stage, duplicates counted as "
        "often as they were proposed, as in appendix B of CVPR 2018. There blocks grow as the "
        "search learns: more connections, several branches, adds and concats.",
    )


def _card(period: Period, trials: Sequence[TrialRecord]) -> Markup:
    median = median_trial(trials)
    networks = len({record.hash for record in trials})
    numbers = f"{count(len(trials), 'trial')}, {count(networks, 'different network')}"
    head = [
        element("h3", f"\N{GREEK SMALL LETTER EPSILON} {period.epsilon}"),
        element("div", period.place, class_="soft"),
        element("div", numbers, class_="soft"),
    ]
    frequent = _repetition(trials)
    if median is None:
        return element("article", *head, element("p", "No trial has an accuracy."), class_="slim")
    block = Block.parse(median.block)
    drawn = blocks.drawing(
        block, f"median-{period.first}", f"The median block of {period.place}", SCALE
    )
    return element(
        "article",
        *head,
        element("div", f"median accuracy {median.accuracy:.2%}", class_="soft"),
        element("div", _facts(block, median), class_="soft"),
        element("div", frequent, class_="repeated") if frequent else Markup(),
        element("div", drawn, class_="scroll", tabindex=0),
        folded(f"Code of trial {median.trial}", element("code", median.block)),
        class_="broad" if blocks.width(block) > BROAD else "slim",
    )


def _facts(block: Block, median: TrialRecord) -> str:
    convolutions, adds, concats = _counts(block)
    parts = [count(len(block.body), "layer"), count(convolutions, "convolution")]
    parts += [count(adds, "add")] if adds else []
    parts += [count(concats, "concat")] if concats else []
    if median.macs is not None:
        parts.append(f"{short(median.macs)} MACs")
    return ", ".join(parts)


def _counts(block: Block) -> tuple[int, int, int]:
    """Return the numbers of convolutions, adds and concats, without the concat of the output."""
    types = Counter(layer.type for layer in block.body)
    return (
        sum(types[kind] for kind in _CONVOLUTIONS),
        types[LayerType.ADD],
        types[LayerType.CONCAT],
    )


def _repetition(trials: Sequence[TrialRecord]) -> str:
    """Say how often a network was proposed that makes up most of the proposals; else empty."""
    networks = Counter(record.hash for record in trials)
    most = max(networks.values(), default=0)
    if most < 2 or 2 * most <= len(trials):
        return ""
    return f"{most:,} of {len(trials):,} proposals are the same network."


def _row(period: Period, trials: Sequence[TrialRecord]) -> list[str]:
    networks = Counter(record.hash for record in trials)
    median = median_trial(trials)
    accuracy = statistics.mean([r.accuracy for r in trials if r.accuracy is not None])
    reward = statistics.mean([r.reward for r in trials if r.reward is not None])
    parsed = [Block.parse(record.block) for record in trials]
    kinds = zip(*(_counts(block) for block in parsed), strict=True)
    return [
        f"{period.first} to {period.last}",
        period.epsilon,
        f"{len(trials):,}",
        f"{len(networks):,} ({len(networks) / len(trials):.0%})",
        f"{max(networks.values()) / len(trials):.0%}",
        statistics.percent(accuracy),
        statistics.percent(median.accuracy if median else None),
        statistics.plain(reward),
        f"{sum(len(block.body) for block in parsed) / len(trials):.1f}",
        *(f"{sum(numbers) / len(trials):.1f}" for numbers in kinds),
    ]
