"""Selects the Jobs to delete once their results are archived, and those to keep for logs."""

from collections.abc import Sequence
from dataclasses import dataclass

from blockqnn.contract.message import Outcome
from blockqnn_api.history.replay import SearchState
from blockqnn_operator.core.observed.trial_job import TrialJob


@dataclass(frozen=True, slots=True)
class Cleanup:
    """Steps to clean up the Jobs of archived trials, in this order."""

    keep: tuple[str, ...] = ()
    """Jobs to label as archived, which keeps them from the next step."""
    delete_iterations: tuple[int, ...] = ()
    """Iterations whose Jobs are deleted, all but the archived ones, by one request each."""
    delete: tuple[str, ...] = ()
    """Single Jobs to delete: those that make room for later ones, and those of an iteration that
    the budget has cut short, whose other trials may run once the budget is raised."""


NOTHING_TO_CLEAN = Cleanup()


def clean_up(leftovers: Sequence[TrialJob], state: SearchState) -> Cleanup:
    """Decide about the Jobs whose trials are in the history."""
    retain = state.settings.trial.retain
    kept = _latest(leftovers, state, (Outcome.FAILED, Outcome.INFEASIBLE), retain.failed)
    kept |= _latest(leftovers, state, (Outcome.SUCCEEDED,), retain.succeeded)
    size = state.settings.agent.batch_size
    going = [(job, job.part.trial // size) for job in leftovers if job.name not in kept]
    complete = len(state.archive) // size
    return Cleanup(
        keep=tuple(job.name for job in leftovers if job.name in kept and not job.archived),
        delete_iterations=tuple(
            sorted({at for job, at in going if not job.archived and at < complete})
        ),
        delete=tuple(job.name for job, at in going if job.archived or at >= complete),
    )


def _latest(
    leftovers: Sequence[TrialJob],
    state: SearchState,
    outcomes: Sequence[Outcome],
    count: int,
) -> set[str]:
    records = state.archive.records
    names = [
        job.name
        for job in leftovers
        if any(records[part.trial].outcome in outcomes for part in job.parts)
    ]
    return set(names[-count:]) if count else set()
