"""The report of a search: its numbers, its pictures and its page; tests/monitoring opens it."""

import html
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from cli_searches import NOW, empty, simulated
from hypothesis import given
from hypothesis import strategies as st
from report_pages import Balanced, pictures

from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn_cli.__main__ import main
from blockqnn_cli.errors import ExitStatus
from blockqnn_cli.report import charts, statistics
from blockqnn_cli.report.blocks import drawing, in_words
from blockqnn_cli.report.page import report
from blockqnn_cli.report.scales import Scale
from blockqnn_cli.report.svg import Markup, element, number
from blockqnn_cli.validation.checks import check

RUNNING = simulated(done=56)
PAGE = report(RUNNING, NOW + timedelta(hours=1))


def test_iterations_follow_the_best_and_the_five_best() -> None:
    iterations = statistics.iterations(RUNNING)
    assert [iteration.number for iteration in iterations] == list(range(7))
    trained = [r for r in RUNNING.records if r.outcome is Outcome.SUCCEEDED]
    rewards = sorted((r.reward for r in trained), reverse=True)
    assert iterations[-1].top_1 == rewards[0]
    assert RUNNING.status["best"]["reward"] == pytest.approx(rewards[0])
    assert iterations[-1].top_5 == pytest.approx(sum(rewards[:5]) / 5)
    first = [r.reward for r in RUNNING.records[:8] if r.reward is not None]
    assert iterations[0].mean_reward == pytest.approx(sum(first) / len(first))
    assert statistics.stages(iterations)[0].epsilon == 1


def test_nothing_beats_the_pareto_front_and_it_beats_all_else() -> None:
    measured_trials = statistics.measured(simulated().records)
    front = statistics.pareto_front(measured_trials)

    def beats(a: Any, b: Any) -> bool:
        no_worse = a.parameters <= b.parameters and a.accuracy >= b.accuracy
        return no_worse and (a.parameters < b.parameters or a.accuracy > b.accuracy)

    assert front
    assert not any(beats(other, record) for record in front for other in measured_trials)
    values = {(record.parameters, record.accuracy) for record in front}
    others = [
        record for record in measured_trials if (record.parameters, record.accuracy) not in values
    ]
    assert all(any(beats(record, other) for record in front) for other in others)


def test_the_shares_of_layers_add_up_and_are_few() -> None:
    shares = statistics.layer_shares(simulated(), most=5)
    assert [number for number, _ in shares] == [0, 3, 6, 9]
    assert all(sum(share.values()) == pytest.approx(1) for _, share in shares)


def test_cost_counts_what_duplicates_saved() -> None:
    search = simulated()
    cost = statistics.cost(search.records)
    shared = [search.records[r.shared_with] for r in search.records if r.shared_with is not None]
    assert cost.saved_seconds == sum(r.seconds.total for r in shared if r.seconds) > 0
    assert cost.gpu_seconds == pytest.approx(search.status["gpuSeconds"], abs=0.1)
    assert cost.trials == 96
    assert sum(cost.reasons.values()) == (
        cost.outcomes[Outcome.INFEASIBLE] + cost.outcomes[Outcome.FAILED]
    )


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0, 40, 0, 100), [0, 10, 20, 30, 40]),
        (Scale(-0.03, 0.11, 0, 100), [0, 0.05, 0.1]),
        (Scale(0, 2, 0, 100, integers=True), [0, 1, 2]),
        (Scale(9_000, 1.1e6, 0, 100, logarithmic=True), [1e4, 3e4, 1e5, 3e5, 1e6]),
        (Scale(9_000, 1.1e9, 0, 100, logarithmic=True), [1e4, 1e6, 1e8]),
        (Scale(2_000, 3_000, 0, 100, logarithmic=True), [2_000, 2_500, 3_000]),
        (Scale(5, 5, 0, 100), [5]),
    ],
)
def test_axes_name_round_values(scale: Scale, ticks: list[float]) -> None:
    assert scale.ticks(5) == pytest.approx(ticks)


@given(st.floats(1e-6, 1e9), st.floats(0.01, 1e6), st.booleans(), st.booleans(), st.integers(1, 20))
def test_an_axis_names_no_more_values_than_it_has_room_for(
    low: float, extent: float, logarithmic: bool, integers: bool, most: int
) -> None:
    scale = Scale(low, low + extent, 0, 100, logarithmic, integers)
    ticks = scale.ticks(most)
    assert len(ticks) <= most
    assert ticks == sorted(set(ticks))
    slack = 1e-6 * scale.high
    assert all(scale.low - slack <= tick <= scale.high + slack for tick in ticks)
    assert ticks or integers or extent < 1e-4 * low or most == 1


def test_a_block_is_drawn_and_told_in_words() -> None:
    block = Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,5,0,1,2)(4,2,3,1,0)(5,7,0,0,0)")
    assert in_words(block) == (
        "1 identity of the input; 2 conv 3x3 of 1; 3 add of 1 and 2; 4 max pool 3x3 of 1; "
        "output of 3, 4."
    )
    picture = ElementTree.fromstring(drawing(block, "one", "A block"))
    assert [text.text for text in picture.iter("text")] == [
        "input",
        "1: identity",
        "2: conv 3x3",
        "3: add",
        "4: max pool 3x3",
        "output: concat of 2",
    ]
    alone = ElementTree.fromstring(drawing(Block.parse("(1,7,0,0,0)"), "two", "None"))
    assert [text.text for text in alone.iter("text")] == ["input", "output"]


def test_markup_is_escaped_once() -> None:
    inner = element("b", "a < b & c", title='"x"')
    assert inner == '<b title="&quot;x&quot;">a &lt; b &amp; c</b>'
    assert element("p", inner, Markup("<br>"), "<i>") == f"<p>{inner}<br>&lt;i&gt;</p>"
    assert (number(-0.01), number(3.0), number(2.25)) == ("0", "3", "2.2")


def test_what_a_trainer_says_cannot_break_the_page() -> None:
    condition = {
        "type": "Degraded",
        "status": "True",
        "reason": "X",
        "message": "<script>x()</script>",
    }
    page = report(replace(RUNNING, status={**RUNNING.status, "conditions": [condition]}), NOW)
    assert "<script" not in page
    assert "&lt;script&gt;x()" in page


def test_the_page_needs_no_other_file_and_no_script() -> None:
    assert not re.search(r"https?://|<script|@import|url\(", PAGE)
    assert re.findall(r'(?:href|src)="([^"]*)"', PAGE) == ["data:,"]


def test_the_page_is_balanced_and_its_pictures_are_told_in_words() -> None:
    parser = Balanced()
    parser.feed(PAGE)
    parser.close()
    assert not parser.open
    drawn = pictures(PAGE)
    medians = len(statistics.stages(statistics.iterations(RUNNING)))
    assert len(drawn) == 4 + 6 + medians
    assert all(picture.find("title").text and picture.find("desc").text for picture in drawn)
    identities = re.findall(r' id="([^"]+)"', PAGE)
    assert len(identities) == len(set(identities))
    for picture in drawn:
        assert set(picture.attrib["aria-labelledby"].split()) <= set(identities)


def test_every_chart_has_a_table() -> None:
    rows = [text.count("<tr>") for text in re.findall(r"<table>.*?</table>", PAGE)]
    learning, stages, front, layers, outcomes, reasons = rows
    assert (learning, stages, layers, outcomes) == (8, 3, 8, 5)
    assert front == 1 + len(statistics.pareto_front(RUNNING.records))
    assert reasons >= 2


def test_the_configuration_is_a_manifest_that_can_be_applied() -> None:
    text = html.unescape(re.findall(r"<pre>(.*?)</pre>", PAGE, re.DOTALL)[0])
    (search,) = check(text)
    assert (search.name, search.problems) == ("digits", ())
    assert yaml.safe_load(text)["spec"]["agent"]["batchSize"] == 8


@pytest.mark.parametrize("done", [1, 8, 9])
def test_a_search_that_has_just_begun_has_a_report(done: int) -> None:
    assert len(pictures(report(simulated(done=done), NOW))) >= 4


def test_a_search_without_measurements_has_a_report() -> None:
    bare = {"parameters": None, "macs": None, "seconds": None, "gpus": 0}
    records = tuple(record.model_copy(update=bare) for record in RUNNING.records)
    page = report(replace(RUNNING, records=records), NOW)
    assert "No trainer has reported the parameters of its network." in page
    failed = [
        r.model_copy(update={"outcome": Outcome.FAILED, "accuracy": None, "reward": None})
        for r in records[:8]
    ]
    page = report(replace(RUNNING, records=tuple(failed)), NOW)
    assert "No trial has succeeded yet." in page
    assert "No iteration has a reward yet." in page


def test_many_trials_make_no_large_page() -> None:
    measured_trials = statistics.measured(RUNNING.records) * 300
    assert len(charts.accuracy_by_parameters(measured_trials, 0, "x", (480, 340))) < 20_000


def test_the_command_writes_the_page(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("blockqnn_cli.command.Context.search", lambda _self: RUNNING)
    assert main(["report", "digits"]) == ExitStatus.OK
    assert capsys.readouterr().out == "Wrote the report of lab/digits to digits.html.\n"
    assert Path("digits.html").read_text().startswith("<!DOCTYPE html>\n<html lang=")
    assert main(["report", "digits", "-o", "no/such.html"]) == ExitStatus.FAILED
    assert "cannot be written: No such file or directory." in capsys.readouterr().err
    monkeypatch.setattr("blockqnn_cli.command.Context.search", lambda _self: empty())
    assert main(["report", "digits"]) == ExitStatus.NOTHING_YET
