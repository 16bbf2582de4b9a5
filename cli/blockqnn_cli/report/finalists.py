"""Section about finalists: the results of the best blocks after their complete training."""

from collections.abc import Sequence
from dataclasses import dataclass

from blockqnn.learning.calibration import LEAST, rank_correlation
from blockqnn_api.history.finalist_record import FinalistArchive, FinalistRecord, SeedStatistics
from blockqnn_cli.finalists import OWN, chosen, ordered, reasons
from blockqnn_cli.quantities import duration, short
from blockqnn_cli.report.charts import Plot, Size, line
from blockqnn_cli.report.html import figure, folded, legend, section, table
from blockqnn_cli.report.scales import Scale, padded
from blockqnn_cli.report.svg import Markup, element, picture
from blockqnn_cli.view import SearchView

TITLES = (
    "trial", "trained on", "converged accuracy", "early-stop", "reward", "seeds", "parameters",
    "MACs", "took",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Known:
    """Facts about the search that finalists belong to."""

    search: SearchView
    counted: frozenset[int]
    """The trials whose blocks can win."""

    @property
    def winner(self) -> int | None:
        """The trial that has won; None while finalists are trained."""
        best = self.search.status.get("best", {})
        return best["trial"] if "convergedAccuracy" in best else None

    def early(self, trial: int) -> float | None:
        """Return the accuracy of a trial's early-stop training."""
        records = self.search.records[trial : trial + 1]
        return records[0].accuracy if records else None

    def reward(self, trial: int) -> float | None:
        """Return the reward of a trial."""
        records = self.search.records[trial : trial + 1]
        return records[0].reward if records else None


def finalists_section(search: SearchView, records: Sequence[FinalistRecord], size: Size) -> Markup:
    """Write the section about the finalists of a search.

    Args:
        search: the search.
        records: its finalists that have a result.
        size: of the chart.
    """
    if "finalists" not in search.spec:
        return Markup()
    said = _how_far(search)
    if not records:
        return section("Finalists", text=said)
    of = _Known(search, chosen(search))
    archive = FinalistArchive()
    archive.extend(records)
    targets = dict.fromkeys(record.target for record in ordered(records))
    rows = [
        _row(of, target, standing) for target in targets for standing in archive.standings(target)
    ]
    models = [(str(entry.finalist), entry.folder) for entry in ordered(records) if entry.folder]
    own = [entry for entry in archive.standings("") if of.early(entry.trial) is not None]
    troubles = [element("p", text, class_="soft") for text in reasons(records)]
    return section(
        "Finalists",
        *([table(TITLES, rows)] if rows else []),
        *troubles,
        folded("Folders of the models on the volume", table(("finalist", "directory"), models)),
        *([_figure(of, own, size)] if len(own) > 1 else []),
        text=f"The best blocks by reward, trained to convergence. {said}",
    )


def _how_far(search: SearchView) -> str:
    """Return the progress of the finalists, without a message that the page shows above already."""
    conditions = {c["type"]: c for c in search.status.get("conditions", ())}
    message = conditions.get("FinalistsReady", {}).get("message", "")
    above = "".join(conditions.get(kind, {}).get("message", "") for kind in ("Failed", "Degraded"))
    progress = search.status.get("finalists", {}).get("progress")
    if message and message not in above:
        return str(message)
    return f"Finalists with a result: {progress}." if progress else "No finalist has a result yet."


def _row(of: _Known, target: str, standing: SeedStatistics) -> list[str]:
    record, trial = standing.best, standing.trial
    spread = "" if standing.deviation is None else f" ± {standing.deviation:.2%}"
    note = ""
    if not target and trial == of.winner:
        note = " (winner)"
    elif not target and trial not in of.counted:
        note = " (overtaken)"
    early, reward = of.early(trial), of.reward(trial)
    return [
        f"{trial}{note}",
        target or OWN,
        f"{standing.mean:.2%}{spread}",
        "-" if early is None else f"{early:.2%}",
        "-" if reward is None else f"{reward:.2f}",
        str(len(standing.records)),
        "-" if record.parameters is None else short(record.parameters),
        "-" if record.macs is None else short(record.macs),
        duration(sum(seed_record.seconds_of_all for seed_record in standing.records)),
    ]


def _figure(of: _Known, own: Sequence[SeedStatistics], size: Size) -> Markup:
    marks = [("spot", "blue", "a finalist, the mean over its seeds")]
    if any(len(standing.records) > 1 for standing in own):
        marks.append(("line", "grey", "from its lowest to its highest seed"))
    if of.winner is not None:
        marks.append(("ring", "orange", "the winner"))
    if any(standing.trial not in of.counted for standing in own):
        marks.append(("spot", "grey", "overtaken by others during the search: cannot win"))
    return element("div", figure(_chart(of, own, size), marks=legend(marks)), class_="half")


def _chart(of: _Known, own: Sequence[SeedStatistics], size: Size) -> Markup:
    """Draw the converged accuracy of finalists against that of their early-stop training."""
    early = [100 * (of.early(standing.trial) or 0.0) for standing in own]
    converged = [100 * standing.mean for standing in own]
    plot = Plot(
        Scale(*padded(early), 52, size[0] - 12),
        Scale(
            *padded([100 * a for standing in own for a in standing.accuracies]), size[1] - 44, 26
        ),
    )
    drawn: list[Markup] = []
    for standing, x_value, y_value in zip(own, early, converged, strict=True):
        x, lowest, highest = plot.x(x_value), min(standing.accuracies), max(standing.accuracies)
        drawn.append(line((x, plot.y(100 * lowest)), (x, plot.y(100 * highest)), "spread"))
        style = "front-mark" if standing.trial == of.winner else "mean-mark"
        said = element(
            "title", f"trial {standing.trial}: {standing.mean:.2%}, early-stop {x_value / 100:.2%}"
        )
        grey = {} if standing.trial in of.counted else {"style": "fill:var(--grey)"}
        drawn.append(element("circle", said, class_=style, cx=x, cy=plot.y(y_value), r=4, **grey))
    return picture(
        "finalists",
        "Converged against early-stop accuracy",
        _in_words(early, converged),
        size,
        plot.axes("early-stop accuracy, %", "converged accuracy, %", places=1),
        *drawn,
    )


def _in_words(early: Sequence[float], converged: Sequence[float]) -> str:
    text = (
        f"{len(early)} finalists, with an early-stop accuracy of {min(early):.2f}% to "
        f"{max(early):.2f}%, reached {min(converged):.2f}% to {max(converged):.2f}%"
    )
    if len(early) < LEAST:
        return f"{text}."
    return f"{text}; Spearman's rank correlation is {rank_correlation(early, converged):+.2f}."
