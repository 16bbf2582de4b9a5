"""The Job that prepares a dataset."""

from dataclasses import dataclass

from blockqnn_api import names
from blockqnn_operator.core.observed.job import Job, JobPart, Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPart(JobPart):
    """The dataset that a Job makes ready; the Job's end alone is the record of it."""

    dataset: str
    """Hash of the dataset and the volume."""


class PreparationJob(Job[DatasetPart]):
    """A Job that makes a search's dataset ready."""

    __slots__ = ()

    @classmethod
    def read_parts(cls, metadata: Metadata) -> tuple[DatasetPart, ...]:
        """Read the dataset of a Job; none when it prepares none."""
        if metadata.labels.get(names.COMPONENT_LABEL) != names.PREPARATION_COMPONENT:
            return ()
        return (DatasetPart(dataset=metadata.annotations.get(names.DATASET_ANNOTATION, "")),)
