"""Each alert is well-formed, fires when it should and only then, and has a runbook."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from repository_paths import ROOT

RULES = ROOT / "helm" / "blockqnn" / "alerts" / "blockqnn.yaml"
CASES = sorted(Path(__file__).with_name("alerts").glob("*.yaml"))
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def test_prometheus_accepts_the_rules(promtool: Path) -> None:
    done = subprocess.run(
        [promtool, "check", "rules", "--lint-fatal", str(RULES)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_an_alert_fires_when_it_should_and_only_then(
    case: Path, promtool: Path, tmp_path: Path
) -> None:
    shutil.copy(RULES, tmp_path)
    shutil.copy(case, tmp_path)
    done = subprocess.run(
        [promtool, "test", "rules", case.name], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_both_firing_and_silent() -> None:
    seen = {
        (alert["alertname"], bool(alert["exp_alerts"]))
        for case in CASES
        for test in yaml.safe_load(case.read_text())["tests"]
        for alert in test["alert_rule_test"]
    }
    assert seen == {(rule["alert"], fires) for rule in ALERTS for fires in (True, False)}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["alert"].startswith("BlockQNN")
    assert rule["labels"]["severity"] in ("warning", "critical")
    annotations = rule["annotations"]
    assert annotations["summary"].endswith(".")
    page = ROOT / annotations["runbook"]
    assert page.stem == rule["alert"]
    text = page.read_text()
    assert text.startswith(f"# {rule['alert']}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS


def test_there_is_no_runbook_without_an_alert() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages == {rule["alert"] for rule in ALERTS}
