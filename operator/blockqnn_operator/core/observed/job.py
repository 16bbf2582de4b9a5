"""A Job of ours, as a small frozen value that is read once before each decision.

The shell reads it from its watches; the rest of ``core`` never sees a raw object. What a Job is
for, its parts, differs between the kinds of Jobs; all else is read here for all of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, Self, TypeVar

from blockqnn_api import names
from blockqnn_api.accelerators import count_accelerators
from blockqnn_api.objects import time_or_none

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

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


Part = TypeVar("Part", bound=JobPart)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[Part]):
    """A Job, reduced to what decisions need."""

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
        """Read a Job from its JSON; None when it is not one of ours, or of another kind."""
        metadata, status, spec = body["metadata"], body.get("status", {}), body.get("spec", {})
        labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
        owner = next((o for o in metadata.get("ownerReferences", ()) if o.get("controller")), None)
        parts = cls.read_parts(Metadata(labels, annotations))
        if owner is None or not parts:
            return None
        ended = _end_of(status)
        return cls(
            name=metadata["name"],
            owner_uid=owner["uid"],
            parts=parts,
            attempt=attempt_of(annotations) or 0,
            archived=labels.get(names.ARCHIVED_LABEL) == "true",
            deleting="deletionTimestamp" in metadata,
            deleted_at=time_or_none(metadata.get("deletionTimestamp")),
            condition=ended.get("type"),
            reason=ended.get("reason", ""),
            message=ended.get("message", ""),
            finished_at=time_or_none(ended.get("lastTransitionTime")),
            failed_pods=status.get("failed", 0),
            created_at=time_or_none(metadata.get("creationTimestamp")),
            managed_by=_other_controller(spec),
            template_hash=annotations.get(names.TEMPLATE_ANNOTATION, ""),
            gpus=_accelerators(annotations, spec),
            suspended=spec.get("suspend") is True,
            pods=status.get("active", 0) + status.get("terminating", 0),
        )

    @classmethod
    def read_parts(cls, metadata: Metadata) -> tuple[Part, ...]:
        """Read what a Job is for; each kind has its own. Nothing when it is of another kind."""
        raise NotImplementedError


def attempt_of(annotations: Mapping[str, str]) -> int | None:
    """Return the number of a Job's attempt; None where it has none."""
    text = annotations.get(names.ATTEMPT_ANNOTATION, "")
    return int(text) if text.isdigit() else None


def block_of(annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of the part of a Job that trains one block."""
    return {
        "block": annotations.get(names.BLOCK_ANNOTATION, ""),
        "block_hash": annotations.get(names.BLOCK_HASH_ANNOTATION, ""),
        "result": annotations.get(names.RESULT_ANNOTATION),
    }


_OWN_CONTROLLER = "kubernetes.io/job-controller"


def _other_controller(job_spec: Mapping[str, Any]) -> str:
    controller = job_spec.get("managedBy") or _OWN_CONTROLLER
    return "" if controller == _OWN_CONTROLLER else str(controller)


def _accelerators(annotations: Mapping[str, str], job_spec: Mapping[str, Any]) -> int:
    """Return the accelerators of a Pod, as declared when the Job was created, or else counted."""
    declared = annotations.get(names.ACCELERATORS_ANNOTATION, "")
    if _COUNT.fullmatch(declared):
        return int(declared)
    containers = job_spec.get("template", {}).get("spec", {}).get("containers", ())
    trainer: Mapping[str, Any] = next(
        (c for c in containers if c.get("name") == names.CONTAINER), {}
    )
    return count_accelerators((trainer.get("resources") or {}).get("limits") or {})


_COUNT = re.compile(r"[0-9]{1,7}")


def _end_of(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the condition that says how a Job ended; empty while it has not ended."""
    for condition in status.get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return dict(condition)
    return {}
