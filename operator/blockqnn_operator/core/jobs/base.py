"""Parts that the manifests of all kinds of Jobs share. Pure."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from blockqnn.contract.message import SCHEMA_VERSION
from blockqnn.contract.trial import THREADS_VARIABLE
from blockqnn_api import names
from blockqnn_api.history.shards import owner_reference
from blockqnn_api.objects import SearchObject
from blockqnn_api.spec import BlockSearchSpec

BAD_INPUT_STATUS = 2
"""The trainer's exit status for input that no retry mends: the Job fails at once."""
SHUTDOWN_SECONDS = 10
"""Seconds that a trainer has after SIGTERM; it needs less than one to write its last message."""
QUEUE_PREFIX = "kueue.x-k8s.io/"
"""Prefix of the labels of a Pod template that the Job gets too: Kueue reads the queue's name and
the priority there, and admits the Job as a whole."""
SIGTERM_STATUS = 143
"""The exit status of a process that SIGTERM ended: the Pod was deleted or its node drained."""
TRAINER_USER = 65532
"""The user that the trainer runs as, which is the image's; any user but root works."""
_CPU_QUANTITY = re.compile(r"^(\d+(?:\.\d+)?)(m?)$")
Manifest = dict[str, Any]


def job(
    search: SearchObject,
    settings: BlockSearchSpec,
    name: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    spec: Manifest,
) -> Manifest:
    """Return a Job that the operator manages."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": search.namespace,
            "labels": {**queue_labels(settings), **labels},
            "annotations": {
                **annotations,
                names.SCHEMA_VERSION_ANNOTATION: str(SCHEMA_VERSION),
            },
            "ownerReferences": [owner_reference(search)],
        },
        "spec": spec,
    }


def queue_labels(settings: BlockSearchSpec) -> dict[str, str]:
    """Return the labels by which a queue such as Kueue's finds a Job."""
    asked = settings.trial.pod_template.metadata.labels
    return {label: asked[label] for label in asked if label.startswith(QUEUE_PREFIX)}


def pod_failure_policy() -> Manifest:
    """Return the policy for which ends of a Pod count as failures of its Job."""
    # The status is the default, and yet required by the schemas of older Kubernetes.
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    return {
        "rules": [
            {"action": "Ignore", "onPodConditions": [disrupted]},
            exit_rule("Ignore", SIGTERM_STATUS),
            exit_rule("FailJob", BAD_INPUT_STATUS),
        ]
    }


def exit_rule(action: str, status: int) -> Manifest:
    """Return the rule of a Pod failure policy for an exit status of the trainer."""
    on = {"containerName": names.CONTAINER, "operator": "In", "values": [status]}
    return {"action": action, "onExitCodes": on}


def threads(resources: Mapping[str, Mapping[str, str | int]]) -> list[Manifest]:
    """Tell the trainer how many processors it was given, where the resources say so.

    A container with a request and no limit sees every processor of its node, and trainings that
    each use all of them slow one another down many times over. It also keeps results comparable: a
    training on a processor is the same to the last bit for the same number of threads only.
    """
    asked = resources.get("limits", {}).get("cpu", resources.get("requests", {}).get("cpu"))
    match = _CPU_QUANTITY.match(str(asked))
    if match is None:
        return []
    processors = float(match[1]) / (1000 if match[2] else 1)
    return [{"name": THREADS_VARIABLE, "value": str(max(1, int(processors)))}]


def derived_seed(seed: int, purpose: str) -> int:
    """Derive an independent seed of 63 bits: neighbouring seeds must not give related streams."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
}
"""The lists of a Pod that are merged item by item, and the keys that tell their items apart: the
merge keys of Kubernetes itself."""


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Manifest:
    """Lay one partial manifest over another, as a strategic merge patch does."""
    merged = dict(base)
    for field, value in over.items():
        below, key = merged.get(field), MERGE_KEYS.get(field, "")
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[field] = merge(below, value)
        elif _has_keys(below, key) and _has_keys(value, key):
            merged[field] = _merge_items(below, value, key)
        else:
            merged[field] = value
    return merged


def _has_keys(value: Any, key: str) -> TypeGuard[list[Manifest]]:
    return isinstance(value, list) and all(isinstance(_map(i).get(key), str) for i in value)


def _merge_items(base: list[Manifest], over: list[Manifest], key: str) -> list[Manifest]:
    items = {item[key]: item for item in base}
    for item in over:
        items[item[key]] = merge(items.get(item[key], {}), item)
    return list(items.values())


def _map(value: Any) -> Mapping[str, Any]:
    """Return a value if it is a map, else an empty map: the API server refuses anything else."""
    return value if isinstance(value, Mapping) else {}
