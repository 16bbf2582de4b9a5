"""The manifest of a Job, built once for all kinds of Jobs. Pure.

A kind of Job says what its trainer runs (:class:`TrainerPod`), what the Job is called, and how
often a failed Pod is replaced. The Pod, its security context, the labels and the merge with the
user's template are the same for all.

To add a kind of Job, write four short files of its name:

- ``observed/``: its parts, that is, what labels and annotations say that a Job is for
- ``jobs/``: its name, labels, command, environment and volumes
- ``judging/``: how its result is read, and what fails it besides what fails every Job
- ``planning/``: which are wanted, and what is to be done about them

Then name its component in :mod:`blockqnn_api.names`, its reader in ``shell/kubernetes/cache.py``,
and let ``shell/reconcile/controller.py`` carry out its plan with a ``JobWriter``.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from blockqnn.contract.message import SCHEMA_VERSION
from blockqnn.contract.trial import THREADS_VARIABLE
from blockqnn_api import names
from blockqnn_api.accelerators import count_accelerators
from blockqnn_api.history.shards import owner_reference
from blockqnn_api.mount_paths import SCRATCH_PATH
from blockqnn_api.object_fields import LARGEST_COUNT
from blockqnn_api.objects import SearchObject
from blockqnn_api.quantities import number
from blockqnn_api.spec import BlockSearchSpec, Dataset

BAD_INPUT_STATUS = 2
"""The trainer's exit status for input that no retry mends: the Job fails at once."""
SHUTDOWN_SECONDS = 10
"""Seconds that a trainer has after SIGTERM; it needs less than one to write its last message."""
QUEUE_PREFIX = "kueue.x-k8s.io/"
"""Prefix of the labels of a search or a Pod template that the Job gets too: Kueue reads the queue's
name and the priority there, and admits the Job as a whole."""
SIGTERM_STATUS = 143
"""The exit status of a process that SIGTERM ended: the Pod was deleted or its node drained."""
TRAINER_USER = 65532
"""The user that the trainer runs as, which is the image's; any user but root works."""
MOST_THREADS = 1024
"""The most threads that a trainer is told to use; no node has as many processors."""
Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of the trainer's container."""

    name: str
    source: Mapping[str, Any]
    """The place of its files, as a Pod names it: ``persistentVolumeClaim``, ``emptyDir``, ..."""
    path: str
    read_only: bool = False

    @property
    def mount(self) -> Manifest:
        """The entry of the container's mounts."""
        read_only = {"readOnly": True} if self.read_only else {}
        return {"name": self.name, "mountPath": self.path, **read_only}


SCRATCH = Volume("scratch", {"emptyDir": {}}, SCRATCH_PATH)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerPod:
    """Properties of a Pod in which the kinds of Jobs differ."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str]
    variable: tuple[str, str] | None = None
    """The environment variable that says what to train, and its value."""
    volumes: Sequence[Volume] = ()
    """Those besides the scratch directory."""
    resources: Mapping[str, Mapping[str, str | int]]
    accelerators: bool = True
    """False drops the extended resources, even those of the user's template."""
    declared_accelerators: int | None = None
    """The number of accelerators that the user declares; None to count the known devices."""
    timeout: int | None = None
    """Seconds that the Pod may run, of the Pod and not of the Job, whose clock runs while the Pod
    waits for a node; more than Kubernetes counts means as long as it counts."""
    shutdown_seconds: int = SHUTDOWN_SECONDS

    def template(self, settings: BlockSearchSpec) -> Manifest:
        """Return the Pod template: the operator's, with the user's merged over it."""
        limit: Manifest = {}
        if self.timeout is not None:
            limit = {"activeDeadlineSeconds": min(self.timeout, LARGEST_COUNT)}
        # A volume must be writable for the trainer's user; one that already is stays as it is.
        owned = {"fsGroup": TRAINER_USER, "fsGroupChangePolicy": "OnRootMismatch"}
        writes = any(not volume.read_only for volume in self.volumes)
        base: Manifest = {
            "restartPolicy": "Never",
            **limit,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": self.shutdown_seconds,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": TRAINER_USER,
                **(owned if writes else {}),
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [self._container(settings)],
            "volumes": [{"name": v.name, **v.source} for v in (SCRATCH, *self.volumes)],
        }
        user = settings.trial.pod_template
        metadata = {"labels": dict(self.labels), "annotations": dict(self.annotations)}
        spec = merge(base, user.spec)
        if not self.accelerators:
            spec["containers"] = [_without_accelerators(c) for c in spec["containers"]]
        return {"metadata": merge(user.metadata.model_dump(), metadata), "spec": spec}

    def accelerators_of(self, template: Manifest) -> int:
        """Return the number of accelerators of each Pod of a template."""
        if not self.accelerators:
            return 0
        if self.declared_accelerators is not None:
            return self.declared_accelerators
        containers = template["spec"]["containers"]
        if not isinstance(containers, list):
            return 0
        trainer = next((c for c in containers if _map(c).get("name") == names.CONTAINER), None)
        return count_accelerators(_map(_map(_map(trainer).get("resources")).get("limits")))

    def _container(self, settings: BlockSearchSpec) -> Manifest:
        environment = {}
        if self.variable is not None:
            name, value = self.variable
            environment["env"] = [{"name": name, "value": value}, *threads(self.resources)]
        return {
            "name": names.CONTAINER,
            "image": settings.trial.image,
            "command": list(self.command),
            **environment,
            "resources": self.resources,
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [volume.mount for volume in (SCRATCH, *self.volumes)],
        }


def job(
    search: SearchObject,
    settings: BlockSearchSpec,
    name: str,
    pod: TrainerPod,
    retries: int,
    attempt: int | None = None,
    template_hash: str = "",
    version: int = SCHEMA_VERSION,
    annotations: Mapping[str, str] | None = None,
    failure_policy: Manifest | None = None,
) -> Manifest:
    """Return a Job that the operator manages.

    Args:
        search: the search, which owns the Job.
        settings: its settings.
        name: the Job's name: it must be the same, whoever creates the Job.
        pod: the properties of its Pods that are its own.
        retries: how often Kubernetes replaces a failed Pod.
        attempt: counts the Jobs for the same thing, from 0; None where nothing is reported.
        template_hash: of what the spec says of it (:func:`template_hash_of`).
        version: the version of the contract with the trainer.
        annotations: annotations besides those of its Pods.
        failure_policy: which ends of a Pod count as failures; None for the usual.
    """
    template = pod.template(settings)
    counted = {names.ACCELERATORS_ANNOTATION: str(pod.accelerators_of(template))}
    if template_hash:
        counted[names.TEMPLATE_ANNOTATION] = template_hash
    if attempt is not None:
        counted[names.ATTEMPT_ANNOTATION] = str(attempt)
        counted[names.SCHEMA_VERSION_ANNOTATION] = str(version)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": search.namespace,
            "labels": {**queue_labels(search, settings), **pod.labels},
            "annotations": {**pod.annotations, **(annotations or {}), **counted},
            "ownerReferences": [owner_reference(search)],
        },
        "spec": {
            "backoffLimit": max(retries, 0),
            "podFailurePolicy": failure_policy or pod_failure_policy(),
            "template": template,
        },
    }


def template_hash_of(settings: BlockSearchSpec, *own: Any) -> str:
    """Return a hash of what a spec says of a kind of Job, and may come to say of one that waits.

    Args:
        settings: the settings of the search.
        own: what is said of this kind alone: its resources, volumes, limits, as JSON.
    """
    trial = settings.trial
    return short_hash([trial.image, trial.pod_template.model_dump(mode="json"), *own])


def short_hash(value: Any) -> str:
    """Return eight hexadecimal digits of a value's hash, by its JSON."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def job_labels(search: SearchObject, component: str, own: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a Job and its Pods: those of all kinds, and a kind's own."""
    return {
        "app.kubernetes.io/name": f"blockqnn-{component}",
        "app.kubernetes.io/instance": search.name,
        "app.kubernetes.io/part-of": "blockqnn",
        "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
        names.COMPONENT_LABEL: component,
        names.SEARCH_LABEL: search.name,
        **own,
    }


def block_annotations(block: str, block_hash: str) -> dict[str, str]:
    """Return the annotations of a Job and its Pods that train one block."""
    return {names.BLOCK_ANNOTATION: block, names.BLOCK_HASH_ANNOTATION: block_hash}


def dataset_volume(dataset: Dataset, *, read_only: bool = True) -> tuple[Volume, ...]:
    """Return the volume of a dataset's images; none where they come with the trainer's image."""
    if not dataset.volume:
        return ()
    return (Volume("dataset", dataset.volume, dataset.path, read_only),)


def queue_labels(search: SearchObject, settings: BlockSearchSpec) -> dict[str, str]:
    """Return the labels by which a queue such as Kueue's finds a Job.

    They stand on the search, as on every other kind that Kueue knows, or in the Pod template,
    which wins.
    """
    asked = {**search.labels, **settings.trial.pod_template.metadata.labels}
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
    try:
        processors = int(number("" if asked is None else asked))
    except ValueError:
        return []
    return [{"name": THREADS_VARIABLE, "value": str(min(max(1, processors), MOST_THREADS))}]


def derived_seed(seed: int, purpose: str) -> int:
    """Derive an independent seed of 63 bits: neighbouring seeds must not give related streams."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


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
    """Lay one partial manifest over another, as a strategic merge patch does.

    A map with ``$patch: replace`` stands in place of what is below it.
    """
    merged = {} if over.get(names.PATCH) == names.REPLACE else dict(base)
    for name, value in over.items():
        if name == names.PATCH and value == names.REPLACE:
            continue
        below, key = merged.get(name), MERGE_KEYS.get(name, "")
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[name] = merge(below, value)
        elif _has_keys(below, key) and _has_keys(value, key):
            merged[name] = _merge_items(below, value, key)
        else:
            merged[name] = merge({}, value) if isinstance(value, Mapping) else value
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
