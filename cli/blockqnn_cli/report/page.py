"""The page of a report."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

import yaml

from blockqnn.block.nsc import Block
from blockqnn.block.text_drawing import type_name
from blockqnn.contract.message import Outcome
from blockqnn_api.history.finalist_record import FinalistRecord
from blockqnn_api.history.replay import best
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.resolve import resolve
from blockqnn_api.unused_settings import without_unused
from blockqnn_cli.quantities import count, duration, measurements, moment, short
from blockqnn_cli.report import blocks, charts, statistics
from blockqnn_cli.report.comparison import side_by_side
from blockqnn_cli.report.finalists import finalists_section
from blockqnn_cli.report.html import figure, folded, legend, section, table, tiles
from blockqnn_cli.report.learning import learning_section
from blockqnn_cli.report.prediction_section import prediction_section
from blockqnn_cli.report.stages import stages_section
from blockqnn_cli.report.statistics import Cost
from blockqnn_cli.report.style import CSS
from blockqnn_cli.report.svg import Markup, element, join
from blockqnn_cli.view import SearchView

DRAWN_BLOCKS = 6
"""Number of best blocks that are drawn: the status lists ten, which few people compare."""

BROAD = 460.0
"""Width above which the drawing of a block takes two columns where there is room."""

WIDE, NARROW = (1040.0, 400.0), (480.0, 340.0)
"""The sizes of a chart: across a page, and across half of one or a phone."""


def report(
    search: SearchView,
    now: datetime,
    beside: Sequence[SearchView] = (),
    trained: Sequence[FinalistRecord] = (),
) -> str:
    """Return the report of a search as one HTML page that needs no other file.

    Args:
        search: a search with at least one trial in its history.
        now: the time of the report.
        beside: other such searches to compare it with.
        trained: its finalists that have a result.
    """
    cost = statistics.cost(search.records)
    body = [
        _head(search, now),
        _figures(search, cost, trained, now),
        _attention(search),
        finalists_section(search, trained, NARROW),
        learning_section(search, WIDE, NARROW),
        stages_section(search),
        side_by_side([search, *beside], NARROW) if beside else Markup(),
        element("div", _accuracy(search), _layers(search), class_="pair"),
        prediction_section(search, NARROW),
        _best(search),
        _cost(cost),
        _configuration(search),
        _foot(),
    ]
    head = [
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<link rel="icon" href="data:,">'),
        element("title", f"{search.key}: report of a BlockQNN search"),
        element("style", Markup(CSS)),
    ]
    page = element(
        "html", element("head", *head), element("body", element("main", *body)), lang="en"
    )
    return f"<!DOCTYPE html>\n{page}\n"


def _head(search: SearchView, now: datetime) -> Markup:
    dataset = search.spec.get("dataset", {}).get("name", "?")
    text = (
        f"A search for a convolutional block on {dataset}, preset {search.preset}. "
        f"As of {now:%Y-%m-%d %H:%M} UTC."
    )
    badge = element("span", search.phase, class_=f"badge {search.phase}")
    title = element("h1", search.key, badge)
    return element("header", title, element("p", text, class_="soft"))


def _figures(
    search: SearchView, cost: Cost, complete: Sequence[FinalistRecord], now: datetime
) -> Markup:
    status, trained = search.status, cost.trials - cost.outcomes[Outcome.CACHED]
    items = [*_converged(status)]
    leader = next(iter(best(search.records, 1)), None)
    if leader is not None and leader.accuracy is not None:
        size = f", {short(leader.parameters)} parameters" if leader.parameters else ""
        items.append(("Best block", f"{leader.accuracy:.2%}", f"trial {leader.trial}{size}"))
        items.append(("Its reward", f"{leader.reward:.2f}", _meaning(search)))
    budget = search.spec.get("budget", {}).get("trials") or _budget(search)
    items.append(("Trials", f"{cost.trials:,}", f"of a budget of {budget:,}"))
    saved = cost.outcomes[Outcome.CACHED]
    shared = f"{count(saved, 'duplicate')} cost nothing" if saved else "no duplicates so far"
    items.append(("Networks trained", f"{trained:,}", shared))
    items.append(_spent(cost))
    spent = sum(record.gpu_seconds for record in complete)
    if spent:
        items.append(("GPU time of finalists", duration(spent), "not part of the budget"))
    if status.get("startTime"):
        items.append(_time(status, now))
    return tiles(items)


def _meaning(search: SearchView) -> str:
    """Say what the reward is made of."""
    weighted = any(search.started().settings.get("reward", {}).values())
    return "accuracy less cost and density" if weighted else "the accuracy in percent"


def _converged(status: Mapping[str, Any]) -> Sequence[tuple[str, str, str]]:
    """Return the tile about the winner, or about the best finalist so far."""
    best, finalist = status.get("best", {}), status.get("finalists", {}).get("best")
    if not finalist:
        return []
    over = "convergedAccuracy" in best
    spread = f"± {finalist['deviation']:.2%}, " if "deviation" in finalist else ""
    name = "Winner, converged" if over else "Best finalist so far"
    return [(name, f"{finalist['accuracy']:.2%}", f"{spread}trial {finalist['trial']}")]


def _budget(search: SearchView) -> int:
    return int(search.started().settings["budget"]["trials"])


def _spent(cost: Cost) -> tuple[str, str, str]:
    saved = f"{duration(cost.saved_seconds)} more without sharing" if cost.saved_seconds else ""
    if cost.gpu_seconds:
        return "GPU time", duration(cost.gpu_seconds), saved
    return "Time of all trainers", duration(sum(cost.seconds.values())), saved or "without GPUs"


def _time(status: Mapping[str, Any], now: datetime) -> tuple[str, str, str]:
    end, start = status.get("completionTime"), moment(status["startTime"])
    elapsed = duration(((moment(end) if end else now) - start).total_seconds())
    estimate = status.get("estimatedCompletionTime")
    remaining = (moment(estimate) - now).total_seconds() if estimate and not end else 0
    if end:
        return "Time", elapsed, "from start to end"
    return "Time", elapsed, f"about {duration(remaining)} left" if remaining > 0 else "so far"


def _attention(search: SearchView) -> Markup:
    wrong: list[Markup] = []
    said = ""
    for c in search.status.get("conditions", ()):
        message = c.get("message", "")
        wanted = c["status"] == "True" and c["type"] in ("Failed", "Degraded", "Suspended")
        # One cause, such as failed finalists, may set Failed and Degraded with the same message.
        if wanted and not (message and message in said):
            wrong.append(element("p", element("b", f"{c['type']} ({c['reason']}): "), message))
            said += message
    return section("Needs attention", *wrong, style="attention") if wrong else Markup()


def _random_trials(search: SearchView) -> int:
    size = search.batch_size or 1
    stages = statistics.stages(statistics.iterations(search))
    return (stages[0].last + 1) * size if stages and stages[0].epsilon >= 1 else 0


def _accuracy(search: SearchView) -> Markup:
    measured = statistics.measured(search.records)
    title = "Accuracy against parameters"
    if not measured:
        return section(title, text="No trainer has reported the parameters of its network.")
    marks = legend(
        [
            ("spot", "grey", "chosen at random (epsilon 1)"),
            ("spot", "blue", "chosen with what was learned"),
            ("ring", "orange", "Pareto front: no smaller network is better"),
        ]
    )
    drawn = charts.accuracy_by_parameters(measured, _random_trials(search), "accuracy", NARROW)
    rows = [
        [
            str(r.trial),
            statistics.percent(r.accuracy),
            f"{r.parameters:,}",
            f"{r.macs:,}" if r.macs else "-",
        ]
        for r in statistics.pareto_front(measured)
    ]
    titles = ("trial", "accuracy", "parameters", "MACs")
    return section(
        title,
        figure(drawn, marks=marks),
        folded("The Pareto front as a table", table(titles, rows)),
        text="Every trained network; up and to the left is better.",
    )


def _layers(search: SearchView) -> Markup:
    shares = statistics.layer_shares(search)
    names = [(f"t{kind.value}", type_name(kind)) for kind in shares[0][1]]
    rows = [[str(number), *(f"{share[kind]:.1%}" for kind in share)] for number, share in shares]
    titles = ("iteration", *(name for _, name in names))
    return section(
        "Types of layers over time",
        figure(
            charts.layer_types(shares, "layers", NARROW),
            marks=legend(("", colour, name) for colour, name in names),
        ),
        folded("The same as a table", table(titles, rows)),
        text="The share of each type among all layers, as in appendix B of CVPR 2018.",
    )


def _best(search: SearchView) -> Markup:
    leaders = [r for r in best(search.records, len(search.records)) if _is_own(r)][:DRAWN_BLOCKS]
    cards = [_card(rank, record) for rank, record in enumerate(leaders, start=1)]
    text = "By reward, duplicates left out." if cards else "No trial has succeeded yet."
    return section("The best blocks", element("div", *cards, class_="blocks"), text=text)


def _is_own(record: TrialRecord) -> bool:
    return record.outcome is Outcome.SUCCEEDED


def _card(rank: int, record: TrialRecord) -> Markup:
    block = Block.parse(record.block)
    figures = [
        f"accuracy {statistics.percent(record.accuracy)}",
        f"reward {statistics.plain(record.reward)}",
    ]
    figures += measurements(record.measurements, short)
    name = f"{rank}. Trial {record.trial}"
    drawn = blocks.drawing(block, f"block-{rank}", f"The block of trial {record.trial}")
    return element(
        "article",
        element("h3", name),
        element("div", ", ".join(figures), class_="soft"),
        element("div", drawn, class_="scroll", tabindex=0),
        folded("Network Structure Code", element("code", record.block)),
        class_="broad" if blocks.width(block) > BROAD else "slim",
    )


def _cost(cost: Cost) -> Markup:
    total = max(cost.trials, 1)
    bar = element(
        "div",
        *(
            element("span", class_=str(outcome), style=f"width:{100 * number / total:.2f}%")
            for outcome, number in cost.outcomes.items()
            if number
        ),
        class_="bar",
        aria_hidden="true",
    )
    rows = [
        [str(outcome), f"{number:,}", f"{number / total:.1%}", duration(cost.seconds[outcome])]
        for outcome, number in cost.outcomes.items()
    ]
    said = (
        f"A network took {duration(cost.mean_seconds)} on average."
        if cost.mean_seconds
        else "No trainer has reported its run time."
    )
    colours = ("green", "orange", "red", "blue")
    marks = legend(("", c, str(o)) for c, o in zip(colours, cost.outcomes, strict=True))
    return section(
        "Cost",
        bar,
        marks,
        table(("outcome", "trials", "share", "time of trainers"), rows),
        *_reasons(cost),
        text=f"{said} Duplicates of earlier networks share their results and cost nothing.",
    )


def _reasons(cost: Cost) -> Sequence[Markup]:
    if not cost.reasons:
        return []
    ordered = sorted(cost.reasons.items(), key=lambda item: -item[1])
    rows = [[reason, str(outcome), str(number)] for (outcome, reason), number in ordered]
    return [folded("Why trials have no accuracy", table(("reason", "outcome", "trials"), rows))]


def _configuration(search: SearchView) -> Markup:
    header = search.started()
    resolved = resolve(search.spec, header.settings)
    spec = without_unused(resolved.model_dump(mode="json", exclude_none=True), resolved)
    manifest = {
        "apiVersion": "blockqnn.dev/v1alpha1",
        "kind": "BlockSearch",
        "metadata": {"name": search.name, "namespace": search.namespace},
        "spec": spec,
    }
    text = yaml.safe_dump(manifest, sort_keys=False, width=90)
    return section(
        "Configuration",
        folded("Every field, those of the preset included", element("pre", text)),
        text=f"The search as a manifest (seed {header.seed}), started by version "
        f"{header.operator_version}.",
    )


def _foot() -> Markup:
    text = f"Made by kubectl blockqnn report, version {version('blockqnn')}."
    return join([element("footer", text)])
