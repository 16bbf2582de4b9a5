"""The dashboards: what is generated is current, and keeps the rules of Grafana's dashboard linter.

That every query returns data from a real search, ``tests/monitoring`` shows.
"""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser as promql
import pytest
import yaml
from monitoring.dashboards import files
from prometheus_client import CollectorRegistry
from repository_paths import ROOT

from blockqnn_operator.shell.metrics.operator import Metrics
from blockqnn_operator.shell.metrics.search import SearchFamilies

FOLDER = ROOT / "helm" / "blockqnn" / "dashboards"
NAMES = ("operator.json", "search.json")
DASHBOARDS = {name: json.loads((FOLDER / name).read_text()) for name in NAMES}
EXCEPTIONS = {
    (entry["dashboard"], entry["panel"])
    for entry in yaml.safe_load((FOLDER / ".lint").read_text())["exclusions"][
        "target-counter-agg-rule"
    ]["entries"]
}
UNITS = {
    "none", "short", "percentunit", "s", "bytes", "ops", "reqps", "dateTimeAsIso",
}  # fmt: skip
"""The units of Grafana's list that are used; a misspelt one would be shown as a suffix."""

every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels but the rows, those of collapsed rows included."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def expressions(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Titles and PromQL of all panels and annotations."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def parsed(expression: str) -> Any:
    return promql.parse(expression.replace("$__rate_interval", "5m"))


def selectors(node: Any, inside: str = "") -> Iterator[tuple[Any, str]]:
    """The vector selectors of an expression, each with the function that it is an argument of."""
    if isinstance(node, promql.VectorSelector):
        yield node, inside
    elif isinstance(node, promql.MatrixSelector):
        yield node.vector_selector, inside
    elif isinstance(node, promql.Call):
        for argument in node.args:
            yield from selectors(argument, node.func.name)
    elif isinstance(node, promql.BinaryExpr):
        yield from selectors(node.lhs, inside)
        yield from selectors(node.rhs, inside)
    elif isinstance(node, promql.AggregateExpr | promql.ParenExpr | promql.UnaryExpr):
        yield from selectors(node.expr, inside)
    else:
        assert isinstance(node, promql.NumberLiteral | promql.StringLiteral), type(node)


def test_what_is_checked_in_is_what_the_code_makes() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == set(NAMES)
    for name, text in files().items():
        assert (FOLDER / name).read_text() == text, "run `make generate`"


@every_dashboard
def test_a_dashboard_says_what_it_is_and_cannot_be_changed_by_accident(
    dashboard: dict[str, Any],
) -> None:
    assert dashboard["editable"] is False
    assert dashboard["graphTooltip"] == 1, "the crosshair is shared"
    assert re.fullmatch(r"blockqnn-[a-z]+", dashboard["uid"])
    (link,) = dashboard["links"]
    assert (link["tags"], link["keepTime"], link["includeVars"]) == (["blockqnn"], True, True)
    assert dashboard["tags"] == ["blockqnn"]
    rows = [panel for panel in dashboard["panels"] if panel["type"] == "row"]
    identities = [panel["id"] for panel in [*rows, *panels(dashboard)]]
    assert len(set(identities)) == len(identities)


@every_dashboard
def test_there_is_one_data_source_and_everything_uses_it(dashboard: dict[str, Any]) -> None:
    first, *others = dashboard["templating"]["list"]
    assert (first["type"], first["name"], first["label"]) == (
        "datasource",
        "datasource",
        "Data source",
    )
    assert [v["name"] for v in others[:2]] == ["job", "instance"]
    assert all(
        (v["multi"], v["includeAll"], v["allValue"]) == (True, True, ".+") for v in others[:2]
    )
    for user in [*others, *dashboard["annotations"]["list"], *panels(dashboard)]:
        assert user["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels(dashboard):
        assert all(t["datasource"]["uid"] == "${datasource}" for t in panel["targets"])


@every_dashboard
def test_variables_follow_the_time_range_and_narrow_one_another(dashboard: dict[str, Any]) -> None:
    earlier: list[str] = []
    for variable in dashboard["templating"]["list"][1:]:
        assert variable["refresh"] == 2
        query = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        assert query, variable["query"]
        assert query[2] == variable["name"]
        assert set(re.findall(r"\$(\w+)", query[1])) == set(earlier)
        assert list(selectors(parsed(query[1])))
        earlier.append(variable["name"])


@every_dashboard
def test_every_panel_has_a_title_a_description_a_unit_and_queries(
    dashboard: dict[str, Any],
) -> None:
    titles = [panel["title"] for panel in panels(dashboard)]
    assert len(set(titles)) == len(titles)
    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["targets"]
        overridden = {o["matcher"]["options"] for o in panel["fieldConfig"]["overrides"]}
        legends = {target["legendFormat"] for target in panel["targets"]}
        assert overridden <= legends or any("{{" in legend for legend in legends)


@every_dashboard
def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    shown = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [
        cell
        for p in shown
        for cell in itertools.product(
            range(p["x"], p["x"] + p["w"]), range(p["y"], p["y"] + p["h"])
        )
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@every_dashboard
def test_every_query_selects_its_job_and_instance_and_rates_its_counters(
    dashboard: dict[str, Any],
) -> None:
    wanted = [variable["name"] for variable in dashboard["templating"]["list"][1:]]
    used = set()
    for title, expression in expressions(dashboard):
        assert not re.search(r"\[(?!\$__rate_interval\])", expression), f"{title}: {expression}"
        selected = list(selectors(parsed(expression)))
        assert selected, f"{title} selects nothing"
        for selector, function in selected:
            name = selector.name
            matchers = {m.name: (m.op, m.value) for m in selector.matchers.matchers}
            of_search = name.startswith("blockqnn_") and name in SEARCH_METRICS
            needed = wanted if of_search else wanted[:2]
            for label in needed:
                assert matchers.get(label) == (promql.MatchOp.Re, f"${label}"), f"{title}: {name}"
            counter = name.endswith(("_total", "_bucket", "_count", "_sum"))
            if counter and function not in ("rate", "irate", "increase"):
                assert (dashboard["title"], title) in EXCEPTIONS, f"{title}: {name} is a counter"
                used.add((dashboard["title"], title))
    assert used == {entry for entry in EXCEPTIONS if entry[0] == dashboard["title"]}


SEARCH_METRICS = {
    sample
    for family in SearchFamilies()
    for sample in (family.name, *(f"{family.name}_{end}" for end in ("total", "bucket", "info")))
}
PROCESS_METRICS = {"up", *(
    sample.name
    for family in Metrics(lambda: (), lambda: 0, CollectorRegistry()).registry.collect()
    for sample in family.samples
)}  # fmt: skip


@every_dashboard
def test_every_metric_that_is_asked_for_exists(dashboard: dict[str, Any]) -> None:
    asked = {s.name for _, e in expressions(dashboard) for s, _ in selectors(parsed(e))}
    assert asked <= SEARCH_METRICS | PROCESS_METRICS
