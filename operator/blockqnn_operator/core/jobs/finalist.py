"""The Job of a finalist, as the API server takes it. Pure."""

import base64
import hashlib

from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FINALIST_VARIABLE, FINALIST_VERSION, FinalistSpec
from blockqnn_api import names
from blockqnn_api.durations import seconds
from blockqnn_api.finalist_targets import FinalistTarget
from blockqnn_api.finalists_spec import Finalists
from blockqnn_api.history.finalist_record import Finalist
from blockqnn_api.history.shards import owner_reference
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.objects import SearchObject
from blockqnn_api.resolve import limits_of
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_operator.core.jobs.base import (
    TRAINER_USER,
    Manifest,
    derived_seed,
    merge,
    pod_failure_policy,
    queue_labels,
    threads,
)

SHUTDOWN_SECONDS = 30
"""Seconds that a trainer has after SIGTERM: it may take twenty to write its checkpoint."""

LONGEST_JOB_NAME = 57
"""Most characters of a Job's name: the names of its Pods are six longer and must fit 63."""


def finalist_job_name(search: str, finalist: Finalist, attempt: int) -> str:
    """Return the name of a finalist's Job: it is the same, whoever creates the Job."""
    target = f"-{finalist.target}" if finalist.target else ""
    name = f"{search}-f{finalist.trial:05d}{target}-s{finalist.seed}-a{attempt}"
    if len(name) <= LONGEST_JOB_NAME:
        return name
    digest = hashlib.sha256(f"{finalist.target}:{finalist.seed}".encode()).digest()
    # Five letters and digits are all that fit the longest search's name and the last attempt's.
    short = base64.b32encode(digest).decode().lower()[:5]
    return f"{search}-f{finalist.trial:05d}-{short}-a{attempt}"


def finalist_seed(search_seed: int, finalist: Finalist) -> int:
    """Return the seed of a finalist's training."""
    trial, target, seed = finalist
    return derived_seed(search_seed, f"finalist:{trial}:{target}:{seed}")


def finalist_job(
    search: SearchObject,
    settings: BlockSearchSpec,
    asked: Finalists,
    goal: FinalistTarget,
    finalist: Finalist,
    record: TrialRecord,
    attempt: int = 0,
) -> Manifest:
    """Return the Job that trains a finalist.

    Args:
        search: the search.
        settings: its settings.
        asked: the settings of its finalists.
        goal: what the finalist is trained for.
        finalist: the finalist.
        record: the record of its trial.
        attempt: counts the Jobs of the finalist, from 0.
    """
    labels = _labels(search, finalist)
    block = {names.BLOCK_ANNOTATION: record.block, names.BLOCK_HASH_ANNOTATION: record.hash}
    spec = finalist_spec(search, settings, asked, goal, finalist, record, attempt)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": finalist_job_name(search.name, finalist, attempt),
            "namespace": search.namespace,
            "labels": {**queue_labels(settings), **labels},
            "annotations": {
                **block,
                names.ATTEMPT_ANNOTATION: str(attempt),
                names.SCHEMA_VERSION_ANNOTATION: str(FINALIST_VERSION),
            },
            "ownerReferences": [owner_reference(search)],
        },
        "spec": {
            "backoffLimit": max(asked.retries - attempt, 0),
            "podFailurePolicy": pod_failure_policy(),
            "template": {
                "metadata": merge(
                    settings.trial.pod_template.metadata.model_dump(),
                    {"labels": labels, "annotations": block},
                ),
                "spec": _pod(settings, asked, goal, spec),
            },
        },
    }


def finalist_spec(
    search: SearchObject,
    settings: BlockSearchSpec,
    asked: Finalists,
    goal: FinalistTarget,
    finalist: Finalist,
    record: TrialRecord,
    attempt: int = 0,
) -> FinalistSpec:
    """Return the spec that a finalist's trainer reads; the arguments are those of its Job."""
    searched = limits_of(settings).network_for(Block.parse(record.block).body)
    return FinalistSpec.model_validate(
        {
            "search": search.key,
            "trial": finalist.trial,
            "attempt": attempt,
            "target": finalist.target,
            "block": record.block,
            "seed": finalist_seed(settings.seed, finalist),
            "splitSeed": derived_seed(settings.seed, "split"),
            "recipe": goal.recipe,
            **goal.sections(searched),
            "dataset": goal.dataset.model_dump(exclude={"volume"}),
            "volume": asked.path,
            "folder": folder_of(search, finalist),
            "checkpoints": asked.checkpoints,
            "processes": asked.processes,
        }
    )


def folder_of(search: SearchObject, finalist: Finalist) -> str:
    """Return a finalist's directory on the volume.

    It contains the search's uid, so that a search never meets the files of an earlier search of
    the same name.
    """
    target = f"targets/{finalist.target}/" if finalist.target else ""
    own = f"{search.name}-{search.uid[:8]}"
    return f"{search.namespace}/{own}/{target}trial-{finalist.trial:05d}/seed-{finalist.seed}"


def _pod(
    settings: BlockSearchSpec, asked: Finalists, goal: FinalistTarget, spec: FinalistSpec
) -> Manifest:
    limit = {} if asked.timeout is None else {"activeDeadlineSeconds": seconds(asked.timeout)}
    dataset = goal.dataset.volume
    volumes = [{"name": "scratch", "emptyDir": {}}, {"name": "finalists", **asked.volume}]
    base: Manifest = {
        "restartPolicy": "Never",
        **limit,
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
        "containers": [_container(settings, asked, goal, spec)],
        "volumes": [*volumes, *([{"name": "dataset", **dataset}] if dataset else [])],
    }
    return merge(base, settings.trial.pod_template.spec)


def _container(
    settings: BlockSearchSpec, asked: Finalists, goal: FinalistTarget, spec: FinalistSpec
) -> Manifest:
    resources = settings.trial.resources if asked.resources is None else asked.resources
    mounts: list[Manifest] = [
        {"name": "scratch", "mountPath": "/tmp"},
        {"name": "finalists", "mountPath": asked.path},
    ]
    if goal.dataset.volume:
        mounts.append({"name": "dataset", "mountPath": goal.dataset.path, "readOnly": True})
    variable = {"name": FINALIST_VARIABLE, "value": spec.model_dump_json(exclude_none=True)}
    return {
        "name": names.CONTAINER,
        "image": settings.trial.image,
        "command": ["blockqnn-train", "finalist"],
        "env": [variable, *threads(resources)],
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _labels(search: SearchObject, finalist: Finalist) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "blockqnn-finalist",
        "app.kubernetes.io/instance": search.name,
        "app.kubernetes.io/part-of": "blockqnn",
        "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
        names.COMPONENT_LABEL: names.FINALIST_COMPONENT,
        names.SEARCH_LABEL: search.name,
        names.FINALIST_LABEL: f"{finalist.trial:05d}",
        names.TARGET_LABEL: finalist.target,
        names.SEED_LABEL: str(finalist.seed),
    }
