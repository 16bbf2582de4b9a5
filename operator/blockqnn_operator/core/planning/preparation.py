"""Decides about the Jobs that prepare datasets. Pure."""

from collections.abc import Sequence

from blockqnn_api.finalist_targets import goals_of
from blockqnn_api.history.replay import SearchState
from blockqnn_api.spec import BlockSearchSpec, Dataset
from blockqnn_api.status import Reason
from blockqnn_operator.core.jobs.preparation import dataset_hash, no_need, preparation_job
from blockqnn_operator.core.judging.preparation import (
    Preparation,
    assess_preparation,
    is_complete,
    pods_of,
    success_message,
)
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.observed.snapshot import Observed


def prepare(
    observed: Observed, state: SearchState, *, wanted: bool, dataset: Dataset | None = None
) -> Preparation:
    """Decide about the Job that makes a search's images ready, or those of one of its targets.

    Args:
        observed: the snapshot of the search.
        state: its settings and history.
        wanted: whether something is to be started, and waits for the images.
        dataset: the images of a target; None for those of the search.
    """
    settings = state.settings
    if dataset is not None:
        settings = settings.model_copy(update={"dataset": dataset})
    jobs = _jobs_for(observed, state, settings)
    unneeded = no_need(settings)
    if unneeded is not None:
        every = tuple(job.name for job in jobs)
        return Preparation(True, Reason.NOT_NEEDED, unneeded, delete=every)
    mine = dataset_hash(settings)
    for job in jobs:
        pods = pods_of(observed, job)
        if job.part.dataset == mine and is_complete(job, pods):
            message = success_message(pods) or f"Job {job.name} has completed."
            others = tuple(other.name for other in jobs if other.name != job.name)
            return Preparation(ready=True, reason=Reason.PREPARED, message=message, delete=others)
    if not wanted:
        return _unwanted(state, jobs)
    manifest = preparation_job(observed.search, settings)
    name = manifest["metadata"]["name"]
    outdated = tuple(job.name for job in jobs if job.name != name)
    current = next((job for job in jobs if job.name == name), None)
    if current is None:
        message = f"Job {name} will prepare the images."
        return Preparation(False, Reason.PREPARING, message, manifest, outdated)
    return assess_preparation(observed, current, outdated)


def _jobs_for(
    observed: Observed, state: SearchState, settings: BlockSearchSpec
) -> list[PreparationJob]:
    """Return the Jobs of a search that prepare these images, or some that it no longer uses."""
    own = observed.own(observed.preparations)
    if not own:
        return []
    others = _datasets(state.settings) - {dataset_hash(settings)}
    return [job for job in own if job.part.dataset not in others]


def _datasets(settings: BlockSearchSpec) -> set[str]:
    """Return the hash of each dataset that a search uses: its own, and those of its targets."""
    targets = [goal.dataset for goal in goals_of(settings)]
    return {
        dataset_hash(settings.model_copy(update={"dataset": dataset}))
        for dataset in (settings.dataset, *targets)
    }


def _unwanted(state: SearchState, jobs: Sequence[PreparationJob]) -> Preparation:
    """Return the state while no trial waits for the images, and none were prepared."""
    if not state.settings.suspend:
        return Preparation(True, Reason.NOT_NEEDED, "No trial waits for the images.")
    stopped = state.settings.suspend_policy == "Stop"
    running = tuple(job.name for job in jobs if stopped and not job.condition)
    message = "The images will be prepared when spec.suspend is false."
    return Preparation(False, Reason.SUSPENDED, message, delete=running)
