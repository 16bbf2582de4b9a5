"""The Job that makes a dataset ready before the first trial, as the API server takes it. Pure."""

from collections.abc import Mapping

from blockqnn_api import names
from blockqnn_api.objects import SearchObject
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_operator.core.jobs.base import (
    Manifest,
    TrainerPod,
    dataset_volume,
    job,
    job_labels,
    short_hash,
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
        return (
            "There is no spec.dataset.volume to prepare: the images are part of the trainer's "
            "image."
        )
    kind = next(iter(dataset.volume))
    if kind in PER_POD:
        return f"Each Pod has its own volume, because spec.dataset.volume is of kind {kind}."
    containers = settings.trial.pod_template.spec.get("containers")
    for container in containers if isinstance(containers, list) else ():
        own = isinstance(container, Mapping) and container.get("name") == names.CONTAINER
        if own and ("command" in container or "args" in container):
            return "The trials run their own command, which reads its images itself."
    return None


def dataset_hash(settings: BlockSearchSpec) -> str:
    """Return a hash of a dataset and its volume: Jobs with the same hash do the same work."""
    dataset = settings.dataset
    return short_hash([dataset.name, dataset.path, dataset.image_size, dataset.volume])


def preparation_job(search: SearchObject, settings: BlockSearchSpec) -> Manifest:
    """Return the Job that prepares a search's dataset.

    Its name depends on everything that it does, so that it is never created twice, and a corrected
    spec gets another Job.
    """
    images = settings.dataset
    size = [] if images.image_size is None else ["--image-size", str(images.image_size)]
    pod = TrainerPod(
        labels=job_labels(search, names.PREPARATION_COMPONENT, {}),
        command=["blockqnn-train", "prepare", images.name, images.path, *size],
        volumes=dataset_volume(images, read_only=False),
        resources=settings.trial.resources,
        accelerators=False,
    )
    dataset = dataset_hash(settings)
    name = f"{search.name}-prepare-{short_hash([dataset, pod.template(settings)])}"
    annotations = {names.DATASET_ANNOTATION: dataset}
    return job(search, settings, name, pod, RETRIES, annotations=annotations)
