"""Fields that are read in the same way from Jobs of all kinds."""

from collections.abc import Mapping
from typing import Any

from blockqnn_api import names

OUT_OF_TIME = "DeadlineExceeded"
"""Kubernetes' reason for ending a Pod, or failing a Job, that takes too long."""


def accelerators(job_spec: Mapping[str, Any]) -> int:
    """Count the GPUs of the trainer's container, of any vendor."""
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
    """Return the condition that says how a Job ended; empty while it has not ended."""
    for condition in status.get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return dict(condition)
    return {}
