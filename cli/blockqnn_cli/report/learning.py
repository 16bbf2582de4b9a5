"""Section about learning: rewards beside those of the random phase (CVPR 2018, Fig. 8)."""

from collections.abc import Sequence
from functools import cache

from blockqnn.learning.progress import Learning, Verdict
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_cli.learning import in_words, learning
from blockqnn_cli.report import charts, statistics
from blockqnn_cli.report.charts import Size
from blockqnn_cli.report.html import figure, folded, legend, section, table
from blockqnn_cli.report.statistics import Iteration
from blockqnn_cli.report.svg import Markup, element
from blockqnn_cli.view import SearchView

_TITLES = ("iteration", "epsilon", "trained", "mean accuracy", "best accuracy", "mean reward",
           "best so far", "five best")  # fmt: skip


def learning_section(search: SearchView, wide: Size, narrow: Size) -> Markup:
    """Write the section that says and shows whether a search learns.

    Args:
        search: a search with at least one trial in its history.
        wide: the size of the chart across a page.
        narrow: its size on a phone.
    """
    iterations, judged = statistics.iterations(search), learning(search)
    band = charts.random_band(judged.control, search.batch_size or 1)
    drawn = [
        charts.learning_curve(iterations, f"learning-{name}", size, band, class_=name)
        for name, size in (("wide", wide), ("narrow", narrow))
    ]
    return section(
        "Learning",
        element("p", element("b", in_words(search, judged))),
        *[element("p", remark, class_="soft") for remark in _remarks(search, judged)],
        figure(*drawn, marks=_marks(with_band=band is not None)),
        folded("The same as a table", table(_TITLES, _rows(iterations))),
        text="The mean reward of each iteration, as in Fig. 8 of CVPR 2018. A search learns when "
        "it rises as epsilon falls, by more than chance, and not only by repeating networks.",
        style="attention" if judged.verdict is Verdict.UNLEARNS else "",
    )


def _marks(*, with_band: bool) -> Markup:
    about_band = [
        ("line dashed", "grey", "mean of all random trials"),
        ("", "band", "where 95 % of the iterations would be if all were drawn at random"),
    ]
    return legend(
        [
            ("line", "blue", "mean reward of the iteration"),
            *(about_band if with_band else []),
            ("line", "orange", "best so far"),
            ("line dashed", "green", "mean of the five best so far"),
            ("", "stage-more", "epsilon stages: the lower epsilon, the more the agent decides"),
        ]
    )


def _remarks(search: SearchView, judged: Learning) -> list[str]:
    """Return remarks on the accuracies, and on the trials that are compared."""
    if judged.late is None or judged.control is None:
        return []
    late = [r for r in search.records if judged.first <= r.iteration <= judged.last]
    epsilon = cache(search.epsilon)
    random = [r for r in search.records if epsilon(r.iteration) >= 1]
    remarks = []
    before, after = _mean_accuracy(random), _mean_accuracy(late)
    if before is not None and after is not None:
        remarks.append(
            f"Their mean accuracy is {after:.1%}, in the random phase {before:.1%}. Of the "
            f"{judged.late.size:,} proposals {judged.late.networks:,} are different networks; in "
            f"the random phase {judged.control.networks:,} of {judged.control.size:,} are."
        )
    stopped = sum(record.stopped_after is not None for record in late)
    if stopped:
        remarks.append(
            f"{stopped:,} of those accuracies are extrapolated, since their trainings stopped "
            "themselves."
        )
    return remarks


def _mean_accuracy(records: Sequence[TrialRecord]) -> float | None:
    return statistics.mean([record.accuracy for record in records if record.accuracy is not None])


def _rows(iterations: Sequence[Iteration]) -> list[list[str]]:
    return [
        [
            str(iteration.number), f"{iteration.epsilon:g}", str(iteration.trained),
            statistics.percent(iteration.mean_accuracy),
            statistics.percent(iteration.best_accuracy),
            statistics.plain(iteration.mean_reward), statistics.plain(iteration.top_1),
            statistics.plain(iteration.top_5),
        ]
        for iteration in iterations
    ]  # fmt: skip
