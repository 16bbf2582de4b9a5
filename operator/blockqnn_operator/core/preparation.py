"""Whether a search's images are ready, and what is to be done until they are. Pure.

What Kubernetes keeps of the one Job is all there is to remember: it has completed, it runs, or it
has failed. So a crash at any moment loses nothing, and whoever deletes the Job has it done again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from blockqnn.contract.preparation import PreparationResult
from blockqnn.errors import InvalidMessage
from blockqnn_operator.api.spec import BlockSearchSpec, Dataset
from blockqnn_operator.api.status import Reason
from blockqnn_operator.api.targets import goals_of
from blockqnn_operator.core.manifests import Manifest
from blockqnn_operator.core.observation import Observed, PreparationJob, TrialPod
from blockqnn_operator.core.preparation_job import dataset_hash, no_need, preparation_job
from blockqnn_operator.core.starting import SCHEDULING, stuck, unplaced
from blockqnn_operator.core.state import SearchState
from blockqnn_operator.core.verdicts import REPORTING_DEADLINE, quote

_REASONS = {
    str(reason): reason
    for reason in (
        Reason.DATASET_MISSING,
        Reason.DATASET_INVALID,
        Reason.VOLUME_UNUSABLE,
        Reason.DOWNLOAD_FAILED,
    )
}
"""What a preparation says of itself that is a reason of the condition too."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How far the images of a search are, and what to do about it."""

    ready: bool
    """Trials can be started."""
    reason: Reason
    message: str
    create: Manifest | None = None
    """The Job to be created."""
    delete: tuple[str, ...] = ()
    """Jobs that are of no use any more."""
    failed: bool = False
    """It will not go on by itself."""
    hindered: bool = False
    """It may go on by itself, but needs a person's eye."""
    wait_until: datetime | None = None
    """When to look again although nothing may happen until then."""


def prepare(
    observed: Observed, state: SearchState, *, wanted: bool, dataset: Dataset | None = None
) -> Preparation:
    """Decide about the Job that makes a search's images ready, or those of one of its targets.

    Args:
        observed: what is seen of the search.
        state: its settings and history.
        wanted: whether something is to be started, and waits for the images.
        dataset: the images of a target; None for those of the search.
    """
    settings = state.settings
    if dataset is not None:
        settings = settings.model_copy(update={"dataset": dataset})
    unneeded = no_need(settings)
    if unneeded is not None:
        return Preparation(ready=True, reason=Reason.NOT_NEEDED, message=unneeded)
    mine = dataset_hash(settings)
    others_of_ours = _datasets(state.settings) - {mine}
    jobs = [
        job
        for job in observed.preparations
        if job.owner_uid == observed.search.uid
        and not job.deleting
        and job.dataset not in others_of_ours
    ]
    for job in jobs:
        if job.dataset == mine and job.condition == "Complete":
            message = _success(_pods(observed, job)) or f"Job {job.name} has completed."
            others = tuple(other.name for other in jobs if other.name != job.name)
            return Preparation(ready=True, reason=Reason.PREPARED, message=message, delete=others)
    if not wanted:
        return _unwanted(state, jobs)
    manifest = preparation_job(observed.search, settings)
    name = manifest["metadata"]["name"]
    outdated = tuple(job.name for job in jobs if job.name != name)
    current = next((job for job in jobs if job.name == name), None)
    if current is None:
        message = f"Job {name} is to prepare the images."
        return Preparation(False, Reason.PREPARING, message, manifest, outdated)
    return _of_job(observed, current, outdated)


def _datasets(settings: BlockSearchSpec) -> set[str]:
    """Return what stands for each dataset that a search uses: its own, and those of its targets."""
    targets = [goal.dataset for goal in goals_of(settings)]
    return {
        dataset_hash(settings.model_copy(update={"dataset": dataset}))
        for dataset in (settings.dataset, *targets)
    }


def _unwanted(state: SearchState, jobs: Sequence[PreparationJob]) -> Preparation:
    """Say what holds while no trial waits for the images, and none were prepared."""
    if not state.settings.suspend:
        return Preparation(True, Reason.NOT_NEEDED, "No trial waits for the images.")
    stopped = state.settings.suspend_policy == "Stop"
    running = tuple(job.name for job in jobs if stopped and not job.condition)
    message = "The images are prepared when spec.suspend is false."
    return Preparation(False, Reason.SUSPENDED, message, delete=running)


def _of_job(observed: Observed, job: PreparationJob, outdated: tuple[str, ...]) -> Preparation:
    pods = _pods(observed, job)
    if job.condition is None:
        return _of_running_job(observed.now, job, pods, outdated)
    ended = [pod for pod in pods if pod.exit_code is not None]
    deadline = (job.finished_at or observed.now) + REPORTING_DEADLINE
    if observed.now < deadline and len(ended) < job.failed_pods:
        # It has failed; what its last Pod said is about to be seen.
        message = f"Job {job.name} has ended."
        return Preparation(False, Reason.PREPARING, message, delete=outdated, wait_until=deadline)
    reason, said = _failure(ended, job)
    message = f"{said} When it is mended, delete Job {job.name} to have it tried again."
    return Preparation(False, reason, message, delete=outdated, failed=True)


def _of_running_job(
    now: datetime, job: PreparationJob, pods: Sequence[TrialPod], outdated: tuple[str, ...]
) -> Preparation:
    message, hindered, wait_until = f"Job {job.name} prepares the images.", False, None
    if pod := stuck(pods):
        message, hindered = f"Its Pod cannot start: {quote(pod.message) or pod.reason}", True
    elif pod := unplaced(pods):
        news_at = pod.created_at + SCHEDULING
        if now >= news_at:
            message, hindered = f"Its Pod waits for a node: {quote(pod.unplaced)}", True
        else:
            wait_until = news_at
    elif ended := [pod for pod in pods if pod.exit_code]:
        message = f"It is tried again: {_failure(ended, job)[1]}"
    return Preparation(
        False,
        Reason.PREPARING,
        message,
        delete=outdated,
        hindered=hindered,
        wait_until=wait_until,
    )


def _pods(observed: Observed, job: PreparationJob) -> list[TrialPod]:
    """Return the Pods of a Job, the latest first."""
    pods = [pod for pod in observed.pods if pod.job == job.name]
    return sorted(pods, key=lambda pod: (pod.created_at, pod.name), reverse=True)


def _success(pods: Sequence[TrialPod]) -> str | None:
    for pod in pods:
        result = _result(pod)
        if result is not None and result.prepared:
            return result.message
    return None


def _failure(ended: Sequence[TrialPod], job: PreparationJob) -> tuple[Reason, str]:
    """Return why a preparation failed, in the words of its latest Pod that left any."""
    for pod in ended:
        result = _result(pod)
        if result is not None and not result.prepared:
            reason = _REASONS.get(result.reason, Reason.PREPARATION_FAILED)
            return reason, result.message
    if ended:
        said = f": {quote(ended[0].message)}" if ended[0].message.strip() else "."
        why = f"{ended[0].reason or 'no reason'}, status {ended[0].exit_code}"
        return Reason.PREPARATION_FAILED, f"The preparation's Pod ended with {why}{said}"
    return Reason.PREPARATION_FAILED, f"The preparation's Job failed: {job.message}"


def _result(pod: TrialPod) -> PreparationResult | None:
    try:
        return PreparationResult.read(pod.message)
    except InvalidMessage:
        return None
