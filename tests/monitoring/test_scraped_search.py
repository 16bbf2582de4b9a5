"""A real Prometheus scrapes a real operator while it runs a real search, and is restarted in it.

One search serves all tests here: its metrics are right, its counters never go back, every panel of
every dashboard has data, and nothing is left of it when it is deleted.
"""

import json
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from monitoring.debian import PROMETHEUS, Unavailable, fetch
from monitoring.prometheus import SCRAPE_SECONDS, Prometheus, Series
from repository_paths import ROOT
from searching import CUSTOM_TRAINER, OPERATOR_USER, Operator, Searching, search_manifest

RULES = ROOT / "helm" / "blockqnn" / "alerts" / "blockqnn.yaml"
DASHBOARDS = {
    path.stem: json.loads(path.read_text())
    for path in sorted((ROOT / "helm" / "blockqnn" / "dashboards").glob("*.json"))
}
TRIALS = 24
WITHOUT_RESULT = 0
"""This trial's trainer never leaves a result; no trial before it can stand in for it."""


def manifest() -> dict[str, Any]:
    """A search of six iterations, from random to greedy, with retries, failures and duplicates."""
    trial = json.loads(json.dumps(CUSTOM_TRAINER))["trial"]
    (container,) = trial["podTemplate"]["spec"]["containers"]
    train = " ".join(container["command"])
    silent = f"*-t{WITHOUT_RESULT:05d}-*"
    # However fast the machine, each iteration spans a scrape or two.
    exit_early = f"case $HOSTNAME in {silent}) exit 0;; esac"
    container["command"] = ["sh", "-c", f"sleep {2 * SCRAPE_SECONDS}; {exit_early}; exec {train}"]
    stages = [(1.0, 2), (0.5, 2), (0.2, 2)]
    return search_manifest(
        trial=trial,
        seed=4,
        budget={"trials": TRIALS},
        space={"maxLayers": 5},
        agent={
            "batchSize": 4,
            "epsilonSchedule": [{"epsilon": e, "iterations": n} for e, n in stages],
        },
        failurePolicy={"retries": 1},
    )


@dataclass(frozen=True)
class Scraped:
    """Remains of the search: Prometheus, and the span of time in which it was scraped."""

    prometheus: Prometheus
    searching: Searching
    start: float
    end: float

    def over_time(self, expression: str) -> list[Series]:
        return self.prometheus.query_range(expression, self.start, self.end)


@pytest.fixture(scope="module")
def searching(installed, eventually, tmp_path_factory) -> Iterator[Searching]:
    """A namespace for all tests of this module, with an operator that is not started yet."""
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    installed.kubectl("create", "namespace", namespace)
    account = ("get", "serviceaccount", "default", "-n", namespace)
    eventually(lambda: installed.kubectl(*account, check=False).returncode == 0)
    log = tmp_path_factory.mktemp("operator") / "log"
    operator = Operator(installed.kubeconfig_for(OPERATOR_USER), namespace, log)
    yield Searching(installed, namespace, operator)
    operator.kill()
    installed.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture(scope="module")
def scraped(searching: Searching, eventually, tmp_path_factory) -> Iterator[Scraped]:
    """A search that was scraped from its beginning to its end; its operator was killed once."""
    try:
        fetch(PROMETHEUS)
    except Unavailable as error:
        pytest.skip(f"NOT TESTED: {error}")
    operator, start = searching.operator, time.time()
    folder = tmp_path_factory.mktemp("prometheus")
    with Prometheus(folder, [operator.metrics_address], [RULES]) as prometheus:
        operator.start()
        searching.apply(manifest())
        eventually(lambda: prometheus.query("sum(blockqnn_trials_total) >= 9"), within=60)
        operator.kill()
        operator.start()
        eventually(searching.is_over, within=60)
        complete = 'sum_over_time(blockqnn_search_phase{phase="Complete"}[1m]) >= 3'
        eventually(lambda: prometheus.query(complete))
        yield Scraped(prometheus, searching, start, time.time())


def test_prometheus_and_the_search_say_the_same(scraped: Scraped) -> None:
    counts, best = scraped.searching.status()["trials"], scraped.searching.status()["best"]
    outcomes = scraped.prometheus.query("blockqnn_trials_total")
    assert {series.labels["outcome"].lower(): series.last for series in outcomes} == {
        outcome: counts[outcome] for outcome in ("succeeded", "infeasible", "failed", "cached")
    }
    assert counts["failed"] == 1, "the trial without a result"
    assert counts["cached"] > 0
    labels = outcomes[0].labels
    assert (labels["namespace"], labels["search"]) == (scraped.searching.namespace, "search")
    (accuracy,) = scraped.prometheus.query("blockqnn_best_accuracy_ratio")
    assert accuracy.last == best["accuracy"]
    (lost,) = scraped.prometheus.query(
        "blockqnn_trials_without_accuracy_total{reason=~'Result.*'} > 0"
    )
    assert (lost.labels["reason"], lost.last) == ("ResultMissing", 1)
    (retries,) = scraped.prometheus.query("blockqnn_trial_retries_total")
    assert retries.last == 1


def test_no_counter_of_the_search_goes_back_when_the_operator_is_killed(scraped: Scraped) -> None:
    (restarts,) = scraped.prometheus.query("changes(process_start_time_seconds[10m])")
    assert restarts.last == 1, "both processes were scraped"
    for counter in (
        "trials_total",
        "trials_without_accuracy_total",
        "trial_retries_total",
        "gpu_seconds_total",
        "gpu_seconds_saved_total",
        "trial_duration_seconds_count",
        "trial_accuracy_ratio_bucket",
        "trial_accuracy_ratio_sum",
    ):
        resets = scraped.prometheus.query(f"resets(blockqnn_{counter}[10m])")
        assert resets, counter
        assert {series.last for series in resets} == {0}, counter


def queries() -> Iterator[Any]:
    """Every query of every panel and annotation."""
    for name, dashboard in DASHBOARDS.items():
        panels = [
            panel
            for top in dashboard["panels"]
            for panel in (top["panels"] if top["type"] == "row" else [top])
        ]
        for panel in panels:
            for target in panel["targets"]:
                identity = f"{name}: {panel['title']} {target['refId']}"
                yield pytest.param(target["expr"], id=identity)
        for annotation in dashboard["annotations"]["list"]:
            yield pytest.param(annotation["expr"], id=f"{name}: {annotation['name']}")


@pytest.mark.parametrize("expression", list(queries()))
def test_every_query_of_the_dashboards_returns_data(expression: str, scraped: Scraped) -> None:
    for variable, value in {
        "$__rate_interval": "5s",
        "$namespace": scraped.searching.namespace,
        "$search": "search",
        "$job": ".+",
        "$instance": ".+",
    }.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression
    all_series = scraped.over_time(expression)
    assert any(series.has_data for series in all_series), f"no data: {expression}"


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_the_variables_of_the_dashboards_find_the_search(
    dashboard: dict[str, Any], scraped: Scraped
) -> None:
    wanted = {
        "job": "blockqnn-operator",
        "instance": scraped.searching.operator.metrics_address,
        "namespace": scraped.searching.namespace,
        "search": "search",
    }
    for variable in dashboard["templating"]["list"][1:]:
        selector, label = (
            variable["query"]["query"].removeprefix("label_values(")[:-1].rsplit(", ", 1)
        )
        for name, value in wanted.items():
            selector = selector.replace(f"${name}", value)
        query = {"match[]": selector, "start": scraped.start, "end": scraped.end}
        assert scraped.prometheus.ask(f"label/{label}/values", **query) == [wanted[label]]


def test_prometheus_evaluates_every_alert(scraped: Scraped) -> None:
    groups = scraped.prometheus.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == 5
    assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}
    firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
    assert firing <= {"BlockQNNResultsMissing"}, "nothing else is wrong with this search"


def test_promtool_finds_nothing_wrong_with_the_metrics(scraped: Scraped, promtool: Path) -> None:
    address = f"http://{scraped.searching.operator.metrics_address}/metrics"
    with urllib.request.urlopen(address, timeout=5) as answer:
        text = answer.read()
    assert b"blockqnn_search_info" in text
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_nothing_is_left_of_a_deleted_search(scraped: Scraped, eventually: Any) -> None:
    """The last test: the search is gone afterwards."""
    series = '{__name__=~"blockqnn_.+", search="search"}'
    assert scraped.prometheus.query(series)
    scraped.searching.kubectl("delete", "bs", "search")
    eventually(lambda: not scraped.prometheus.query(series))
    assert scraped.prometheus.query("blockqnn_build_info"), "the operator goes on"
