"""`kubectl blockqnn report NAME --beside OTHER`: searches side by side."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from cli_searches import NOW, simulated
from hypothesis import given
from hypothesis import strategies as st

from blockqnn.contract.message import Outcome
from blockqnn_cli.__main__ import main
from blockqnn_cli.errors import ExitStatus
from blockqnn_cli.report.comparison import groups, margin
from blockqnn_cli.report.page import report
from blockqnn_cli.view import SearchView


def named(name: str, search: SearchView, algorithm: str = "QLearning") -> SearchView:
    assert search.header is not None
    agent = {**search.header.settings["agent"], "algorithm": algorithm}
    header = search.header.model_copy(
        update={"settings": search.header.settings | {"agent": agent}}
    )
    return replace(search, name=name, header=header)


LEARNED = [named(f"learned-{seed}", simulated(seed=seed)) for seed in range(3)]
RANDOM = named("random-0", simulated(seed=7), "RandomSearch")


def test_searches_that_differ_in_nothing_but_the_seed_are_one_group() -> None:
    learned, random = groups([LEARNED[0], RANDOM, *LEARNED[1:]])
    assert learned.names == ("learned-0", "learned-1", "learned-2")
    assert (random.names, random.algorithm) == (("random-0",), "RandomSearch")
    assert learned.top_1[-1].margin is not None
    assert random.top_1[-1].margin is None, "one search alone has no band"


def test_a_curve_ends_at_the_best_accuracy_of_all_trials() -> None:
    (alone,) = groups([LEARNED[0]])
    accuracies = sorted(
        (100 * (r.accuracy or 0) for r in LEARNED[0].records if r.outcome is Outcome.SUCCEEDED),
        reverse=True,
    )
    assert alone.top_1[-1].trials == len(LEARNED[0].records)
    assert alone.top_1[-1].mean == pytest.approx(accuracies[0])
    assert alone.top_5[-1].mean == pytest.approx(sum(accuracies[:5]) / 5)
    rising = [point.mean for point in alone.top_1]
    assert rising == sorted(rising)


def test_a_group_goes_as_far_as_its_shortest_search() -> None:
    short = replace(LEARNED[1], records=LEARNED[1].records[:40])
    (both,) = groups([LEARNED[0], short])
    assert both.top_1[-1].trials == 40


def test_the_band_is_that_of_students_distribution() -> None:
    assert margin([1.0]) is None
    assert margin([1.0, 3.0]) == pytest.approx(12.706, rel=1e-3)
    assert margin([1.0, 2.0, 3.0]) == pytest.approx(4.303 / 3**0.5, rel=1e-3)
    assert margin([0.0, 2.0] * 15) == pytest.approx(2.045 * 1.0171 / 30**0.5, rel=0.01)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=40), st.floats(0, 50))
def test_the_band_is_as_wide_wherever_the_values_are(values: list[float], shift: float) -> None:
    assert margin([v + shift for v in values]) == pytest.approx(margin(values), abs=1e-6)


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.identities: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.identities += [value or "" for name, value in attrs if name == "id"]


def test_the_page_has_both_charts_a_table_and_no_identity_twice() -> None:
    page = report(LEARNED[0], NOW, [*LEARNED[1:], RANDOM])
    assert "Side by side" in page
    assert "QLearning: learned-0, learned-1, learned-2" in page
    assert "RandomSearch: random-0" in page
    assert len(re.findall(r"fill-opacity:\.16", page)) == 2, "a band in each chart, of one group"
    checker = _Checker()
    checker.feed(page)
    assert len(set(checker.identities)) == len(checker.identities)
    assert "Side by side" not in report(LEARNED[0], NOW)


class Several:
    """A cluster with several searches."""

    def __init__(self) -> None:
        self.cluster, self.namespace = self, "lab"

    def get(self, _namespace: str, name: str, **_options: bool) -> SearchView:
        return {search.name: search for search in (*LEARNED, RANDOM)}[name]


def test_the_command_reads_each_search_once(monkeypatch, capsys) -> None:
    monkeypatch.setattr("blockqnn_cli.command.Context.searches", Several())
    others = ["learned-1", "random-0", "learned-0", "learned-1"]
    assert main(["report", "learned-0", "-o", "-", "--beside", *others]) == ExitStatus.OK
    page = capsys.readouterr().out
    assert "QLearning: learned-0, learned-1<" in page
