"""Searches that an earlier version began: they go on with the settings that they began with."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from operator_builders import make_search
from repository_paths import FIXTURES

from blockqnn.settings.presets import PRESETS
from blockqnn_api.history.trial_record import Header
from blockqnn_api.resolve import PINNED_SECTIONS, pin, resolve
from blockqnn_cli.errors import CommandError
from blockqnn_cli.importing import plan_import

BEGUN: list[dict[str, Any]] = [
    json.loads(line)
    for line in (FIXTURES / "headers-before-default.jsonl").read_text().splitlines()
]
"""Specs, and the settings in their headers, as the version wrote them whose default was CVPR2018.
Never change the file: running searches depend on it."""

OLDEST: dict[str, Any] = json.loads((FIXTURES / "history-v1.jsonl").read_text().partition("\n")[0])[
    "settings"
]
"""The settings of a header that lacks every field that was added since."""

BARE = {"dataset": {"name": "digits"}}


def settings_of(spec: Mapping[str, Any], pinned: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that a search goes on with, without what headers have only since."""
    settings = pin(resolve(spec, pinned))
    del settings["preset"]
    assert settings["agent"].pop("initialization") == "Constant"
    assert settings["agent"].pop("settings") == {}
    return settings


@pytest.mark.parametrize("begun", BEGUN, ids=lambda begun: json.dumps(begun["spec"])[29:99])
def test_a_search_of_an_earlier_version_goes_on_as_it_began(begun: dict[str, Any]) -> None:
    spec, pinned = begun["spec"], begun["settings"]
    assert settings_of(spec, pinned) == pinned
    assert resolve(spec, pinned).preset == spec.get("preset", "CVPR2018")


@pytest.mark.parametrize("begun", BEGUN, ids=lambda begun: json.dumps(begun["spec"])[29:99])
def test_a_preset_that_the_api_server_has_added_since_changes_nothing(
    begun: dict[str, Any],
) -> None:
    """A definition with another default writes it into objects that are created anew."""
    pinned = begun["settings"]
    for preset in PRESETS:
        assert settings_of(begun["spec"] | {"preset": preset}, pinned) == pinned


@pytest.mark.parametrize("added", [{}, {"preset": "Efficient"}, {"preset": "OneGPU"}], ids=str)
def test_what_the_oldest_headers_lack_is_what_searches_did_then(added: dict[str, str]) -> None:
    pinned_settings = settings_of(BARE | added, OLDEST)
    expected = settings_of(BARE | {"preset": "CVPR2018"}, OLDEST)
    assert pinned_settings == expected
    agent = pinned_settings["agent"]
    assert (agent["predictor"], agent["earlyTermination"]) == (None, None)
    assert (agent["duplicates"], agent["state"], agent["rewardScale"]) == (
        "Keep",
        "LastLayer",
        "Percent",
    )
    assert pinned_settings["reward"] == {"macsWeight": 1.0, "densityWeight": 8.0}
    assert pinned_settings["training"]["precision"] == "float32"


@pytest.mark.parametrize("section", PINNED_SECTIONS)
@pytest.mark.parametrize("begun", BEGUN[:1], ids=["no preset"])
def test_whatever_a_header_without_a_preset_lacks_is_that_of_the_earlier_default(
    begun: dict[str, Any], section: str
) -> None:
    newer = begun["settings"][section].keys() - OLDEST[section].keys()
    for field in newer:
        header = json.loads(json.dumps(begun["settings"]))
        del header[section][field]
        pinned_settings = settings_of(begun["spec"], header)
        pinned_settings["training"]["precision"] = "auto"  # before there was the field: float32
        assert pinned_settings == begun["settings"], field


def test_a_search_that_begins_now_pins_its_preset() -> None:
    pinned = pin(resolve(BARE))
    assert pinned["preset"] == "Efficient"
    assert resolve(BARE, pinned) == resolve(BARE)
    assert resolve(BARE | {"preset": "CVPR2018"}, pinned).preset == "Efficient"


def test_a_history_is_not_imported_into_a_search_with_another_preset() -> None:
    settings = pin(resolve(BARE | {"preset": "CVPR2018"}))
    header = Header(operator_version="0.1.0", search_uid="old", seed=0, settings=settings)
    lines = [header.write()]
    with pytest.raises(CommandError, match=r"spec\.preset is Efficient and was CVPR2018; create"):
        plan_import(make_search(BARE), [], lines)
    assert plan_import(make_search(BARE | {"preset": "CVPR2018"}), [], lines)
