"""Text of others reaches neither a terminal nor a spreadsheet as a command."""

import csv
import io
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cli_finalists import RECORDS
from cli_searches import EVENTS, NOW, simulated
from hypothesis import example, given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from blockqnn_api.history.shards import Shard
from blockqnn_cli import terminal_views, trials
from blockqnn_cli.__main__ import main
from blockqnn_cli.errors import CommandError, ExitStatus
from blockqnn_cli.formats import csv_text
from blockqnn_cli.plain import PlainConsole, cell, plain
from blockqnn_cli.view import EventView, SearchView

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\x7f\u202e[bold]=1"
"""Text that sets a terminal's title, clears it, goes back in a line and turns its direction."""

TEXTS = st.text() | st.lists(st.sampled_from(["\x1b", "[", "m", "2J", "\r", "\u202e", "a"])).map(
    "".join
)


def acting(text: str) -> list[str]:
    """The characters of a text that do something to a terminal."""
    return [
        character
        for character in text
        if (unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character not in "\n\t")
        or unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI")
    ]


@given(TEXTS)
@example(EVIL)
def test_no_character_of_a_plain_text_acts(text: str) -> None:
    assert not acting(plain(text))
    assert plain(plain(text)) == plain(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]) | st.sampled_from("\n\t")))
def test_a_text_that_is_plain_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_colours_are_left_out_and_all_else_is_written_out() -> None:
    assert plain("\x1b[1;31mred\x1b[0m\x1b[K \x1b[2J\u202e") == "red \\x1b[2J\\u202e"


@given(TEXTS, st.booleans())
@example(EVIL, True)
def test_a_terminal_gets_the_sequences_of_the_console_alone(text: str, is_terminal: bool) -> None:
    # Without colours the console has none of its own.
    file = io.StringIO()
    console = PlainConsole(file=file, force_terminal=is_terminal, no_color=True, color_system=None)
    table = Table(text.replace("[", "("))
    table.add_row(Text(text))
    for renderable in (Text(text, "bold red"), table, text.replace("[", "(")):
        console.print(renderable)
    assert not acting(file.getvalue())


@given(TEXTS | st.integers() | st.floats() | st.none())
@example("=1+1")
@example("\t=1")
@example("\r=1")
@example("@SUM(A1)")
@example("-1e-8")
def test_no_cell_is_a_formula_and_numbers_stay(value: Any) -> None:
    text = csv_text(["title"], [[value, "end"]])
    _, (first, last) = csv.reader(io.StringIO(text))
    assert last == "end"
    assert not acting(text.replace("\r", "\x07"))
    if isinstance(value, str):
        assert first.removeprefix("'") == plain(value).removeprefix("'")
        is_number = first.strip("+-.0123456789eE") == ""
        assert is_number or not first.startswith(tuple("=+-@\t\r"))
    else:
        assert cell(value) is value


@pytest.mark.parametrize("number", ["-1", "+0.5", "-1e-8", "-3.E5"])
def test_a_number_that_is_a_text_stays(number: str) -> None:
    assert cell(number) == number


def poisoned(value: Any) -> Any:
    """The value with every message, reason and device of others replaced."""
    if isinstance(value, dict):
        return {
            key: EVIL if key in ("message", "reason", "device", "phase") else poisoned(item)
            for key, item in value.items()
        }
    return [poisoned(item) for item in value] if isinstance(value, list) else value


def hostile() -> SearchView:
    search = simulated()
    evil = {"device": EVIL, "message": EVIL, "reason": EVIL}
    status = poisoned(json.loads(json.dumps(search.status)))
    status["conditions"] = [
        {"type": "Degraded", "status": "True", "reason": EVIL, "message": EVIL},
        {"type": "Failed", "status": "True", "reason": EVIL, "message": EVIL},
    ]
    status["finalists"] = {
        "best": {
            "trial": status["best"]["trial"],
            "folder": EVIL,
            "seeds": 2,
            "deviation": 0.1,
            "accuracy": 0.9,
        },
        "succeeded": 1,
        "infeasible": 0,
        "failed": 1,
        "running": 0,
        "total": 2,
    }
    status["best"]["convergedAccuracy"] = 0.9
    records = tuple(record.model_copy(update=evil) for record in search.records)
    spec = {**search.spec, "finalists": {"volume": {"emptyDir": {}}, "targets": [{"name": "a"}]}}
    return replace(search, status=status, records=records, spec=spec, namespace=EVIL)


class HostileCluster:
    """A cluster all of whose texts are hostile."""

    def __init__(self) -> None:
        self.cluster, self.namespace = self, "lab"
        self.pod: str | None = "pod"

    def get(self, _namespace: str, _name: str, **_options: bool) -> SearchView:
        return hostile()

    def events(self, _search: SearchView, _count: int) -> tuple[EventView, ...]:
        return tuple(replace(event, reason=EVIL, message=EVIL) for event in EVENTS)

    def shards(self, *_arguments: str) -> tuple[Shard, ...]:
        return (Shard(0, f"{EVIL}\n{EVIL}\n", "1"),)

    def finalists(self, _search: SearchView) -> tuple[Any, ...]:
        update = {"target": "a", "device": EVIL, "message": EVIL, "folder": EVIL, "reason": EVIL}
        return tuple(record.model_copy(update=update) for record in RECORDS)

    def latest_pod(self, _search: SearchView, _trial: int) -> str | None:
        return self.pod

    def log(self, _search: SearchView, _pod: str, *, follow: bool) -> Iterator[str]:
        yield from ("10%\r", "20%\r", "\nend", EVIL, "\r")
        if follow:
            raise CommandError(f"The API server is gone: {EVIL}.")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> HostileCluster:
    hostile_cluster = HostileCluster()
    monkeypatch.setattr("blockqnn_cli.command.Context.searches", hostile_cluster)
    return hostile_cluster


COMMANDS = [
    "status birds", "status birds -o yaml", "status birds -o json", "status birds -w",
    "trials birds", "trials birds -o csv", "trials birds -o json", "best birds",
    "best birds -o nsc", "best birds -o json", "best birds -o dot", "best birds -o svg",
    "best birds -o python",
    "finalists birds", "finalists birds -o csv", "finalists birds -o json",
    "finalists birds --target \x1b[2J", "calibrate birds", "logs birds 1", "logs birds 1 -f",
]  # fmt: skip


@pytest.mark.parametrize("line", COMMANDS)
def test_no_command_lets_a_text_act(
    line: str,
    cluster: HostileCluster,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("blockqnn_cli.watching.FINISHED", (EVIL,))
    assert main(line.split()) in (ExitStatus.OK, ExitStatus.FAILED, ExitStatus.NOTHING_YET)
    captured = capsys.readouterr()
    assert captured.out or captured.err.count("\n") == 1
    assert not acting(captured.out)
    assert not acting(captured.err)


def test_the_reason_for_a_missing_log_does_not_act(
    cluster: HostileCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.pod = None
    assert main(["logs", "birds", "3"]) == ExitStatus.NOT_FOUND
    error = capsys.readouterr().err
    assert not acting(error)
    assert "\\x1b]0;owned\\x07" in error


def test_a_bar_of_progress_becomes_lines(
    cluster: HostileCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["logs", "birds", "1"])
    assert capsys.readouterr().out.startswith("10%\n20%\nend\\x1b]0;owned")


def test_a_terminal_gets_an_exported_history_without_what_acts_and_a_pipe_all_of_it(
    cluster: HostileCluster,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert main(["history", "export", "birds", "-"]) == ExitStatus.OK
    assert EVIL in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["history", "export", "birds", "-"]) == ExitStatus.OK
    assert not acting(capsys.readouterr().out)


def test_a_file_with_hostile_names_is_answered_in_plain_text(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.yaml"
    search = {"kind": "BlockSearch", "metadata": {"name": EVIL}, "spec": {EVIL: 1}, EVIL: 2}
    file.write_text(json.dumps(search))
    assert main(["validate", str(file)]) == ExitStatus.FAILED
    assert not acting(capsys.readouterr().out)


def test_a_hostile_search_is_drawn_in_a_terminal_without_its_sequences() -> None:
    file = io.StringIO()
    console = PlainConsole(file=file, force_terminal=True, width=120)
    search = hostile()
    events = tuple(replace(event, reason=EVIL, message=EVIL) for event in EVENTS)
    console.print(terminal_views.whole(search, events, NOW))
    console.print(trials.table(search.records))
    assert "\x1b[" in file.getvalue()
    for sequence in ("\x1b]", "\x1b[2J", "\x07", "\x9b", "\r", "\u202e"):
        assert sequence not in file.getvalue()
