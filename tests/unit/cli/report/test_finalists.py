"""Section of a report on finalists."""

import re
from dataclasses import replace
from typing import Any

import pytest
from cli_finalists import BEST, MESSAGE, PLAIN, READY, RECORDS, record
from cli_searches import NOW
from report_pages import Balanced, pictures

from blockqnn.contract.message import Outcome
from blockqnn_api.history.finalist_record import FinalistRecord
from blockqnn_cli.__main__ import main
from blockqnn_cli.errors import ExitStatus
from blockqnn_cli.report.page import report


def section(*records: FinalistRecord, search: Any = READY) -> str:
    """The section about finalists, of a page that is whole."""
    page = report(search, NOW, trained=records)
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert not parser.open
    sections = re.findall(r"<section><h2>Finalists</h2>.*?</section>", page, re.DOTALL)
    return sections[0] if sections else ""


def rows(text: str) -> list[list[str]]:
    """The cells of its table, without the titles."""
    lines = re.findall(r"<tr>(<td.*?)</tr>", text.partition("<details>")[0])
    return [re.findall(r"<td>(.*?)</td>", line) for line in lines]


def test_the_table_has_mean_and_spread_the_targets_and_the_winner_first() -> None:
    text = section(*RECORDS)
    assert MESSAGE in text
    listed_rows = rows(text)
    assert len(listed_rows) == 11
    winner = next(row for row in listed_rows if row[0] == f"{BEST[0].trial} (winner)")
    mean = ((RECORDS[0].accuracy or 0) + 0.9999) / 2
    assert winner[2].startswith(f"{mean:.2%} ± ")
    assert winner[3:6] == [f"{BEST[0].accuracy:.2%}", f"{BEST[0].reward:.2f}", "2"]
    assert [row[1] for row in listed_rows].count("cifar100") == 1
    assert listed_rows[-1][:3] == [str(BEST[1].trial), "cifar100", "71.00%"]


def test_the_chart_shows_every_block_its_seeds_and_the_winner() -> None:
    text = section(*RECORDS)
    (drawn,) = pictures(text)
    assert drawn.find("title").text == "Converged against early-stop accuracy"  # type: ignore[union-attr]
    said = drawn.find("desc").text or ""  # type: ignore[union-attr]
    assert said.startswith("10 finalists, with an early-stop accuracy of ")
    assert "Spearman's rank correlation is +" in said
    styles = [circle.attrib["class"] for circle in drawn.iter("circle")]
    assert sorted(styles) == ["front-mark"] + ["mean-mark"] * 9
    assert "from its lowest to its highest seed" in text
    assert "overtaken" not in text


def test_overtaken_blocks_are_marked() -> None:
    few = replace(READY, spec={**READY.spec, "finalists": {"count": 3, "volume": {"emptyDir": {}}}})
    text = section(*RECORDS, search=few)
    assert sum("overtaken" in row[0] for row in rows(text)) == 7
    assert "cannot win" in text


def test_what_has_no_accuracy_or_met_damage_is_told_with_the_reason() -> None:
    fields: dict[str, Any] = {"outcome": Outcome.INFEASIBLE, "reason": "NotFinite"}
    unfit = record(2, None, seed=3, message="<The loss is not finite.>", **fields)
    hurt = record(1, 0.8, seed=2, damaged_checkpoints=1)
    text = section(unfit, hurt)
    assert f"trial {BEST[2].trial}, seed 3: NotFinite: &lt;The loss is not finite.&gt;" in text
    assert f"trial {BEST[1].trial}, seed 2: 1 checkpoint on the volume could not be read." in text
    assert not pictures(text), "one block makes no chart"


def test_gpu_time_of_finalists_and_the_winner_are_among_the_figures() -> None:
    page = report(READY, NOW, trained=[record(0, 0.9, gpus=2, seconds={"total": 3600.0})])
    assert "<dt>GPU time of finalists</dt>" in page
    assert '<dd class="value">2 h</dd>' in page
    assert rows(section(record(0, 0.9, gpus=2, seconds={"total": 3600.0})))[0][8] == "1 h"
    assert "<dt>Winner, converged</dt>" in page
    running = {**READY.status, "best": PLAIN.status["best"]}
    assert "<dt>Best finalist so far</dt>" in report(replace(READY, status=running), NOW)


def test_before_the_first_result_the_section_says_what_is_waited_for() -> None:
    assert MESSAGE in section()
    assert "No finalist has a result yet." in section(search=replace(READY, status=PLAIN.status))
    assert section(search=PLAIN) == "", "no finalists are asked for"


def test_where_the_models_are_is_told_of_each_seed() -> None:
    models = section(*RECORDS).partition("<details>")[2]
    assert models.count("lab/digits/trial-") == len(RECORDS)
    assert f"Finalist of trial {BEST[1].trial}, target cifar100, seed 0" in models


def test_what_needs_attention_is_said_once() -> None:
    condition = {"status": "True", "reason": "FinalistsNotReady", "message": "One has failed."}
    failed = {**condition, "type": "Failed", "message": "All trials are done. One has failed."}
    conditions = [
        failed,
        {**condition, "type": "Degraded"},
        {**condition, "type": "FinalistsReady"},
    ]
    finalists = {**READY.status["finalists"], "progress": "12/13"}
    status = {**READY.status, "conditions": conditions, "finalists": finalists}
    page = report(replace(READY, status=status), NOW, trained=RECORDS)
    assert page.count("One has failed.") == 1
    assert "Finalists with a result: 12/13." in page


def test_the_command_reads_the_finalists(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Searches:
        """A cluster with one search."""

        def finalists(self, _search: Any) -> list[FinalistRecord]:
            return RECORDS

    monkeypatch.setattr("blockqnn_cli.command.Context.search", lambda _self: READY)
    monkeypatch.setattr("blockqnn_cli.command.Context.searches", Searches())
    page = tmp_path / "report.html"
    assert main(["report", "digits", "-o", str(page)]) == ExitStatus.OK
    assert "Converged against early-stop accuracy" in page.read_text()
