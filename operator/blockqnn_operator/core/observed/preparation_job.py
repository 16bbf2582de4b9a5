"""The Job that prepares a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass

from blockqnn_api import names
from blockqnn_operator.core.observed.job import Job, JobPart


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPart(JobPart):
    """The dataset that a Job makes ready; the Job's end alone is the record of it."""

    dataset: str
    """Hash of the dataset and the volume."""


class PreparationJob(Job[DatasetPart]):
    """A Job that makes a search's dataset ready."""

    __slots__ = ()

    @classmethod
    def read_parts(
        cls, labels: Mapping[str, str], annotations: Mapping[str, str]
    ) -> tuple[DatasetPart, ...]:
        """Read the dataset of a Job; none when it prepares none."""
        if labels.get(names.COMPONENT_LABEL) != names.PREPARATION_COMPONENT:
            return ()
        return (DatasetPart(dataset=annotations.get(names.DATASET_ANNOTATION, "")),)
