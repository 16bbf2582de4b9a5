"""What was foreseen of trials, beside what came of them: the predictor, and trainings that stop."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from blockqnn.contract.message import Outcome
from blockqnn_cli.quantities import count
from blockqnn_cli.report.charts import Plot, Size, dots, line
from blockqnn_cli.report.facts import mean
from blockqnn_cli.report.html import figure, folded, legend, section, table
from blockqnn_cli.report.scales import Scale, padded
from blockqnn_cli.report.svg import Markup, element, picture
from blockqnn_cli.view import SearchView
from blockqnn_operator.core.predictions import Predictions
from blockqnn_operator.core.records import TrialRecord

_GROUPS = 5
"""The table has as many groups of trials, from those of which least was expected to the most."""


def predictions(records: Sequence[TrialRecord]) -> Predictions:
    """Return what a predictor expected of the trials of a history, and what came of them."""
    found = Predictions()
    for record in records:
        found.add(record)
    return found


@dataclass(frozen=True, slots=True)
class Stopping:
    """What it saved that trainings stopped themselves."""

    trainings: int
    """Networks that were trained, to their end or not."""
    epochs: int
    """Of a complete training."""
    stopped: dict[int, int]
    """How many stopped after each epoch, the earliest first."""

    @property
    def saved(self) -> int:
        """The epochs that were not trained."""
        return sum(times * (self.epochs - epoch) for epoch, times in self.stopped.items())

    @property
    def share(self) -> float:
        """The same as a share of the epochs of complete trainings, 0 to 1."""
        return self.saved / max(self.trainings * self.epochs, 1)


def stopping(search: SearchView) -> Stopping:
    """Count the trainings of a search that has started which stopped themselves."""
    trained = [record for record in search.records if record.outcome is Outcome.SUCCEEDED]
    stopped = Counter([r.stopped_after for r in trained if r.stopped_after is not None])
    epochs = int(search.started().settings["training"]["epochs"])
    return Stopping(len(trained), epochs, dict(sorted(stopped.items())))


def foresight(search: SearchView, size: Size) -> Markup:
    """Return the sections about what was foreseen; nothing where a search does without.

    Args:
        search: a search that has started.
        size: that of the chart.
    """
    agent = search.started().settings["agent"]
    parts = []
    if agent.get("predictor"):
        parts.append(_predictor(predictions(search.records), size))
    if agent.get("earlyTermination"):
        parts.append(_stopping(stopping(search)))
    return element("div", *parts, class_="pair") if parts else Markup()


def _predictor(found: Predictions, size: Size) -> Markup:
    title = "Predicted and measured"
    if not len(found):
        return section(title, text="The predictor has not chosen any trial yet.")
    correlation = found.rank_correlation
    told = (
        f"Their rank correlation is {correlation:.2f}, from -1 to 1."
        if correlation is not None
        else "That is too few for a rank correlation."
    )
    marks = legend(
        [
            ("spot", "blue", "a trial"),
            ("line", "orange", "measured as predicted"),
        ]
    )
    titles = ("trials", "predicted", "measured")
    return section(
        title,
        figure(predicted_and_measured(found, "predictions", size), marks=marks),
        folded("In groups, by what was predicted", table(titles, _groups(found))),
        text=f"{count(len(found), 'trial')} chosen with the predictor: which share of the trials "
        f"before it was expected to be worse, and which was. {told}",
    )


def _groups(found: Predictions) -> list[list[str]]:
    pairs = sorted(zip(found.predicted, found.measured, strict=True))
    bounds = [len(pairs) * number // _GROUPS for number in range(_GROUPS + 1)]
    groups = [pairs[a:b] for a, b in itertools.pairwise(bounds) if a < b]
    return [
        [str(len(group)), _percent([one for one, _ in group]), _percent([one for _, one in group])]
        for group in groups
    ]


def _percent(values: Sequence[float]) -> str:
    return f"{mean(values) or 0.0:.0%}"


def predicted_and_measured(found: Predictions, identity: str, size: Size) -> Markup:
    """Draw what came of each trial against what was expected of it, in percent.

    Args:
        found: at least one trial.
        identity: names the picture within the page.
        size: width and height.
    """
    predicted = [100 * value for value in found.predicted]
    measured = [100 * value for value in found.measured]
    low, high = padded([*predicted, *measured])
    plot = Plot(Scale(low, high, 52, size[0] - 12), Scale(low, high, size[1] - 44, 26))
    places = [(plot.x(x), plot.y(y)) for x, y in zip(predicted, measured, strict=True)]
    correlation = found.rank_correlation
    told = "" if correlation is None else f", with a rank correlation of {correlation:.2f}"
    return picture(
        identity,
        "Predicted and measured",
        f"{len(found)} trials{told}. They were expected to be better than {min(predicted):.0f} % "
        f"to {max(predicted):.0f} % of the earlier ones, and are better than {min(measured):.0f} % "
        f"to {max(measured):.0f} %.",
        size,
        plot.axes("predicted, %", "measured, % of earlier trials that are worse"),
        line((plot.x.start, plot.y.start), (plot.x.end, plot.y.end), "front"),
        dots(places, "dot guided"),
    )


def _stopping(found: Stopping) -> Markup:
    stopped = sum(found.stopped.values())
    rows = [
        [f"after {epoch}", str(times), str(times * (found.epochs - epoch))]
        for epoch, times in found.stopped.items()
    ]
    return section(
        "Trainings that stopped themselves",
        *([table(("epochs", "trainings", "epochs saved"), rows)] if rows else []),
        text=f"{stopped} of {count(found.trainings, 'training')} ended early, since their blocks "
        f"would not be among the best: {found.saved:,} of "
        f"{found.trainings * found.epochs:,} epochs were saved, {found.share:.0%}. Their "
        "accuracies are extrapolated.",
    )
