"""The Job of a trial, as the API server takes it. Pure."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from blockqnn.contract.message import SCHEMA_VERSION
from blockqnn.contract.trial import THREADS_VARIABLE, TRIAL_VARIABLE, TrialSpec
from blockqnn.search import Proposal
from blockqnn_operator.api import names
from blockqnn_operator.api.durations import seconds
from blockqnn_operator.api.resolve import limits_of
from blockqnn_operator.api.spec import BlockSearchSpec
from blockqnn_operator.core.history import owner_reference
from blockqnn_operator.core.observation import SearchObject

BAD_INPUT_STATUS = 2
"""The trainer's exit status for input that no retry mends: the Job fails at once."""

SHUTDOWN_SECONDS = 10
"""How long a trainer has after SIGTERM; it needs less than one to write its last words."""

QUEUE_PREFIX = "kueue.x-k8s.io/"
"""Labels of a Pod template that the Job gets too: Kueue reads the queue's name and the priority
there, and admits the Job as a whole."""

SIGTERM_STATUS = 143
"""The exit status of what SIGTERM ended: the Pod was deleted or its node drained."""

TRAINER_USER = 65532
"""The user that the trainer runs as, that of the image; any but root would do."""

_CPU_QUANTITY = re.compile(r"^(\d+(?:\.\d+)?)(m?)$")

Manifest = dict[str, Any]


def job_name(search: str, trial: int, attempt: int) -> str:
    """Return the name of a trial's Job: the same trial has the same Job, whoever creates it."""
    return f"{search}-t{trial:05d}-a{attempt}"


def trial_job(
    search: SearchObject,
    settings: BlockSearchSpec,
    proposal: Proposal,
    attempt: int = 0,
    failures: int | None = None,
) -> Manifest:
    """Return the Job that trains a proposed block.

    A further attempt gets one retry less: that some Pods failed before is likely to repeat itself.

    Args:
        search: the search.
        settings: its settings.
        proposal: the block.
        attempt: which attempt at the trial it is.
        failures: how many attempts before have failed; by default all of them.
    """
    failures = attempt if failures is None else failures
    block = {
        names.BLOCK_ANNOTATION: str(proposal.block),
        names.BLOCK_HASH_ANNOTATION: proposal.hash,
    }
    spec = trial_spec(search, settings, proposal, attempt)
    told = {"name": TRIAL_VARIABLE, "value": spec.model_dump_json(exclude_none=True)}
    labels = trial_labels(search, proposal)
    counted = {names.FAILURES_ANNOTATION: str(failures)} if failures != attempt else {}
    return job(
        search,
        settings,
        job_name(search.name, proposal.trial, attempt),
        labels,
        {**block, names.ATTEMPT_ANNOTATION: str(attempt), **counted},
        {
            "backoffLimit": max(settings.failure_policy.retries - failures, 0),
            "podFailurePolicy": pod_failure_policy(),
            "template": pod_template(settings, labels, block, told),
        },
    )


def job(
    search: SearchObject,
    settings: BlockSearchSpec,
    name: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    spec: Manifest,
) -> Manifest:
    """Return a Job of the operator's."""
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
    """Return which ends of a Pod count as its Job's failures."""
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


def pod_template(
    settings: BlockSearchSpec,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    told: Manifest,
    blocks: int = 1,
) -> Manifest:
    """Return the Pod template of trials: the operator's, with the user's merged over it.

    Args:
        settings: the search's settings.
        labels: the Pods' labels.
        annotations: the Pods' annotations.
        told: the environment variable that tells the trainer what to train.
        blocks: how many blocks the Pod trains.
    """
    base: Manifest = {
        "metadata": {"labels": dict(labels), "annotations": dict(annotations)},
        "spec": {
            "restartPolicy": "Never",
            # Of the Pod and not of the Job, whose clock runs while the Pod waits for a node.
            "activeDeadlineSeconds": seconds(settings.failure_policy.trial_timeout) * blocks,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": SHUTDOWN_SECONDS,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": TRAINER_USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(settings, told)],
            "volumes": [{"name": "scratch", "emptyDir": {}}, *_dataset_volume(settings)],
        },
    }
    template = settings.trial.pod_template
    metadata = merge(template.metadata.model_dump(), base["metadata"])
    return {"metadata": metadata, "spec": merge(base["spec"], template.spec)}


def _container(settings: BlockSearchSpec, told: Manifest) -> Manifest:
    mounts: list[Manifest] = [{"name": "scratch", "mountPath": "/tmp"}]
    if settings.dataset.volume:
        mounts.append({"name": "dataset", "mountPath": settings.dataset.path, "readOnly": True})
    return {
        "name": names.CONTAINER,
        "image": settings.trial.image,
        "command": ["blockqnn-train", "run"],
        "env": [told, *threads(settings.trial.resources)],
        "resources": settings.trial.resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


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


def _dataset_volume(settings: BlockSearchSpec) -> list[Manifest]:
    volume = settings.dataset.volume
    return [{"name": "dataset", **volume}] if volume else []


def trial_spec(
    search: SearchObject, settings: BlockSearchSpec, proposal: Proposal, attempt: int
) -> TrialSpec:
    """Return what the trainer is told of a trial."""
    dataset = settings.dataset.model_dump(exclude={"volume"})
    return TrialSpec.model_validate(
        {
            "search": search.key,
            "trial": proposal.trial,
            "attempt": attempt,
            "block": str(proposal.block),
            "seed": derived_seed(settings.seed, f"trial:{proposal.trial}"),
            "splitSeed": derived_seed(settings.seed, "split"),
            "network": limits_of(settings).network_for(proposal.block.body),
            "constraints": settings.space.constraints or None,
            "dataset": dataset,
            "training": settings.training,
            "stopping": proposal.stopping or None,
        }
    )


def derived_seed(seed: int, purpose: str) -> int:
    """Derive an independent seed of 63 bits: neighbouring seeds must not give related streams."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def trial_labels(search: SearchObject, proposal: Proposal) -> dict[str, str]:
    """Return the labels of a trial's Job and Pods; of several trials, those of the first."""
    return {
        "app.kubernetes.io/name": "blockqnn-trial",
        "app.kubernetes.io/instance": search.name,
        "app.kubernetes.io/part-of": "blockqnn",
        "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
        names.COMPONENT_LABEL: names.TRIAL_COMPONENT,
        names.SEARCH_LABEL: search.name,
        names.TRIAL_LABEL: f"{proposal.trial:05d}",
        names.ITERATION_LABEL: str(proposal.iteration),
    }


MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
}
"""The lists of a Pod that are merged item by item, and what tells their items apart: the merge keys
that Kubernetes itself uses for them."""


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
    """Take what a Pod template has where a map belongs; the API server refuses anything else."""
    return value if isinstance(value, Mapping) else {}
