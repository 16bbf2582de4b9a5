"""A Job of ours, as a small frozen value that is read once before each decision.

The shell reads it from its watches; the rest of ``core`` never sees a raw object. What a Job is
for, its parts, differs between the kinds of Jobs; all else is read here for all of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

from blockqnn_api import names
from blockqnn_api.accelerators import count_accelerators
from blockqnn_api.object_fields import Fields

OUT_OF_TIME = "DeadlineExceeded"
"""Kubernetes' reason for ending a Pod, or failing a Job, that takes too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPart:
    """The purpose of a Job; a Job of several trials has one part for each of them."""

    block: str = ""
    """The block that is trained, if any."""
    block_hash: str = ""
    result: str | None = None
    """The text of the annotation with the result, whatever it holds."""

    @property
    def result_annotation(self) -> str:
        """The annotation that holds the result."""
        return names.RESULT_ANNOTATION


class Metadata(NamedTuple):
    """The labels and annotations of a Job, which say what it is for."""

    labels: Fields
    annotations: Fields


Part = TypeVar("Part", bound=JobPart)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[Part]):
    """A Job, reduced to what decisions need."""

    component: ClassVar[str]
    """Value of the label that tells its kind."""

    name: str
    owner_uid: str
    parts: tuple[Part, ...]
    """Its purpose: at least one part, in the order in which they are done."""
    attempt: int = 0
    """Number of the attempt at its parts, from 0."""
    archived: bool = False
    """Kept for its logs; its result is in the history."""
    deleting: bool = False
    deleted_at: datetime | None = None
    """When somebody deleted it, while it is still there."""
    condition: str | None = None
    """``Complete`` or ``Failed`` once the Job has ended, else None."""
    reason: str = ""
    message: str = ""
    """Why the Job failed, in Kubernetes' words."""
    finished_at: datetime | None = None
    failed_pods: int = 0
    """Number of its Pods that have failed, as counted by Kubernetes."""
    created_at: datetime | None = None
    managed_by: str = ""
    """The controller of the Job, if it is not that of this cluster: its Pods run elsewhere."""
    template_hash: str = ""
    """Of what the spec said of its Pods; empty for a Job of an earlier version."""
    gpus: int = 0
    """Number of accelerators of the trainer's container."""
    suspended: bool = False
    """It may not start Pods yet: a queue such as Kueue has not admitted it."""
    pods: int = 0
    """Number of its Pods that have not ended, as counted by Kubernetes."""

    @property
    def part(self) -> Part:
        """The first of its parts, which nearly always is the only one."""
        return self.parts[0]

    @property
    def is_over(self) -> bool:
        """True once it has ended or all results are known, as far as the Job alone tells."""
        return bool(self.condition or self.deleting) or all(part.result for part in self.parts)

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self | None:
        """Read a Job from its JSON; None when it is not one of ours, or of another kind.

        Raises:
            ObjectUnreadable: naming the field that is not as it must be.
        """
        job = Fields(body)
        metadata, status, spec = job.part("metadata"), job.part("status"), job.part("spec")
        labels, annotations = metadata.part("labels"), metadata.part("annotations")
        if labels.text(names.COMPONENT_LABEL) != cls.component:
            return None
        owner = owner_of(metadata)
        if owner is None:
            return None
        ended = _end_of(status)
        return cls(
            name=metadata.text("name", None),
            owner_uid=owner,
            parts=cls.read_parts(Metadata(labels, annotations)),
            attempt=annotations.written_count(names.ATTEMPT_ANNOTATION) or 0,
            archived=labels.text(names.ARCHIVED_LABEL) == "true",
            deleting="deletionTimestamp" in metadata,
            deleted_at=metadata.time("deletionTimestamp"),
            condition=ended.text("type") or None,
            reason=ended.text("reason"),
            message=ended.text("message"),
            finished_at=ended.time("lastTransitionTime"),
            failed_pods=status.count("failed"),
            created_at=metadata.time("creationTimestamp"),
            managed_by=_other_controller(spec),
            template_hash=annotations.text(names.TEMPLATE_ANNOTATION),
            gpus=_accelerators(annotations, spec),
            suspended=spec.flag("suspend"),
            pods=status.count("active") + status.count("terminating"),
        )

    @classmethod
    def read_parts(cls, metadata: Metadata) -> tuple[Part, ...]:
        """Read what a Job is for; each kind has its own.

        Raises:
            ObjectUnreadable: naming the label or annotation that is not as it must be.
        """
        raise NotImplementedError


def owner_of(metadata: Fields) -> str | None:
    """Return the uid of the object that controls an object; None where nothing does."""
    owners = metadata.parts("ownerReferences")
    return next((owner.text("uid", None) for owner in owners if owner.flag("controller")), None)


def require_attempt(annotations: Fields) -> int:
    """Return the number of a Job's attempt.

    Raises:
        ObjectUnreadable: when it has none.
    """
    attempt = annotations.written_count(names.ATTEMPT_ANNOTATION)
    if attempt is None:
        raise annotations.is_unreadable(names.ATTEMPT_ANNOTATION, "the number of the attempt")
    return attempt


def block_of(annotations: Fields) -> dict[str, Any]:
    """Return the fields of the part of a Job that trains one block."""
    return {
        "block": annotations.text(names.BLOCK_ANNOTATION),
        "block_hash": annotations.text(names.BLOCK_HASH_ANNOTATION),
        "result": result_of(annotations, names.RESULT_ANNOTATION),
    }


_OWN_CONTROLLER = "kubernetes.io/job-controller"


def _other_controller(job_spec: Fields) -> str:
    controller = job_spec.text("managedBy") or _OWN_CONTROLLER
    return "" if controller == _OWN_CONTROLLER else controller


def result_of(annotations: Fields, name: str) -> str | None:
    """Return the text of an annotation with a result; None where there is none."""
    return annotations.text(name) if name in annotations else None


def _accelerators(annotations: Fields, job_spec: Fields) -> int:
    """Return the accelerators of a Pod, as declared when the Job was created, or else counted."""
    declared = annotations.text(names.ACCELERATORS_ANNOTATION)
    if _COUNT.fullmatch(declared):
        return int(declared)
    for container in job_spec.part("template").part("spec").parts("containers"):
        if container.text("name") == names.CONTAINER:
            limits = container.part("resources").part("limits")
            return count_accelerators({name: limits.raw(name) for name in limits})
    return 0


_COUNT = re.compile(r"[0-9]{1,7}")


def _end_of(status: Fields) -> Fields:
    """Return the condition that says how a Job ended; empty while it has not ended."""
    for condition in status.parts("conditions"):
        if condition.text("type") in ("Complete", "Failed") and condition.text("status") == "True":
            return condition
    return Fields(None)
