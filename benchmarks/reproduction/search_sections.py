"""The sections of docs/reproduction.md whose figures are of whole searches."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from benchmarks.reproduction.charts import Axes, Line, draw_lines
from benchmarks.reproduction.course import TOP, Course
from benchmarks.reproduction.figures import (
    Learning,
    best_so_far,
    difference,
    mean_by_iteration,
    median_trials,
    over_seeds,
    stage_bounds,
)
from benchmarks.reproduction.searches import PRESETS, SHORTER
from benchmarks.reproduction.section import Section, holds
from blockqnn.block.nsc import LayerType
from blockqnn.block.svg_drawing import svg_drawing

Searches = Mapping[str, Sequence[Course]]


def learning_curve(searches: Searches, best: float, pictures: Path) -> Section:
    """Fig. 8 (AAAI 2017: Fig. 7): the mean accuracy of each batch, with the stages."""
    lines, rows, verdicts = [], [], []
    figures: dict[str, object] = {}
    for preset in PRESETS:
        courses = searches[preset]
        means = mean_by_iteration(courses, "accuracy")
        lines.append(Line(preset, range(len(means)), means))
        learned = Learning.of(courses, best)
        rise = over_seeds(courses, lambda course: course.stage_worths[-1] - course.stage_worths[0])
        control = difference(courses, searches[f"{preset}, control"], "last_mean")
        rows.append(
            f"| {preset} | {learned.random_mean} | {learned.last_mean} | {rise} "
            f"| {learned.gap_closed.mean:.0f} % | {learned.rises.mean:.1f} of 9 | {control} "
            f"| {learned.distinct.mean:.0f} % | {learned.length.mean:.1f} |"
        )
        verdicts.append(f"{preset}: {holds(rise).lower()}, {rise.mean:+.1f} points")
        figures[preset] = {"learning": learned, "rise": rise, "above control": control}
    bounds = stage_bounds(searches[PRESETS[0]][0])
    draw_lines(
        pictures / "fig8-learning.svg",
        Axes("Mean accuracy of a batch", "iteration", "accuracy, %"),
        lines,
        [first for _, first, _ in bounds[1:]],
    )
    text = "\n".join(
        [
            "![learning curves](pictures/reproduction/fig8-learning.svg)",
            "",
            "| | epsilon 1 | epsilon 0.1 | rise | of the gap to the best closed | stages above the "
            "one before | above the control | different networks, last stage | layers |",
            "|---|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            "Means are of worths. The *control* is the same search with a reward of 50 for every "
            "block: what it gains is the length that the papers' shaping favours, not information.",
        ]
    )
    return Section(
        "Fig. 8: the learning curve",
        "the mean early-stop accuracy rises from 56 % (epsilon 1) to 65 % (epsilon 0.1), and the "
        "best blocks appear in the last stage.",
        text,
        "; ".join(verdicts) + ".",
        figures,
    )


def shaping(searches: Searches, best: float, pictures: Path) -> Section:
    """Fig. 5 (AAAI 2017: Fig. 6): with and without the shaped reward."""
    lines, rows, verdicts = [], [], []
    figures: dict[str, object] = {}
    for preset in PRESETS:
        plain = searches[f"{preset}, not shaped"]
        for name, courses in ((preset, searches[preset]), (f"{preset}, not shaped", plain)):
            means = mean_by_iteration(courses, "accuracy")
            lines.append(Line(name, range(len(means)), means))
            learned = Learning.of(courses, best)
            rows.append(f"| {name} | {learned.last_mean} | {learned.length.mean:.1f} |")
        gain = difference(searches[preset], plain, "last_mean")
        verdicts.append(f"{preset}: {holds(gain).lower()}, {gain.mean:+.1f} points at epsilon 0.1")
        figures[preset] = {"gain": gain}
    draw_lines(
        pictures / "fig5-shaping.svg",
        Axes("With and without shaped rewards", "iteration", "accuracy, %"),
        lines,
    )
    text = "\n".join(
        [
            "![shaping](pictures/reproduction/fig5-shaping.svg)",
            "",
            "| | mean worth at epsilon 0.1 | layers |",
            "|---|---|---|",
            *rows,
        ]
    )
    return Section(
        "Fig. 5: shaped rewards",
        "with the shaped intermediate reward the agent converges faster; without it the agent "
        "prefers small blocks.",
        text,
        "; ".join(verdicts) + ".",
        figures,
    )


def against_random(
    searches: Searches, names: Sequence[str], best: float, pictures: Path, title: str
) -> Section:
    """Figs. 10 and 11: the best and the five best against random search of the same size."""
    lines, rows, verdicts = [], [], []
    figures: dict[str, object] = {}
    for name in names:
        rival = f"{name}, random search"
        for who, courses in ((name, searches[name]), (rival, searches[rival])):
            for count, style in ((1, "-"), (TOP, "--")):
                curves = [best_so_far(course, count) for course in courses]
                mean = [fmean(values) for values in zip(*curves, strict=True)]
                lines.append(Line(f"{who}, top {count}", range(len(mean)), mean, style))
            learned = Learning.of(courses, best)
            rows.append(
                f"| {who} | {learned.best_measured} | {learned.top_measured} "
                f"| {learned.top_worth} | {learned.top_by_reward} |"
            )
        gains = {
            figure: difference(searches[name], searches[rival], figure)
            for figure in ("best_measured", "top_measured", "top_worth", "top_by_reward")
        }
        rows.append(f"| difference | {' | '.join(str(gain) for gain in gains.values())} |")
        verdicts.append(
            f"{name}: {holds(gains['best_measured']).lower()} for the best "
            f"({gains['best_measured'].mean:+.2f}), {holds(gains['top_measured']).lower()} for the "
            f"five best ({gains['top_measured'].mean:+.2f})"
        )
        figures[name] = gains
    file = f"{title.split(':')[0].lower().replace('. ', '')}-random.svg"
    draw_lines(
        pictures / file,
        Axes("Best blocks so far", "iteration", "accuracy, %"),
        lines,
    )
    text = "\n".join(
        [
            f"![against random search](pictures/reproduction/{file})",
            "",
            "| exploitation phase | best, measured | five best, measured | worth of the five with "
            "the highest worth | worth of the five with the highest reward |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )
    return Section(
        title,
        "the best and the mean of the five best are over one point above random search, which has "
        "the same random phase.",
        text,
        "; ".join(verdicts) + ".",
        figures,
    )


def shorter(searches: Searches, best: float) -> Section:
    """AAAI 2017, Fig. 3: half of the iterations."""
    rows, verdicts = [], []
    figures: dict[str, object] = {}
    for preset in PRESETS:
        half = searches[f"{preset}, {SHORTER} iterations"]
        for name, courses in (("178", searches[preset]), (str(SHORTER), half)):
            learned = Learning.of(courses, best)
            rows.append(
                f"| {preset} | {name} | {learned.last_mean} | {learned.top_worth} "
                f"| {learned.best_measured} |"
            )
        gain = difference(searches[preset], half, "last_mean")
        top = difference(searches[preset], half, "top_worth")
        verdicts.append(
            f"{preset}: {holds(gain).lower()} for the last mean ({gain.mean:+.2f}), "
            f"{holds(top).lower()} for the five best ({top.mean:+.2f})"
        )
        figures[preset] = {"last mean": gain, "five best": top}
    text = "\n".join(
        [
            "| | iterations | mean worth at epsilon 0.1 | five best worths | best measured |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )
    return Section(
        "89 against 178 iterations",
        "a longer exploration and exploitation gives better results (AAAI 2017, Fig. 3; CVPR 2018, "
        "section 4.2).",
        text,
        "; ".join(verdicts) + ".",
        figures,
    )


def medians(searches: Searches, pictures: Path) -> Section:
    """Appendix B: the block with the median accuracy of each stage."""
    course = searches[PRESETS[0]][0]
    rows, convolutions, lengths = [], [], []
    for stage, (epsilon, trial) in enumerate(median_trials(course)):
        file = f"median-{stage}.svg"
        (pictures / file).write_text(svg_drawing(trial.block))
        types = [layer.type for layer in trial.block.body]
        count = {kind: types.count(kind) for kind in LayerType}
        lengths.append(len(types))
        convolutions.append(count[LayerType.CONVOLUTION])
        rows.append(
            f"| {epsilon:g} | {trial.accuracy:.1f} | {len(types)} "
            f"| {count[LayerType.CONVOLUTION]} | {count[LayerType.ADD]} "
            f"| {count[LayerType.CONCAT]} | [drawing](pictures/reproduction/{file}) |"
        )
    text = "\n".join(
        [
            f"The first seed of {PRESETS[0]}; the median over the proposals of the stage.",
            "",
            "| epsilon | accuracy, % | layers | convolutions | adds | concats | |",
            "|---|---|---|---|---|---|---|",
            *rows,
        ]
    )
    verdict = (
        f"{'Holds' if lengths[-1] > lengths[0] else 'Does not hold'}: from {lengths[0]} layers in "
        f"the random phase to {lengths[-1]} in the last stage."
    )
    return Section(
        "Appendix B: the median block of each stage",
        "blocks of the random phase are much simpler than those of the exploitation phase.",
        text,
        verdict,
        {"layers": lengths, "convolutions": convolutions},
    )
