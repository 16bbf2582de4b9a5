"""Durations as Kubernetes users write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockqnn.errors import InvalidSettings
from blockqnn_api.durations import seconds
from blockqnn_api.object_fields import LATEST


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("1s", 1),
        ("90s", 90),
        ("45m", 45 * 60),
        ("2h", 2 * 3600),
        ("1h30m", 5400),
        ("1h30m5s", 5405),
        ("1h5s", 3605),
        ("007s", 7),
        ("0h1s", 1),
    ],
)
def test_hours_minutes_and_seconds_add_up(text: str, length: int) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize(
    "text",
    ["", "0s", "0h0m0s", "90", "s", "1d", "1.5h", "-1s", "5m1h", "1h 30m", "1H", "90s\n", "٩s"],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        seconds(text)
    assert str(refusal.value) == (
        f"{text!r} is not a duration; write hours, minutes and seconds as in 90s, 45m or 1h30m."
    )


@given(st.integers(0, 99), st.integers(0, 999), st.integers(1, 9999))
def test_every_duration_that_is_written_is_read(hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{hours}h{minutes}m{rest}s") == hours * 3600 + minutes * 60 + rest


@given(st.text("0123456789hms٩", max_size=40))
def test_what_is_read_can_be_added_to_any_time(text: str) -> None:
    try:
        length = seconds(text)
    except InvalidSettings as refusal:
        said = str(refusal)
    else:
        said = ""
        assert LATEST + timedelta(seconds=length) > LATEST
    assert not said or "is not a duration" in said or "longer than 68 years" in said


def test_a_duration_that_is_too_long_is_refused_with_the_longest() -> None:
    with pytest.raises(InvalidSettings, match=r"'99999999999h' is longer .* at most 596523h\."):
        seconds("99999999999h")
