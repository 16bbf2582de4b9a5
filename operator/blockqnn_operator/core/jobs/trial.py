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
    Manifest,
    TrainerPod,
    block_annotations,
    dataset_volume,
    derived_seed,
    job,
    job_labels,
    template_hash_of,
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
    spec = trial_spec(search, settings, proposal, attempt)
    block = block_annotations(str(proposal.block), proposal.hash)
    counted = {names.FAILURES_ANNOTATION: str(failures)} if failures != attempt else {}
    return job(
        search,
        settings,
        job_name(search.name, proposal.trial, attempt),
        trial_pod(search, settings, proposal, block, spec.model_dump_json(exclude_none=True)),
        settings.failure_policy.retries - failures,
        attempt,
        trial_template_hash(settings),
        annotations=counted,
    )


def trial_template_hash(settings: BlockSearchSpec) -> str:
    """Return a hash of what a spec says of the Jobs of trials."""
    dataset, trial, policy = settings.dataset, settings.trial, settings.failure_policy
    limits = policy.trial_timeout, policy.retries
    return template_hash_of(
        settings, trial.resources, trial.accelerators, dataset.volume, dataset.path, limits
    )


def trial_pod(
    search: SearchObject,
    settings: BlockSearchSpec,
    first: Proposal,
    annotations: Mapping[str, str],
    specs: str,
    variable: str = TRIAL_VARIABLE,
    blocks: int = 1,
) -> TrainerPod:
    """Return the Pod of a trial, or of several.

    Args:
        search: the search.
        settings: its settings.
        first: the trial, or the first of them, which the labels name.
        annotations: the Pod's annotations.
        specs: what the trainer reads.
        variable: the environment variable that holds it.
        blocks: the number of blocks that the Pod trains.
    """
    own = {
        names.TRIAL_LABEL: f"{first.trial:05d}",
        names.ITERATION_LABEL: str(first.iteration),
    }
    return TrainerPod(
        labels=job_labels(search, names.TRIAL_COMPONENT, own),
        annotations=annotations,
        command=["blockqnn-train", "run"],
        variable=(variable, specs),
        volumes=dataset_volume(settings.dataset),
        resources=settings.trial.resources,
        declared_accelerators=settings.trial.accelerators,
        timeout=seconds(settings.failure_policy.trial_timeout) * blocks,
    )


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
