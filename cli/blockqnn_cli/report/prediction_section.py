"""Sections on predictions beside their outcomes: the predictor, and trainings that stop."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from blockqnn.contract.message import Outcome
from blockqnn_api.history.predictions import Predictions
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_cli.quantities import count
from blockqnn_cli.report.charts import Plot, Size, dots, line
from blockqnn_cli.report.html import figure, folded, legend, section, table
from blockqnn_cli.report.scales import Scale, padded
from blockqnn_cli.report.statistics import mean
from blockqnn_cli.report.svg import Markup, element, picture
from blockqnn_cli.view import SearchView

_GROUPS = 5
"""Number of groups of trials in the table, from the lowest predictions to the highest."""


def predictions(records: Sequence[TrialRecord]) -> Predictions:
    """Return the predictions for the trials of a history, beside their outcomes."""
    forecasts = Predictions()
    for record in records:
        forecasts.add(record)
    return forecasts


@dataclass(frozen=True, slots=True)
class Stopping:
    """Savings from trainings that stopped themselves."""

    trainings: int
    """Networks that were trained, to their end or not."""
    epochs: int
    """Epochs of a complete training."""
    stopped: dict[int, int]
    """Number of trainings that stopped after each epoch, the earliest first."""

    @property
    def saved(self) -> int:
        """The epochs that were not trained."""
        return sum(times * (self.epochs - epoch) for epoch, times in self.stopped.items())

    @property
    def share(self) -> float:
        """The saved epochs as a share of the epochs of complete trainings, 0 to 1."""
        return self.saved / max(self.trainings * self.epochs, 1)


def stopping(search: SearchView) -> Stopping:
    """Count the trainings that stopped themselves, in a search that has started."""
    trained = [record for record in search.records if record.outcome is Outcome.SUCCEEDED]
    stopped = Counter([r.stopped_after for r in trained if r.stopped_after is not None])
    epochs = int(search.started().settings["training"]["epochs"])
    return Stopping(len(trained), epochs, dict(sorted(stopped.items())))


def prediction_section(search: SearchView, size: Size) -> Markup:
    """Return the sections on predictions and stopped trainings; empty if a search has neither.

    Args:
        search: a search that has started.
        size: size of the chart.
    """
    agent = search.started().settings["agent"]
    parts = []
    if agent.get("predictor"):
        parts.append(_predictor(predictions(search.records), size))
    if agent.get("earlyTermination"):
        parts.append(_stopping(stopping(search)))
    return element("div", *parts, class_="pair") if parts else Markup()


def _predictor(forecasts: Predictions, size: Size) -> Markup:
    title = "Predicted and measured"
    if not len(forecasts):
        return section(title, text="The predictor has not chosen any trial yet.")
    correlation = forecasts.rank_correlation
    remark = (
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
        figure(predicted_and_measured(forecasts, "predictions", size), marks=marks),
        folded("In groups, by what was predicted", table(titles, _groups(forecasts))),
        text=f"{count(len(forecasts), 'trial')} chosen with the predictor: which share of the "
        f"trials before it was expected to be worse, and which was. {remark}",
    )


def _groups(forecasts: Predictions) -> list[list[str]]:
    pairs = sorted(zip(forecasts.predicted, forecasts.measured, strict=True))
    bounds = [len(pairs) * number // _GROUPS for number in range(_GROUPS + 1)]
    groups = [pairs[a:b] for a, b in itertools.pairwise(bounds) if a < b]
    return [
        [
            str(len(group)),
            _percent([value for value, _ in group]),
            _percent([value for _, value in group]),
        ]
        for group in groups
    ]


def _percent(values: Sequence[float]) -> str:
    return f"{mean(values) or 0.0:.0%}"


def predicted_and_measured(forecasts: Predictions, identity: str, size: Size) -> Markup:
    """Draw the outcome of each trial against its prediction, in percent.

    Args:
        forecasts: the predictions for at least one trial.
        identity: names the picture within the page.
        size: width and height.
    """
    predicted = [100 * value for value in forecasts.predicted]
    measured = [100 * value for value in forecasts.measured]
    low, high = padded([*predicted, *measured])
    plot = Plot(Scale(low, high, 52, size[0] - 12), Scale(low, high, size[1] - 44, 26))
    places = [(plot.x(x), plot.y(y)) for x, y in zip(predicted, measured, strict=True)]
    correlation = forecasts.rank_correlation
    remark = "" if correlation is None else f", with a rank correlation of {correlation:.2f}"
    return picture(
        identity,
        "Predicted and measured",
        f"{len(forecasts)} trials{remark}. They were expected to be better than "
        f"{min(predicted):.0f} % to {max(predicted):.0f} % of the earlier ones, and are better "
        f"than {min(measured):.0f} % to {max(measured):.0f} %.",
        size,
        plot.axes("predicted, %", "measured, % of earlier trials that are worse"),
        line((plot.x.start, plot.y.start), (plot.x.end, plot.y.end), "front"),
        dots(places, "dot guided"),
    )


def _stopping(summary: Stopping) -> Markup:
    stopped = sum(summary.stopped.values())
    rows = [
        [f"after {epoch}", str(times), str(times * (summary.epochs - epoch))]
        for epoch, times in summary.stopped.items()
    ]
    return section(
        "Trainings that stopped themselves",
        *([table(("epochs", "trainings", "epochs saved"), rows)] if rows else []),
        text=f"{stopped} of {count(summary.trainings, 'training')} ended early, since their blocks "
        f"would not be among the best: {summary.saved:,} of "
        f"{summary.trainings * summary.epochs:,} epochs were saved, {summary.share:.0%}. Their "
        "accuracies are extrapolated.",
    )
