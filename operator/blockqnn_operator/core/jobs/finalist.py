"""The Job of a finalist, as the API server takes it. Pure."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FINALIST_VARIABLE, FINALIST_VERSION, FinalistSpec
from blockqnn_api import names
from blockqnn_api.durations import seconds
from blockqnn_api.finalist_targets import FinalistTarget
from blockqnn_api.finalists_spec import Finalists
from blockqnn_api.history.finalist_record import Finalist
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_api.objects import SearchObject
from blockqnn_api.resolve import limits_of
from blockqnn_api.spec import BlockSearchSpec, Dataset
from blockqnn_operator.core.jobs.base import (
    Manifest,
    TrainerPod,
    Volume,
    block_annotations,
    dataset_volume,
    derived_seed,
    job,
    job_labels,
    template_hash_of,
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


@dataclass(frozen=True, slots=True)
class FinalistAttempt:
    """An attempt at a finalist that a Job is to make."""

    goal: FinalistTarget
    """The dataset and recipe that the finalist is trained for."""
    finalist: Finalist
    record: TrialRecord
    """The record of the trial that found its block."""
    number: int = 0
    """Counts the Jobs of the finalist, from 0."""


def finalist_job(
    search: SearchObject, settings: BlockSearchSpec, asked: Finalists, attempt: FinalistAttempt
) -> Manifest:
    """Return the Job that trains a finalist.

    Args:
        search: the search.
        settings: its settings.
        asked: the settings of its finalists.
        attempt: the finalist, and which attempt at it this is.
    """
    finalist, record, dataset = attempt.finalist, attempt.record, attempt.goal.dataset
    own = {
        names.FINALIST_LABEL: f"{finalist.trial:05d}",
        names.TARGET_LABEL: finalist.target,
        names.SEED_LABEL: str(finalist.seed),
    }
    spec = finalist_spec(search, settings, asked, attempt)
    resources = _resources(settings, asked)
    pod = TrainerPod(
        labels=job_labels(search, names.FINALIST_COMPONENT, own),
        annotations=block_annotations(record.block, record.hash),
        command=["blockqnn-train", "finalist"],
        variable=(FINALIST_VARIABLE, spec.model_dump_json(exclude_none=True)),
        volumes=[Volume("finalists", asked.volume, asked.path), *dataset_volume(dataset)],
        resources=resources,
        declared_accelerators=asked.accelerators,
        timeout=None if asked.timeout is None else seconds(asked.timeout),
        shutdown_seconds=SHUTDOWN_SECONDS,
    )
    return job(
        search,
        settings,
        finalist_job_name(search.name, finalist, attempt.number),
        pod,
        asked.retries - attempt.number,
        attempt.number,
        finalist_template_hash(settings, asked, dataset),
        FINALIST_VERSION,
    )


def finalist_template_hash(settings: BlockSearchSpec, asked: Finalists, dataset: Dataset) -> str:
    """Return a hash of what a spec says of the Jobs of the finalists on a dataset."""
    pod = _resources(settings, asked), asked.accelerators, asked.volume, asked.path
    process = asked.processes, asked.checkpoints.model_dump()
    limits = asked.timeout, asked.retries
    return template_hash_of(settings, pod, process, limits, dataset.volume, dataset.path)


def _resources(settings: BlockSearchSpec, asked: Finalists) -> Mapping[str, Any]:
    return settings.trial.resources if asked.resources is None else asked.resources


def finalist_spec(
    search: SearchObject, settings: BlockSearchSpec, asked: Finalists, attempt: FinalistAttempt
) -> FinalistSpec:
    """Return the spec that a finalist's trainer reads; the arguments are those of its Job."""
    goal, finalist, block = attempt.goal, attempt.finalist, attempt.record.block
    searched = limits_of(settings).network_for(Block.parse(block).body)
    return FinalistSpec.model_validate(
        {
            "search": search.key,
            "trial": finalist.trial,
            "attempt": attempt.number,
            "target": finalist.target,
            "block": block,
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
