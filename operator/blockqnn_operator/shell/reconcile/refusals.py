"""Problems that a pass could not solve, in words for the search's status."""

from blockqnn.errors import BlockQNNError
from blockqnn_api.status import Reason
from blockqnn_operator.core.reporting.conditions import Problem
from blockqnn_operator.errors import ClusterUnavailable
from blockqnn_operator.shell.kubernetes.client import ApiError

NOT_FOUND, CONFLICT, UNPROCESSABLE, FORBIDDEN = 404, 409, 422, 403

PASSING_FAILURES = 3
"""Failures in a row after which an answer that mostly passes by itself, such as 503, is told."""

_PASSING = (401, 404, 408, CONFLICT, 429)


def refusal(error: ApiError) -> Problem:
    """Return the problem that the API server refuses a request."""
    if error.status == FORBIDDEN and "quota" in str(error).lower():
        return Problem(Reason.QUOTA_EXCEEDED, f"Waiting for quota to {error.request}: {error}")
    words = f"The API server refuses to {error.request}: {error}"
    return Problem(Reason.REQUEST_REFUSED, words)


def is_refusal(error: ApiError) -> bool:
    """Return whether an answer stays the same until somebody acts."""
    return 400 <= error.status < 500 and error.status not in _PASSING


def problem_of(error: Exception, failures: int) -> Problem | None:
    """Return the problem to report when a pass has ended with an error.

    Args:
        error: the error.
        failures: the number of passes in a row that have, this one included.

    Returns:
        None where the search need not hear of it: the API server is away, or busy.
    """
    if isinstance(error, ClusterUnavailable):
        return None
    if isinstance(error, ApiError):
        is_news = is_refusal(error) or failures >= PASSING_FAILURES
        return refusal(error) if is_news else None
    if isinstance(error, BlockQNNError):
        return Problem(Reason.INTERNAL_ERROR, str(error))
    words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return Problem(
        Reason.INTERNAL_ERROR,
        f"A fault of the operator keeps it from going on with this search: {words}. It tries "
        "again; other searches go on. Report it with the operator's log.",
    )
