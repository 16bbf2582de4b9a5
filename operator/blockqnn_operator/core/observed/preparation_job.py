"""The Job that prepares a dataset, as the API server holds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from blockqnn_api import names
from blockqnn_api.objects import read_time
from blockqnn_operator.core.observed.job import end_of


@dataclass(frozen=True, slots=True)
class PreparationJob:
    """The Job that makes a search's dataset ready, reduced to what decisions need."""

    name: str
    owner_uid: str
    dataset: str
    """Hash of the dataset and the volume that it makes ready."""
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
