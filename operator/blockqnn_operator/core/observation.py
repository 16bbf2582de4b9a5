"""What the operator sees of a search: small frozen values, read once before it decides.

The shell fills them from its watches; the rest of ``core`` never sees a raw object.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter, ValidationError

from blockqnn.model import Model
from blockqnn_operator.api import names

OUT_OF_TIME = "DeadlineExceeded"
"""Why Kubernetes ends a Pod, or fails a Job, that takes too long."""


def version_of(body: Mapping[str, Any]) -> int:
    """Return an object's resource version; those of one kind grow with each write.

    The API promises this since Kubernetes 1.34; every version before it kept to it with etcd.
    """
    text = body["metadata"].get("resourceVersion", "0")
    return int(text) if text.isdigit() else 0


@dataclass(frozen=True, slots=True)
class SearchObject:
    """A BlockSearch as the API server holds it."""

    namespace: str
    name: str
    uid: str
    generation: int
    created_at: datetime
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    deleting: bool
    version: int = 0
    """The resource version, which grows with each write."""

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Read the object from its JSON."""
        metadata = body["metadata"]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            created_at=read_time(metadata["creationTimestamp"]),
            spec=body.get("spec", {}),
            status=body.get("status", {}),
            deleting="deletionTimestamp" in metadata,
            version=version_of(body),
        )

    @property
    def key(self) -> str:
        """Namespace and name, as people write them."""
        return f"{self.namespace}/{self.name}"


class BlockOfJob(Model):
    """What the annotation of a Job of several trials says of one of them."""

    trial: Annotated[int, Field(ge=0)]
    block: str
    hash: str
    failures: Annotated[int, Field(ge=0)]
    """How many attempts at the trial have failed before."""


_BLOCKS = TypeAdapter(tuple[BlockOfJob, ...])


def write_blocks(blocks: Sequence[BlockOfJob]) -> str:
    """Write what a Job of several trials, or its Pod, says of them in an annotation."""
    return _BLOCKS.dump_json(tuple(blocks)).decode()


def read_blocks(annotations: Mapping[str, str]) -> tuple[BlockOfJob, ...]:
    """Read which trials a Job of several, or its Pod, trains; empty when it says nothing valid."""
    try:
        return _BLOCKS.validate_json(annotations.get(names.BLOCKS_ANNOTATION, "[]"))
    except ValidationError:
        return ()


@dataclass(frozen=True, slots=True)
class TrialJob:
    """A trial's Job, reduced to what decisions need."""

    name: str
    owner_uid: str
    trial: int
    attempt: int
    block: str
    block_hash: str
    result: str | None
    """The text of the annotation ``blockqnn.dev/result``, whatever it holds."""
    archived: bool
    """Kept for its logs; its result is in the history."""
    deleting: bool
    condition: str | None
    """``Complete`` or ``Failed`` once the Job has ended, else None."""
    reason: str
    message: str
    finished_at: datetime | None
    failed_pods: int
    """How many of its Pods have failed, as Kubernetes has counted them."""
    created_at: datetime | None = None
    gpus: int = 0
    """How many accelerators the trainer's container has."""
    suspended: bool = False
    """It may not start Pods yet: a queue such as Kueue has not admitted it."""
    failures: int = 0
    """How many attempts at the trial have failed before this one."""
    pods: int = 0
    """How many of its Pods there are that have not ended, as Kubernetes has counted them."""
    members: "tuple[TrialJob, ...]" = ()
    """Of a Job of several trials, which train one after another: the part of each, in order."""
    before: "tuple[TrialJob, ...]" = ()
    """Of such a part: the parts that are trained before it."""
    shared: bool = False
    """It is a part of a Job of several trials, or such a Job."""

    @property
    def parts(self) -> "tuple[TrialJob, ...]":
        """The Job as each of its trials sees it; nearly always it has one."""
        return self.members or (self,)

    @property
    def result_annotation(self) -> str:
        """The annotation that holds the trial's result."""
        return _result_annotation(self.trial, shared=self.shared)

    @property
    def is_over(self) -> bool:
        """Whether it has ended or all results are known, as far as the Job alone tells."""
        return bool(self.condition or self.deleting) or all(part.result for part in self.parts)

    @staticmethod
    def read(body: Mapping[str, Any]) -> "TrialJob | None":
        """Read a Job from its JSON; None when it is no trial of ours."""
        metadata = body["metadata"]
        labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
        owner = next((o for o in metadata.get("ownerReferences", ()) if o.get("controller")), None)
        trial, attempt = (
            labels.get(names.TRIAL_LABEL, ""),
            annotations.get(names.ATTEMPT_ANNOTATION),
        )
        if owner is None or not trial.isdigit() or not (attempt or "").isdigit():
            return None
        status = body.get("status", {})
        ended = end_of(status)
        job = TrialJob(
            name=metadata["name"],
            owner_uid=owner["uid"],
            trial=int(trial),
            attempt=int(attempt or 0),
            block=annotations.get(names.BLOCK_ANNOTATION, ""),
            block_hash=annotations.get(names.BLOCK_HASH_ANNOTATION, ""),
            result=annotations.get(names.RESULT_ANNOTATION),
            archived=labels.get(names.ARCHIVED_LABEL) == "true",
            deleting="deletionTimestamp" in metadata,
            condition=ended.get("type"),
            reason=ended.get("reason", ""),
            message=ended.get("message", ""),
            finished_at=read_time(ended["lastTransitionTime"]) if ended else None,
            failed_pods=body.get("status", {}).get("failed", 0),
            created_at=_time_or_none(metadata.get("creationTimestamp")),
            gpus=accelerators(body.get("spec", {})),
            suspended=body.get("spec", {}).get("suspend") is True,
            failures=int(annotations.get(names.FAILURES_ANNOTATION) or attempt or 0),
            pods=status.get("active", 0) + status.get("terminating", 0),
        )
        blocks = read_blocks(annotations)
        return _divided(job, blocks, annotations) if blocks else job


def _divided(
    job: TrialJob, blocks: Sequence[BlockOfJob], annotations: Mapping[str, str]
) -> TrialJob:
    """Return a Job of several trials with the part of each."""
    members: list[TrialJob] = []
    for block in blocks:
        part = replace(
            job,
            trial=block.trial,
            block=block.block,
            block_hash=block.hash,
            failures=block.failures,
            result=annotations.get(_result_annotation(block.trial, shared=True)),
            before=tuple(members),
            shared=True,
        )
        members.append(part)
    return replace(job, members=tuple(members), shared=True)


def _result_annotation(trial: int, *, shared: bool) -> str:
    return f"{names.RESULT_ANNOTATION}-{trial:05d}" if shared else names.RESULT_ANNOTATION


@dataclass(frozen=True, slots=True)
class PreparationJob:
    """The Job that makes a search's dataset ready, reduced to what decisions need."""

    name: str
    owner_uid: str
    dataset: str
    """Stands for the dataset and the volume that it makes ready."""
    deleting: bool
    condition: str | None
    """``Complete`` or ``Failed`` once the Job has ended, else None."""
    message: str
    """Why the Job failed, in Kubernetes' words."""
    finished_at: datetime | None
    failed_pods: int

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self | None:
        """Read a Job from its JSON; None when it is no preparation of ours."""
        metadata = body["metadata"]
        labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
        owner = next((o for o in metadata.get("ownerReferences", ()) if o.get("controller")), None)
        if owner is None or labels.get(names.COMPONENT_LABEL) != names.PREPARATION_COMPONENT:
            return None
        status = body.get("status", {})
        ended = end_of(status)
        return cls(
            name=metadata["name"],
            owner_uid=owner["uid"],
            dataset=annotations.get(names.DATASET_ANNOTATION, ""),
            deleting="deletionTimestamp" in metadata,
            condition=ended.get("type"),
            message=ended.get("message") or ended.get("reason", ""),
            finished_at=read_time(ended["lastTransitionTime"]) if ended else None,
            failed_pods=status.get("failed", 0),
        )


def accelerators(job_spec: Mapping[str, Any]) -> int:
    """Count the GPUs of the trainer's container, of whichever vendor."""
    containers = job_spec.get("template", {}).get("spec", {}).get("containers", ())
    trainer: Mapping[str, Any] = next(
        (c for c in containers if c.get("name") == names.CONTAINER), {}
    )
    limits = (trainer.get("resources") or {}).get("limits") or {}
    return sum(
        int(count)
        for name, count in limits.items()
        if ("gpu" in name or "/mig-" in name) and str(count).isdecimal()
    )


def end_of(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the condition of a Job's status by which it is over; empty while it is not."""
    for condition in status.get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return dict(condition)
    return {}


@dataclass(frozen=True, slots=True)
class TrialPod:
    """A Pod of a Job of ours, reduced to what decisions need."""

    name: str
    job: str
    created_at: datetime
    exit_code: int | None
    """The exit status of the trainer's container, None while it has not ended."""
    reason: str
    """Why the container or the Pod ended, or why the container is waiting."""
    message: str
    """The termination message of the trainer's container, or the Pod's own message."""
    started_at: datetime | None = None
    """When the trainer's container started, known once it has ended."""
    finished_at: datetime | None = None
    """When the trainer's container ended."""
    placed_at: datetime | None = None
    """When the Pod was given to a node."""
    unplaced: str = ""
    """Why the scheduler finds no node for the Pod, in its words; empty once it has one."""
    interrupted: str = ""
    """Why somebody else than the trainer ends the Pod: a drain, a preemption, a deletion."""
    out_of_time: bool = False
    """The Pod was stopped for running longer than its deadline."""
    gone: bool = False
    """The Pod does not exist any more; this is what was last seen of it."""

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self | None:
        """Read a Pod from its JSON; None when no Job made it."""
        metadata, status = body["metadata"], body.get("status", {})
        job = metadata.get("labels", {}).get(names.JOB_NAME_LABEL)
        if not job:
            return None
        state = _trainer_state(status)
        terminated = state.get("terminated")
        current = terminated or state.get("waiting") or status
        placed = _pod_condition(status, "PodScheduled")
        has_node = placed.get("status") == "True"
        return cls(
            name=metadata["name"],
            job=job,
            created_at=read_time(metadata["creationTimestamp"]),
            exit_code=terminated.get("exitCode") if terminated else None,
            reason=current.get("reason", ""),
            message=current.get("message", ""),
            started_at=_time_or_none((terminated or {}).get("startedAt")),
            finished_at=_time_or_none((terminated or {}).get("finishedAt")),
            placed_at=_time_or_none(placed.get("lastTransitionTime")) if has_node else None,
            unplaced="" if has_node else placed.get("message", ""),
            interrupted=_interruption(metadata, status),
            out_of_time=status.get("reason") == OUT_OF_TIME,
        )


def _interruption(metadata: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    disruption = _pod_condition(status, "DisruptionTarget")
    if disruption.get("status") == "True":
        return f"{disruption.get('reason', '')}: {disruption.get('message', '')}"
    return "It was deleted." if "deletionTimestamp" in metadata else ""


def _pod_condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind:
            return dict(condition)
    return {}


def _trainer_state(status: Mapping[str, Any]) -> Mapping[str, Any]:
    for container in status.get("containerStatuses") or ():
        if container.get("name") == names.CONTAINER:
            return dict(container.get("state") or {})
    return {}


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a decision about one search rests on, apart from its history."""

    search: SearchObject
    jobs: tuple[TrialJob, ...]
    pods: tuple[TrialPod, ...]
    now: datetime
    preparations: tuple[PreparationJob, ...] = ()
    """The Jobs that make, or have made, the dataset ready."""


def _time_or_none(text: str | None) -> datetime | None:
    return read_time(text) if text else None


def read_time(text: str) -> datetime:
    """Read a time as Kubernetes writes it, such as ``2020-01-31T12:00:00Z``."""
    return datetime.fromisoformat(text)


def write_time(moment: datetime) -> str:
    """Write a time as Kubernetes does, to the second, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
