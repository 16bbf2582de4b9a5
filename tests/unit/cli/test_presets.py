"""`kubectl blockqnn presets`: for whom each preset is, and what it fills in."""

import json
from typing import Any

import pytest
import yaml

from blockqnn.settings.presets import PRESETS, PURPOSES
from blockqnn_api.resolve import resolve
from blockqnn_cli.__main__ import main
from blockqnn_cli.errors import ExitStatus


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["presets", *arguments]) == ExitStatus.OK
    return capsys.readouterr().out


def test_the_list_says_for_whom_each_preset_is_and_marks_the_default(capsys) -> None:
    _, *lines = shown(capsys).splitlines()
    assert [line.split()[0] for line in lines] == sorted(PRESETS)
    for line in lines:
        name = line.split()[0]
        assert line.rstrip().endswith(PURPOSES[name])
        assert ("(default)" in line) == (name == "Efficient")


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_is_shown_with_every_field_that_has_an_effect(capsys, name: str) -> None:
    document: dict[str, Any] = yaml.safe_load(shown(capsys, name))
    assert document == json.loads(shown(capsys, name, "-o", "json"))
    assert document == json.loads(shown(capsys, "-o", "json"))[name]
    assert document["preset"] == name
    for section, fields in PRESETS[name].items():
        unused = {"evolution", "settings", "initialValue"} if section == "agent" else set()
        assert set(fields) - unused <= set(document[section])
    assert document["budget"].get("gpuHours") == (20.0 if name == "OneGPU" else None)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_what_is_shown_of_a_preset_can_be_written_in_a_search(capsys, name: str) -> None:
    document: dict[str, Any] = yaml.safe_load(shown(capsys, name))
    written = resolve({**document, "dataset": {**document["dataset"], "name": "digits"}})
    assert written == resolve({"preset": name, "dataset": {"name": "digits"}})


def test_a_preset_that_there_is_not_is_refused(capsys) -> None:
    assert main(["presets", "Best"]) == ExitStatus.NOT_FOUND
    assert (
        "There is no preset 'Best'; the presets are AAAI2017, CVPR2018," in capsys.readouterr().err
    )
