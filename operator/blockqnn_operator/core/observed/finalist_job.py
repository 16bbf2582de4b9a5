"""A finalist's Job, as the API server holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from blockqnn_api import names
from blockqnn_api.history.finalist_record import Finalist
from blockqnn_api.objects import read_time
from blockqnn_operator.core.observed.job import accelerators, end_of


@dataclass(frozen=True, slots=True)
class FinalistJob:
    """A finalist's Job, reduced to what decisions need."""

    name: str
    owner_uid: str
    finalist: Finalist
    attempt: int
    block: str
    block_hash: str
    result: str | None
    """The text of the annotation ``blockqnn.dev/result``, whatever it holds."""
    deleting: bool
    condition: str | None
    """``Complete`` or ``Failed`` once the Job has ended, else None."""
    reason: str
    message: str
    """Why the Job failed, in Kubernetes' words."""
    finished_at: datetime | None
    failed_pods: int
    gpus: int = 0
    created_at: datetime | None = None
    pods: int = 0
    """Number of its Pods that have not ended, as counted by Kubernetes."""
    suspended: bool = False
    """It may not start Pods yet: a queue such as Kueue has not admitted it."""

    @property
    def result_annotation(self) -> str:
        """The annotation that holds its result."""
        return names.RESULT_ANNOTATION

    @property
    def is_over(self) -> bool:
        """True once it has ended or its result is known, as far as the Job alone tells."""
        return bool(self.condition or self.result or self.deleting)

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self | None:
        """Read a Job from its JSON; None when it is no finalist of ours."""
        metadata = body["metadata"]
        labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
        owner = next((o for o in metadata.get("ownerReferences", ()) if o.get("controller")), None)
        trial, seed = labels.get(names.FINALIST_LABEL, ""), labels.get(names.SEED_LABEL, "")
        attempt = annotations.get(names.ATTEMPT_ANNOTATION, "")
        if owner is None or not (trial.isdigit() and seed.isdigit() and attempt.isdigit()):
            return None
        status, spec = body.get("status", {}), body.get("spec", {})
        ended = end_of(status)
        return cls(
            name=metadata["name"],
            owner_uid=owner["uid"],
            finalist=Finalist(int(trial), labels.get(names.TARGET_LABEL, ""), int(seed)),
            attempt=int(attempt),
            block=annotations.get(names.BLOCK_ANNOTATION, ""),
            block_hash=annotations.get(names.BLOCK_HASH_ANNOTATION, ""),
            result=annotations.get(names.RESULT_ANNOTATION),
            deleting="deletionTimestamp" in metadata,
            condition=ended.get("type"),
            reason=ended.get("reason", ""),
            message=ended.get("message", ""),
            finished_at=read_time(ended["lastTransitionTime"]) if ended else None,
            failed_pods=status.get("failed", 0),
            gpus=accelerators(spec),
            created_at=read_time(created)
            if (created := metadata.get("creationTimestamp"))
            else None,
            pods=status.get("active", 0) + status.get("terminating", 0),
            suspended=spec.get("suspend") is True,
        )
