"""`kubectl blockqnn` against a real API server, as somebody who may only look."""

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from arro3.io import read_parquet
from searching import CUSTOM_TRAINER, Searching, search_manifest

from blockqnn.block.nsc import Block
from blockqnn_api.history.trial_record import read_lines
from blockqnn_cli.__main__ import main
from blockqnn_cli.errors import ExitStatus

VIEWER_RULES = [
    {"apiGroups": ["blockqnn.dev"], "resources": ["blocksearches"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["configmaps", "pods", "events"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]
"""The rights that docs/tasks/use-the-command-line.md names, and no others."""


@pytest.fixture
def viewer(searching: Searching, tmp_path: Path) -> Path:
    """A kubeconfig of somebody who may look at this namespace, which its context names."""
    user = f"viewer-{uuid.uuid4().hex[:8]}"
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "viewer"},
        "rules": VIEWER_RULES,
    }
    searching.kubectl("create", "-f", "-", text=json.dumps(role))
    searching.kubectl("create", "rolebinding", "viewer", "--role=viewer", f"--user={user}")
    config = yaml.safe_load(searching.cluster.kubeconfig_for(user).read_text())
    for context in config["contexts"]:
        context["context"]["namespace"] = searching.namespace
    path = tmp_path / "viewer.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def talkative_trainer() -> dict:
    """The trainer of the tests, which also writes a line to its log, and whose Jobs stay."""
    trial = json.loads(json.dumps(CUSTOM_TRAINER))["trial"]
    (container,) = trial["podTemplate"]["spec"]["containers"]
    command = " ".join(container["command"])
    container["command"] = ["sh", "-c", f"echo training $HOSTNAME; exec {command}"]
    return {"trial": {**trial, "retain": {"succeeded": 10}}}


def test_a_viewer_follows_a_search_and_sees_what_it_found(
    searching, viewer, capsys, tmp_path
) -> None:
    searching.apply(search_manifest(**talkative_trainer(), budget={"trials": 6}))

    def run(*arguments: str, expect: ExitStatus = ExitStatus.OK) -> str:
        status = main([*arguments, "--kubeconfig", str(viewer)])
        captured = capsys.readouterr()
        assert status == expect, captured.err
        assert captured.err.count("\n") <= 1
        return captured.out or captured.err

    lines = run("status", "search", "--watch").splitlines()
    assert lines[-1].startswith(f"{searching.namespace}/search: Complete, 6/6 trials, 0 running")
    document = json.loads(run("status", "search", "-o", "json"))
    assert document["status"]["progress"] == "6/6"
    assert (document["settings"]["preset"], document["settings"]["space"]["maxLayers"]) == (
        "CVPR2018",
        5,
    )
    assert yaml.safe_load(run("status", "search", "-o", "yaml"))["settings"] == document["settings"]
    assert {"NewBest", "Complete"} <= {event["reason"] for event in document["events"]}
    assert "took " in run("status", "search")

    records = json.loads(run("trials", "search", "-o", "json"))
    assert [record["trial"] for record in records] == list(range(6))
    best = Block.parse(run("best", "search", "-o", "nsc"))
    assert str(best) == document["status"]["best"]["block"]
    parquet = tmp_path / "trials.parquet"
    shell = [sys.executable, "-m", "blockqnn_cli", "trials", "search", "-o", "parquet"]
    with parquet.open("wb") as file:
        subprocess.run([*shell, "--kubeconfig", str(viewer)], stdout=file, check=True)
    assert read_parquet(parquet).read_all().num_rows == 6
    trained = next(r["trial"] for r in records if r["outcome"] == "Succeeded")
    assert run("logs", "search", str(trained)).startswith("training ")
    assert "has not started" in run("logs", "search", "99", expect=ExitStatus.NOT_FOUND)

    page = tmp_path / "report.html"
    run("report", "search", "-o", str(page))
    assert "Learning curve</title>" in page.read_text()
    file = tmp_path / "history.jsonl"
    run("history", "export", "search", str(file))
    assert len(read_lines(file.read_text().splitlines())[1]) == 6
    assert "has trials in its history already" in run(
        "history", "import", "search", str(file), expect=ExitStatus.FAILED
    )

    assert f"no BlockSearch 'other' in namespace '{searching.namespace}'" in run(
        "status", "other", expect=ExitStatus.NOT_FOUND
    )
    refused = run("trials", "search", "-n", "default", expect=ExitStatus.FORBIDDEN)
    assert 'cannot get resource "blocksearches"' in refused


FIVE_TRIALS = search_manifest(**CUSTOM_TRAINER, budget={"trials": 5})


@pytest.fixture
def finished(searching, viewer, eventually, tmp_path) -> tuple[Path, dict[str, Any]]:
    """The exported history, and the status, of a search that is over."""
    searching.apply(FIVE_TRIALS)
    eventually(searching.is_over, within=60)
    file = tmp_path / "history.jsonl"
    assert main(["history", "export", "search", str(file), "--kubeconfig", str(viewer)]) == 0
    return file, searching.status()


def test_a_restored_history_is_all_that_a_search_needs(
    searching, viewer, finished, eventually, capsys
) -> None:
    file, before = finished
    assert searching.operator.stop() == 0
    searching.kubectl("delete", "bs", "search", "--wait=true", "--timeout=20s")
    eventually(lambda: not searching.items("configmaps,jobs", "blockqnn.dev/search"))

    searching.apply(FIVE_TRIALS)
    administrator = str(searching.cluster.kubeconfig)
    arguments = ["history", "import", "search", str(file), "-n", searching.namespace]
    assert main([*arguments, "--kubeconfig", str(viewer)]) == ExitStatus.FORBIDDEN
    assert main([*arguments, "--kubeconfig", administrator]) == ExitStatus.OK
    assert "Restored 5 trials" in capsys.readouterr().out
    searching.operator.start()
    eventually(searching.is_over, within=60)
    assert searching.status()["best"] == before["best"]
    assert not searching.jobs(), "nothing had to be trained again"


@pytest.mark.long
def test_a_history_that_is_restored_under_a_suspended_search_is_gone_on_from(
    searching, finished, eventually
) -> None:
    """The operator runs all the time, and has seen the search without any trial."""
    file, before = finished
    searching.kubectl("delete", "bs", "search", "--wait=true", "--timeout=20s")

    searching.apply({**FIVE_TRIALS, "spec": {**FIVE_TRIALS["spec"], "suspend": True}})
    eventually(lambda: searching.status().get("phase") == "Suspended", within=60)
    arguments = ["history", "import", "search", str(file), "-n", searching.namespace]
    administrator = str(searching.cluster.kubeconfig)
    assert main([*arguments, "--kubeconfig", administrator]) == ExitStatus.OK
    searching.patch({"suspend": False})
    eventually(searching.is_over, within=60)
    assert searching.status()["best"] == before["best"]
    assert searching.status()["trials"] == before["trials"]
    assert not searching.jobs(), "nothing had to be trained again"
