"""`kubectl blockqnn status` and what it draws; the exit statuses of commands without a cluster."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_searches import EVENTS, NOW, empty, simulated
from hypothesis import given
from hypothesis import strategies as st
from repository_paths import ROOT
from rich.console import Console, RenderableType

from blockqnn_cli import terminal_views
from blockqnn_cli.__main__ import main
from blockqnn_cli.commands import all_commands
from blockqnn_cli.commands.status import facts
from blockqnn_cli.errors import CommandError, ExitStatus
from blockqnn_cli.quantities import count, duration, short, since
from blockqnn_cli.watching import watch


def drawn(picture: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(picture)
    return console.file.getvalue()


def test_a_running_search_shows_its_progress_counts_time_and_iterations() -> None:
    search = simulated(done=56)
    text = drawn(terminal_views.whole(search, EVENTS, NOW), width=100)
    counts = search.status["trials"]
    assert f"lab/digits  Running  {'━' * 18}" in text
    assert "56/96 trials" in text
    assert f"succeeded {counts['succeeded']}   infeasible {counts['infeasible']}" in text
    assert "started 4 h ago   about 2 h 51 min left   GPU time" in text
    assert f"best accuracy {search.status['best']['accuracy']:.2%}" in text
    assert "\npreset CVPR2018   epsilon " in text
    assert sum(line.lstrip()[:2].strip().isdigit() for line in text.splitlines()) >= 7


def test_events_are_shown_with_their_age_and_their_brackets() -> None:
    text = drawn(terminal_views.whole(simulated(done=56), EVENTS, NOW))
    assert "1 h ago      NewBest      Trial 9 reached 71.00% [accuracy]." in text
    assert "1 min ago    TrialFailed  Trial 50: no space left." in text


def test_a_search_that_was_not_looked_at_says_so() -> None:
    text = drawn(terminal_views.whole(empty(), (), NOW))
    assert "Pending" in text
    assert "The operator has not processed this search yet." in text


def test_only_true_conditions_that_matter_need_attention() -> None:
    conditions = [
        {"type": "Degraded", "status": "True", "reason": "JobRefused", "message": "No [quota]."},
        {"type": "Suspended", "status": "False", "reason": "NotSuspended", "message": "No."},
        {"type": "Progressing", "status": "True", "reason": "TrialsRunning", "message": "Yes."},
    ]
    text = terminal_views.attention(empty(conditions=conditions))
    assert text is not None
    assert text.plain == "Degraded (JobRefused): No [quota]."
    assert terminal_views.attention(empty()) is None


def test_what_two_conditions_say_in_the_same_words_is_shown_once() -> None:
    condition = {"status": "True", "reason": "FinalistsNotReady"}
    conditions = [
        {**condition, "type": "Failed", "message": "The budget is spent. No room is left."},
        {**condition, "type": "Degraded", "message": "No room is left."},
    ]
    text = terminal_views.attention(empty(conditions=conditions))
    assert text is not None
    assert text.plain == "Failed (FinalistsNotReady): The budget is spent. No room is left."


def test_a_search_without_gpus_costs_the_time_of_its_trainers() -> None:
    search = simulated(done=56)
    status = {**search.status, "gpuSeconds": 0}
    trained = sum(r.seconds.total for r in search.records if r.seconds)
    text = drawn(terminal_views.whole(replace(search, status=status), (), NOW))
    assert f"time of all trainers {duration(trained)}" in text
    assert "GPU time" not in text


def test_a_search_that_hardly_learns_says_so_while_it_runs_and_when_it_is_over() -> None:
    for search in (simulated(16, done=8), simulated(16)):
        text = " ".join(drawn(terminal_views.whole(search, (), NOW)).split())
        assert text.count("the preset explores at random: 1 of 2 iterations learn") == 1
    assert "iterations learn" not in drawn(terminal_views.whole(simulated(200), (), NOW))


def test_a_finished_search_says_how_long_it_took() -> None:
    text = drawn(terminal_views.whole(simulated(), (), NOW))
    assert "Complete" in text
    assert "took 4 h" in text
    assert "All 96 trials of the budget have a result." in text


def test_status_as_json_has_the_resource_s_status_and_the_events() -> None:
    search = simulated(done=56)
    document = facts(search, EVENTS)
    assert list(document) == ["namespace", "name", "phase", "status", "settings", "events"]
    assert document["status"] == search.status
    assert document["events"][1]["reason"] == "TrialFailed"


def effective(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings without those that Q-learning does not use."""
    agent = {k: v for k, v in settings["agent"].items() if k not in ("evolution", "settings")}
    return {**settings, "agent": agent}


def test_the_settings_of_a_search_that_has_started_are_those_it_began_with() -> None:
    search = simulated(done=56)
    assert search.header is not None
    assert facts(search, ())["settings"] == effective(search.header.settings)
    pinned = json.loads(json.dumps(search.header.settings))
    pinned["agent"]["discount"] = 0.5
    pinned["agent"]["predictor"] = None
    begun = replace(search, header=search.header.model_copy(update={"settings": pinned}))
    assert facts(begun, ())["settings"] == effective(pinned)


def test_the_settings_of_a_search_that_has_not_are_those_it_would_begin_with() -> None:
    search = replace(empty(), spec={"dataset": {"name": "digits"}, "budget": {"gpuHours": 3}})
    settings = facts(search, ())["settings"]
    assert settings["preset"] == "Efficient"
    assert settings["agent"]["predictor"]["warmup"] == 76
    assert settings["budget"] == {"trials": 512, "gpuHours": 3.0}


def test_a_spec_that_contradicts_itself_has_no_settings_but_a_status() -> None:
    wrong = {"dataset": {"name": "digits"}, "preset": "Best"}
    document = facts(replace(empty(message="It is wrong."), spec=wrong), ())
    assert "settings" not in document
    assert document["status"] == {"message": "It is wrong."}
    assert "preset Best" in drawn(terminal_views.whole(replace(empty(), spec=wrong), (), NOW))


def test_of_a_history_that_cannot_be_read_no_settings_are_made_up() -> None:
    search = replace(simulated(done=56), header=None, records=())
    assert "settings" not in facts(search, ())
    assert (search.preset, search.advice) == ("CVPR2018", "")
    assert replace(search, spec={"dataset": {"name": "digits"}}).preset == "CVPR2018"


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_status_for_programs_is_json_or_yaml(monkeypatch, capsys, output: str, read) -> None:
    search = simulated(done=56)
    monkeypatch.setattr("blockqnn_cli.commands.status._look", lambda _context: search)
    monkeypatch.setattr("blockqnn_cli.commands.status._events", lambda *_: EVENTS)
    assert main(["status", "digits", "-o", output]) == ExitStatus.OK
    assert read(capsys.readouterr().out) == facts(search, EVENTS)


def test_watching_in_a_pipe_prints_a_line_for_each_change(monkeypatch) -> None:
    monkeypatch.setattr("blockqnn_cli.watching.INTERVAL", 0.0)
    looks = iter([simulated(done=56), simulated(done=56), simulated()])
    console = Console(file=io.StringIO(), width=160)
    assert watch(console, lambda: next(looks)).phase == "Complete"
    lines = console.file.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == ["lab/digits: Running", "lab/digits: Complete"]


def test_watching_in_a_terminal_draws_until_the_search_is_over(monkeypatch) -> None:
    monkeypatch.setattr("blockqnn_cli.watching.INTERVAL", 0.0)
    looks = iter([simulated(done=56), simulated()])
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    watch(console, lambda: next(looks))
    assert "96/96 trials" in console.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.25, "0.2 s"), (59.4, "59 s"), (60, "1 min"), (3_725, "1 h 2 min"),
     (7_200, "2 h"), (90_061, "1 d 1 h")],
)  # fmt: skip
def test_durations_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_are_written_for_people() -> None:
    assert [short(n) for n in (7, 980, 35_400, 1_234_567, 999_999, 2e9)] == [
        "7", "980", "35.4k", "1.23M", "1M", "2G",
    ]  # fmt: skip
    assert (count(1, "trial"), count(1_200, "trial")) == ("1 trial", "1,200 trials")
    assert since("2024-05-01T11:00:00.123456Z", NOW) == "1 h"
    assert since("2024-05-01T13:00:00Z", NOW) == "0 s", "clocks differ"


def test_every_module_of_the_commands_is_a_command_with_help(capsys) -> None:
    folder = Path(sys.modules["blockqnn_cli.commands"].__file__ or "").parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {command.name for command in all_commands()} == modules
    for command in all_commands():
        with pytest.raises(SystemExit) as ended:
            main([command.name, "--help"])
        assert ended.value.code == 0
        assert command.text in capsys.readouterr().out


def searching_commands() -> list[list[str]]:
    more = {"logs": ["3"], "history": ["export"]}
    ordered = {"history": ["history", "export", "digits", "history.jsonl"]}
    return [
        ordered.get(command.name, [command.name, "digits", *more.get(command.name, [])])
        for command in all_commands()
        if command.of_search or command.name == "history"
    ]


@pytest.mark.parametrize("arguments", searching_commands(), ids=lambda a: a[0])
def test_no_cluster_is_one_line_and_its_own_exit_status(arguments, tmp_path, capsys) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    assert main([*arguments, "--kubeconfig", str(kubeconfig)]) == ExitStatus.UNREACHABLE
    error = capsys.readouterr().err
    assert error.startswith("error: There is no usable kubeconfig: ")
    assert error.count("\n") == 1
    kubeconfig.write_text(unreachable())
    assert main([*arguments, "--kubeconfig", str(kubeconfig)]) == ExitStatus.UNREACHABLE
    error = capsys.readouterr().err
    assert error.startswith("error: The API server https://127.0.0.1:1 does not answer: ")
    assert error.count("\n") == 1
    assert "object at" not in error


def unreachable() -> str:
    """A kubeconfig of a cluster whose port nobody listens on."""
    return json.dumps(
        {
            "current-context": "nowhere",
            "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
            "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "nobody", "user": {}}],
        }
    )


@pytest.mark.parametrize("text", ["", "a: [", "7", "contexts: 3", "{current-context: x}"])
def test_a_damaged_kubeconfig_is_one_line(text, tmp_path, capsys) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(text)
    assert main(["status", "x", "--kubeconfig", str(kubeconfig)]) == ExitStatus.UNREACHABLE
    assert capsys.readouterr().err.count("\n") == 1


def test_watching_as_json_is_refused(capsys) -> None:
    assert main(["status", "x", "--watch", "-o", "json"]) == ExitStatus.USAGE
    assert main(["status", "x", "--watch", "-o", "yaml"]) == ExitStatus.USAGE
    assert "omit either --watch or -o json" in capsys.readouterr().err


def test_ctrl_c_is_quiet(monkeypatch, capsys) -> None:
    def interrupted(_self: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("blockqnn_cli.command.Context.search", interrupted)
    assert main(["status", "x"]) == ExitStatus.INTERRUPTED
    assert capsys.readouterr() == ("", "")


def test_offline_commands_import_no_cluster_library_and_a_closed_pipe_is_quiet() -> None:
    code = (
        "import sys, blockqnn_cli.__main__ as m; s = m.main(['presets', '-o', 'json']);"
        "assert not {'kubernetes', 'kopf', 'torch'} & set(sys.modules); sys.exit(s)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == ExitStatus.BROKEN_PIPE


def test_every_exception_has_an_exit_status() -> None:
    statuses = {kind.exit_status for kind in CommandError.__subclasses__()} | {1}
    assert {int(status) for status in statuses} == {1, 2, 3, 4, 5, 6}


def test_the_documentation_has_every_command() -> None:
    page = ROOT / "docs" / "tasks" / "use-the-command-line.md"
    for command in all_commands():
        assert f"| `{command.name}" in page.read_text()


@given(st.floats() | st.integers(0, 10**400))
def test_any_number_of_a_trainer_can_be_written(number: float) -> None:
    for text in (duration(number), short(number)):
        assert 0 < len(text) < 30
    assert duration(float("inf")) == "more than 1,000 years"
    assert short(10**400) == "more than 1e+30"
