"""A trial's Job, as a small frozen value that is read once before each decision.

The shell reads it from its watches; the rest of ``core`` never sees a raw object.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from blockqnn_api import names
from blockqnn_api.objects import BlockOfJob, read_blocks, read_time, time_or_none
from blockqnn_operator.core.observed.job import accelerators, end_of


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
    """Number of its Pods that have failed, as counted by Kubernetes."""
    created_at: datetime | None = None
    gpus: int = 0
    """Number of accelerators of the trainer's container."""
    suspended: bool = False
    """It may not start Pods yet: a queue such as Kueue has not admitted it."""
    failures: int = 0
    """Number of earlier attempts at the trial that have failed."""
    pods: int = 0
    """Number of its Pods that have not ended, as counted by Kubernetes."""
    members: "tuple[TrialJob, ...]" = ()
    """Parts of a Job of several trials, which train one after another, in order."""
    before: "tuple[TrialJob, ...]" = ()
    """Parts of the same Job that are trained before this part."""
    shared: bool = False
    """It is a part of a Job of several trials, or such a Job."""

    @property
    def parts(self) -> "tuple[TrialJob, ...]":
        """The parts of the Job, one for each of its trials; nearly always there is one."""
        return self.members or (self,)

    @property
    def result_annotation(self) -> str:
        """The annotation that holds the trial's result."""
        return _result_annotation(self.trial, shared=self.shared)

    @property
    def is_over(self) -> bool:
        """True once it has ended or all results are known, as far as the Job alone tells."""
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
            created_at=time_or_none(metadata.get("creationTimestamp")),
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
