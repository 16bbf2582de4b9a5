"""The Job that makes a dataset ready before the first trial, as the API server takes it. Pure."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from blockqnn_api import names
from blockqnn_api.history.shards import owner_reference
from blockqnn_api.objects import SearchObject
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_operator.core.jobs.base import (
    SHUTDOWN_SECONDS,
    TRAINER_USER,
    Manifest,
    merge,
    pod_failure_policy,
    queue_labels,
)

RETRIES = 6
"""Number of times that a Job retries a failed preparation: Kubernetes' own default. With the
back-off of 10 s, which doubles, an outage of a download server may last ten minutes."""

PER_POD = ("emptyDir", "ephemeral")
"""Kinds of volumes that belong to one Pod each: no other Pod sees what it writes."""


def no_need(settings: BlockSearchSpec) -> str | None:
    """Return why a search's dataset need not be prepared; None when it must be."""
    dataset = settings.dataset
    if dataset.name == "digits":
        return "The digits images are part of the trainer's image."
    if dataset.volume is None:
        return "There is no spec.dataset.volume to prepare: the images come with the trainer's."
    kind = next(iter(dataset.volume))
    if kind in PER_POD:
        return f"Each Pod has a volume of its own, since spec.dataset.volume is of kind {kind}."
    containers = settings.trial.pod_template.spec.get("containers")
    for container in containers if isinstance(containers, list) else ():
        own = isinstance(container, Mapping) and container.get("name") == names.CONTAINER
        if own and ("command" in container or "args" in container):
            return "The trials run a command of their own, which finds its images by itself."
    return None


def dataset_hash(settings: BlockSearchSpec) -> str:
    """Return a hash of a dataset and its volume: Jobs with the same hash do the same work."""
    dataset = settings.dataset
    return _hash([dataset.name, dataset.path, dataset.image_size, dataset.volume])


def preparation_job(search: SearchObject, settings: BlockSearchSpec) -> Manifest:
    """Return the Job that prepares a search's dataset.

    Its name depends on everything that it does, so that it is never created twice, and a corrected
    spec gets another Job.
    """
    template = _pod_template(search, settings)
    dataset = dataset_hash(settings)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{search.name}-prepare-{_hash([dataset, template])}",
            "namespace": search.namespace,
            "labels": {**queue_labels(settings), **_labels(search)},
            "annotations": {names.DATASET_ANNOTATION: dataset},
            "ownerReferences": [owner_reference(search)],
        },
        "spec": {
            "backoffLimit": RETRIES,
            "podFailurePolicy": pod_failure_policy(),
            "template": template,
        },
    }


def _pod_template(search: SearchObject, settings: BlockSearchSpec) -> Manifest:
    base: Manifest = {
        "metadata": {"labels": _labels(search)},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": SHUTDOWN_SECONDS,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": TRAINER_USER,
                # The volume must be writable for this user; one that already is stays as it is.
                "fsGroup": TRAINER_USER,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(settings)],
            "volumes": [
                {"name": "scratch", "emptyDir": {}},
                {"name": "dataset", **(settings.dataset.volume or {})},
            ],
        },
    }
    asked = settings.trial.pod_template
    merged = merge(base["spec"], asked.spec)
    merged["containers"] = [_without_accelerators(c) for c in merged["containers"]]
    return {
        "metadata": merge(asked.metadata.model_dump(), base["metadata"]),
        "spec": merged,
    }


def _container(settings: BlockSearchSpec) -> Manifest:
    dataset = settings.dataset
    size = [] if dataset.image_size is None else ["--image-size", str(dataset.image_size)]
    return {
        "name": names.CONTAINER,
        "image": settings.trial.image,
        "command": ["blockqnn-train", "prepare", dataset.name, dataset.path, *size],
        "resources": settings.trial.resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "scratch", "mountPath": "/tmp"},
            {"name": "dataset", "mountPath": dataset.path},
        ],
    }


def _without_accelerators(container: Any) -> Any:
    """Drop the extended resources, whose names have a domain: only training needs them."""
    resources = container.get("resources") if isinstance(container, Mapping) else None
    if not isinstance(resources, Mapping):
        return container
    kept = {
        kind: {name: amount for name, amount in amounts.items() if "/" not in name}
        for kind, amounts in resources.items()
        if isinstance(amounts, Mapping)
    }
    return {**container, "resources": kept}


def _labels(search: SearchObject) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "blockqnn-preparation",
        "app.kubernetes.io/instance": search.name,
        "app.kubernetes.io/part-of": "blockqnn",
        "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
        names.COMPONENT_LABEL: names.PREPARATION_COMPONENT,
        names.SEARCH_LABEL: search.name,
    }


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
