"""A search that waits for its own agent: for which blocks, and what it says meanwhile."""

from datetime import datetime

from blockqnn_api.history.replay import SearchState
from blockqnn_api.objects import write_time
from blockqnn_api.status import Reason
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.reporting.conditions import Problem

SLOW_SECONDS = 10.0
"""Seconds after which a search reports that it waits; most answers take less than one."""


def iterations_with_jobs(observed: Observed, state: SearchState) -> list[int]:
    """Return the iterations of the open trials that may have a Job, the first of them always.

    Without their blocks a search cannot be planned: it would take its Jobs for none.
    """
    size, budget = state.settings.agent.batch_size, state.settings.budget.trials
    first = len(state.archive)
    trials = {part.trial for job in observed.own(observed.jobs) for part in job.parts}
    return sorted({trial // size for trial in {first, *trials} if first <= trial < budget})


def problem(since: datetime | None, now: datetime) -> Problem | None:
    """Return the problem that a search cannot be planned yet; None if that has not taken long.

    Args:
        since: since when its agent has been asked; None if it is not.
        now: the time.
    """
    if since is None or not _is_long(since, now):
        return None
    return Problem(
        Reason.AGENT_COMPUTING,
        f"Since {write_time(since)} its agent has been learning its history, to propose the blocks "
        "that its Jobs train; the search goes on when it has.",
    )


def note(since: datetime | None, now: datetime) -> str:
    """Return the clause that the next blocks are not there yet; empty as long as that is usual."""
    if since is None or not _is_long(since, now):
        return ""
    return f"; its agent has been computing the next blocks since {write_time(since)}"


def _is_long(since: datetime, now: datetime) -> bool:
    return (now - since).total_seconds() >= SLOW_SECONDS
