"""The Job of a trial, as the API server takes it. Pure."""

from collections.abc import Mapping

from blockqnn.contract.trial import TRIAL_VARIABLE, TrialSpec
from blockqnn.search import Proposal
from blockqnn_api import names
from blockqnn_api.durations import seconds
from blockqnn_api.objects import SearchObject
from blockqnn_api.resolve import limits_of
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_operator.core.jobs.base import (
    SHUTDOWN_SECONDS,
    TRAINER_USER,
    Manifest,
    derived_seed,
    job,
    merge,
    pod_failure_policy,
    threads,
)


def job_name(search: str, trial: int, attempt: int) -> str:
    """Return the name of a trial's Job: it is the same, whoever creates the Job."""
    return f"{search}-t{trial:05d}-a{attempt}"


def trial_job(
    search: SearchObject,
    settings: BlockSearchSpec,
    proposal: Proposal,
    attempt: int = 0,
    failures: int | None = None,
) -> Manifest:
    """Return the Job that trains a proposed block.

    Each earlier failure takes one retry away: Pods that failed before are likely to fail again.

    Args:
        search: the search.
        settings: its settings.
        proposal: the block.
        attempt: the number of the attempt at the trial, from 0.
        failures: the number of earlier attempts that failed; by default all of them.
    """
    failures = attempt if failures is None else failures
    block = {
        names.BLOCK_ANNOTATION: str(proposal.block),
        names.BLOCK_HASH_ANNOTATION: proposal.hash,
    }
    spec = trial_spec(search, settings, proposal, attempt)
    variable = {"name": TRIAL_VARIABLE, "value": spec.model_dump_json(exclude_none=True)}
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
            "template": pod_template(settings, labels, block, variable),
        },
    )


def pod_template(
    settings: BlockSearchSpec,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    variable: Manifest,
    blocks: int = 1,
) -> Manifest:
    """Return the Pod template of trials: the operator's, with the user's merged over it.

    Args:
        settings: the search's settings.
        labels: the Pods' labels.
        annotations: the Pods' annotations.
        variable: the environment variable that tells the trainer what to train.
        blocks: the number of blocks that the Pod trains.
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
            "containers": [_container(settings, variable)],
            "volumes": [{"name": "scratch", "emptyDir": {}}, *_dataset_volume(settings)],
        },
    }
    template = settings.trial.pod_template
    metadata = merge(template.metadata.model_dump(), base["metadata"])
    return {"metadata": metadata, "spec": merge(base["spec"], template.spec)}


def _container(settings: BlockSearchSpec, variable: Manifest) -> Manifest:
    mounts: list[Manifest] = [{"name": "scratch", "mountPath": "/tmp"}]
    if settings.dataset.volume:
        mounts.append({"name": "dataset", "mountPath": settings.dataset.path, "readOnly": True})
    return {
        "name": names.CONTAINER,
        "image": settings.trial.image,
        "command": ["blockqnn-train", "run"],
        "env": [variable, *threads(settings.trial.resources)],
        "resources": settings.trial.resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _dataset_volume(settings: BlockSearchSpec) -> list[Manifest]:
    volume = settings.dataset.volume
    return [{"name": "dataset", **volume}] if volume else []


def trial_spec(
    search: SearchObject, settings: BlockSearchSpec, proposal: Proposal, attempt: int
) -> TrialSpec:
    """Return the spec of a trial that its trainer reads."""
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


def trial_labels(search: SearchObject, proposal: Proposal) -> dict[str, str]:
    """Return the labels of a trial's Job and Pods; for several trials, those of the first."""
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
