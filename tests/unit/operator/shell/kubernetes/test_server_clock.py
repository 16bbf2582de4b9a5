"""Ages are counted by the API server's clock, whatever the operator's own shows."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from blockqnn_operator.shell.kubernetes.server_clock import TOLERANCE, ServerClock

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
seconds = st.floats(-400_000, 400_000)
steps = st.lists(st.tuples(st.floats(0, 5000), st.floats(0, 1)), min_size=1, max_size=8)


def date_of(moment: datetime) -> str:
    """The header of an answer, cut to whole seconds."""
    return format_datetime(moment.replace(microsecond=0), usegmt=True)


@given(seconds, steps)
def test_the_time_is_that_of_the_server_after_each_answer(
    skew: float, answers: list[tuple[float, float]]
) -> None:
    true = NOW
    clock = ServerClock(lambda: true + timedelta(seconds=skew))
    for passed, travelled in answers:
        true += timedelta(seconds=passed)
        sent = true
        true += timedelta(seconds=travelled)
        clock.heard(date_of(sent))
        assert abs(clock.now() - true) <= TOLERANCE + timedelta(seconds=2)


@given(st.floats(0, 0.9), steps)
def test_clocks_that_agree_are_left_alone(
    travelled: float, answers: list[tuple[float, float]]
) -> None:
    """Times that are compared to the second must not jump with every answer."""
    local = NOW
    clock = ServerClock(lambda: local)
    for passed, _ in answers:
        local += timedelta(seconds=passed)
        clock.heard(date_of(local - timedelta(seconds=travelled)))
        assert clock.now() == local


@given(st.none() | st.text(max_size=40) | st.just("Mon, 01 Jan 0001 00:00:00 +2359"))
def test_a_date_that_cannot_be_read_says_nothing(date: str | None) -> None:
    clock = ServerClock(lambda: NOW)
    clock.heard(date)
    assert clock.now().tzinfo is not None


def test_a_server_whose_clock_is_set_is_followed() -> None:
    clock = ServerClock(lambda: NOW)
    clock.heard(date_of(NOW + timedelta(hours=1)))
    assert clock.now() == NOW + timedelta(hours=1)
    clock.heard(date_of(NOW))
    assert clock.now() == NOW
