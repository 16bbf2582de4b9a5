"""Answers of an API server, as a person sees them: one line and an exit status each."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from blockqnn_cli.__main__ import main
from blockqnn_cli.errors import ExitStatus

NO_SEARCH = 'blocksearches.blockqnn.dev "birds" not found'
NO_RIGHT = 'blocksearches.blockqnn.dev "birds" is forbidden: User "eve" cannot get resource'


class Answering(BaseHTTPRequestHandler):
    """Gives every request the answer of the test."""

    answer: tuple[int, str] = (500, "")
    by_kind: Mapping[str, Any] = {}
    """Answers to paths that hold a word; all others get the answer above."""

    def do_GET(self) -> None:
        status, body = self.answer
        for word, objects in self.by_kind.items():
            if word in self.path:
                status, body = 200, json.dumps(objects)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        config = {
            "current-context": "test",
            "contexts": [
                {"name": "test", "context": {"cluster": "c", "user": "u", "namespace": "lab"}},
                {"name": "bare", "context": {"cluster": "c", "user": "u"}},
            ],
            "clusters": [
                {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
            ],
            "users": [{"name": "u", "user": {}}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(config))
        yield path
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        ((404, json.dumps({"message": NO_SEARCH})), 4, "There is no BlockSearch 'birds' in names"),
        ((404, "404 page not found\n"), 4, "does not know BlockSearches; is the BlockQNN operator"),
        ((401, json.dumps({"message": "Unauthorized"})), 5, "does not know this user (401 Unauth"),
        ((403, json.dumps({"message": NO_RIGHT})), 5, f"refuses this: {NO_RIGHT}. Ask an admini"),
        ((500, "<html>"), 1, "refused the request (500): Internal Server Error."),
    ],
)
def test_a_refusal_is_one_line_and_its_own_exit_status(
    answer, status, message, kubeconfig, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(Answering, "answer", answer)
    assert main(["status", "birds", "--kubeconfig", str(kubeconfig)]) == ExitStatus(status)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "namespace"),
    [([], "lab"), (["-n", "own"], "own"), (["--context", "bare"], "default")],
)
def test_the_namespace_is_that_of_the_context(
    arguments, namespace, kubeconfig, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(Answering, "answer", (404, json.dumps({"message": NO_SEARCH})))
    assert main(["status", "birds", *arguments, "--kubeconfig", str(kubeconfig)]) == 4
    assert f"in namespace '{namespace}'" in capsys.readouterr().err


def test_an_unknown_context_is_one_line(kubeconfig, capsys) -> None:
    arguments = ["status", "birds", "--context", "none", "--kubeconfig", str(kubeconfig)]
    assert main(arguments) == ExitStatus.UNREACHABLE
    assert capsys.readouterr().err.count("\n") == 1


SEARCH = {
    "metadata": {"name": "birds", "uid": "1"},
    "spec": {},
    "status": {"phase": "Failed", "progress": "3/8", "conditions": [
        {"type": "Failed", "status": "True", "reason": "HistoryUnreadable", "message": "Damaged."}
    ]},
}  # fmt: skip

DAMAGED = {
    "kind": "ConfigMapList",
    "items": [
        {
            "metadata": {"name": "birds-history-0000", "resourceVersion": "1"},
            "data": {"records.jsonl": "{}\n"},
        }
    ],
}


def test_the_status_of_a_search_with_a_damaged_history_is_shown(
    kubeconfig, monkeypatch, capsys
) -> None:
    answers = {"blocksearches": SEARCH, "configmaps": DAMAGED}
    monkeypatch.setattr(Answering, "by_kind", answers)
    monkeypatch.setattr(Answering, "answer", (403, json.dumps({"message": "no right to events"})))
    assert main(["status", "birds", "--kubeconfig", str(kubeconfig)]) == ExitStatus.OK
    captured = capsys.readouterr()
    assert "3/8 trials" in captured.out
    assert "Failed (HistoryUnreadable): Damaged." in captured.out
    assert main(["trials", "birds", "--kubeconfig", str(kubeconfig)]) == ExitStatus.FAILED
    error = capsys.readouterr().err
    assert error.startswith("error: A Header of the history is wrong")
    assert error.count("\n") == 1


def test_the_status_needs_no_right_to_the_history(kubeconfig, monkeypatch, capsys) -> None:
    monkeypatch.setattr(Answering, "by_kind", {"blocksearches": SEARCH})
    monkeypatch.setattr(Answering, "answer", (403, json.dumps({"message": "no right"})))
    assert main(["status", "birds", "--kubeconfig", str(kubeconfig)]) == ExitStatus.OK
    assert main(["best", "birds", "--kubeconfig", str(kubeconfig)]) == ExitStatus.FORBIDDEN
    assert "refuses this: no right." in capsys.readouterr().err


ODD = [
    [],
    {},
    "text",
    None,
    {"metadata": None},
    {"metadata": {"uid": "1"}, "status": []},
    {"metadata": {"uid": "1"}, "status": {"progress": "a/b"}},
    {"metadata": {"uid": "1"}, "status": {"trials": 7, "best": {"accuracy": "\x1b[2J"}}},
    {"metadata": {"uid": "1"}, "spec": 5, "status": {"conditions": [7]}},
]


@pytest.mark.parametrize("command", ["status", "trials", "best", "finalists", "report"])
@pytest.mark.parametrize("body", ODD, ids=json.dumps)
def test_an_answer_of_another_form_is_one_line(
    command, body, kubeconfig, monkeypatch, capsys, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    answers = {"blocksearches": body, "configmaps": {"items": []}, "events": {"items": []}}
    monkeypatch.setattr(Answering, "by_kind", answers)
    status = main([command, "birds", "--kubeconfig", str(kubeconfig)])
    assert status in (ExitStatus.FAILED, ExitStatus.NOTHING_YET)
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "\x1b" not in error


def test_a_traceback_is_shown_to_those_who_ask_for_it(kubeconfig, monkeypatch) -> None:
    monkeypatch.setattr(Answering, "by_kind", {"blocksearches": {}})
    monkeypatch.setenv("BLOCKQNN_TRACEBACK", "1")
    with pytest.raises(KeyError):
        main(["status", "birds", "--kubeconfig", str(kubeconfig)])


def test_a_refusal_with_control_characters_is_one_plain_line(
    kubeconfig, monkeypatch, capsys
) -> None:
    refusal = json.dumps({"message": "no\x1b]0;owned\x07\r\nright"})
    monkeypatch.setattr(Answering, "answer", (403, refusal))
    assert main(["status", "birds", "--kubeconfig", str(kubeconfig)]) == ExitStatus.FORBIDDEN
    error = capsys.readouterr().err
    assert "no\\x1b]0;owned\\x07 right" in error
    assert error.count("\n") == 1
