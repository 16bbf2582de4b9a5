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
    component = names.PREPARATION_COMPONENT

    @classmethod
    def read_parts(cls, metadata: Metadata) -> tuple[DatasetPart, ...]:
        """Read the dataset of a Job."""
        return (DatasetPart(dataset=metadata.annotations.text(names.DATASET_ANNOTATION)),)
