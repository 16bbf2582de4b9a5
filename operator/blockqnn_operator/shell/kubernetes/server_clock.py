"""The API server's time, by which ages are counted.

Creations, starts and ends are written by the API server and the kubelets. An age that is counted by
the operator's own clock is wrong by the difference of the two.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

TOLERANCE = timedelta(seconds=2)
"""The largest difference that is left alone: the date of an answer is cut to whole seconds, and the
answer takes its time."""


def _now() -> datetime:
    return datetime.now(UTC)


class ServerClock:
    """Tells the time of the API server, from the dates of its answers.

    Args:
        local: the operator's own clock.
    """

    def __init__(self, local: Callable[[], datetime] = _now) -> None:
        self._local = local
        self._ahead = timedelta()

    def heard(self, date: str | None) -> None:
        """Compare the clocks by the ``Date`` of an answer; one that cannot be read says nothing."""
        if not date:
            return
        try:
            server = parsedate_to_datetime(date)
            ahead = server.astimezone(UTC) - self._local()
        except (ValueError, OverflowError, TypeError):
            return
        if abs(ahead - self._ahead) > TOLERANCE:
            self._ahead = ahead

    def now(self) -> datetime:
        """Return the present time of the API server; the operator's own until it has answered."""
        return self._local() + self._ahead
