"""`kubectl blockqnn presets`: for whom each preset is, and what it fills in."""

import json
from typing import Any

import pytest
import yaml

from blockqnn.settings.presets import PRESETS, PURPOSES
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
def test_a_preset_is_shown_with_every_field_that_it_fills_in(capsys, name: str) -> None:
    told: dict[str, Any] = yaml.safe_load(shown(capsys, name))
    assert told == json.loads(shown(capsys, name, "-o", "json"))
    assert told == json.loads(shown(capsys, "-o", "json"))[name]
    assert told["preset"] == name
    for section, fields in PRESETS[name].items():
        assert set(fields) <= set(told[section])
    assert told["budget"].get("gpuHours") == (20.0 if name == "OneGPU" else None)


def test_a_preset_that_there_is_not_is_refused(capsys) -> None:
    assert main(["presets", "Best"]) == ExitStatus.NOT_FOUND
    assert (
        "There is no preset 'Best'; the presets are AAAI2017, CVPR2018," in capsys.readouterr().err
    )
