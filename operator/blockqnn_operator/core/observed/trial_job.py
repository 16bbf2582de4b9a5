"""The Job of a trial, or of several."""

from dataclasses import dataclass

from blockqnn_api import names
from blockqnn_api.errors import ObjectUnreadable
from blockqnn_api.object_fields import Fields
from blockqnn_api.objects import BlockOfJob, read_blocks
from blockqnn_api.spec import MOST_TRIALS
from blockqnn_operator.core.observed.job import (
    Job,
    JobPart,
    Metadata,
    block_of,
    require_attempt,
    result_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPart(JobPart):
    """A trial that a Job trains."""

    trial: int
    failures: int = 0
    """Number of earlier attempts at the trial that have failed."""
    shared: bool = False
    """It belongs to a Job of several trials."""

    @property
    def result_annotation(self) -> str:
        """The annotation that holds the trial's result."""
        return _result_annotation(self.trial) if self.shared else names.RESULT_ANNOTATION


class TrialJob(Job[TrialPart]):
    """A Job that trains trials, one after another."""

    __slots__ = ()
    component = names.TRIAL_COMPONENT

    @property
    def shared(self) -> bool:
        """True for a Job of several trials."""
        return self.part.shared

    def part_of(self, trial: int) -> TrialPart:
        """Return the part that is a trial.

        Raises:
            ValueError: when the Job does not train it.
        """
        for part in self.parts:
            if part.trial == trial:
                return part
        raise ValueError(f"Job {self.name} does not train trial {trial}")

    def before(self, trial: int) -> tuple[TrialPart, ...]:
        """Return the parts that are trained before a trial."""
        return self.parts[: self.parts.index(self.part_of(trial))]

    @classmethod
    def read_parts(cls, metadata: Metadata) -> tuple[TrialPart, ...]:
        """Read the trials of a Job."""
        labels, annotations = metadata
        number = labels.written_count(names.TRIAL_LABEL, MOST_TRIALS)
        attempt = require_attempt(annotations)
        if number is None:
            raise labels.is_unreadable(names.TRIAL_LABEL, "the number of the trial")
        if names.BLOCKS_ANNOTATION in annotations:
            return tuple(
                TrialPart(
                    trial=block.trial,
                    block=block.block,
                    block_hash=block.hash,
                    failures=block.failures,
                    result=result_of(annotations, _result_annotation(block.trial)),
                    shared=True,
                )
                for block in _blocks(annotations)
            )
        failures = annotations.written_count(names.FAILURES_ANNOTATION)
        failures = attempt if failures is None else failures
        return (TrialPart(trial=number, failures=failures, **block_of(annotations)),)


def _blocks(annotations: Fields) -> tuple[BlockOfJob, ...]:
    try:
        return read_blocks(annotations.text(names.BLOCKS_ANNOTATION))
    except ObjectUnreadable as error:
        problem = f"metadata.annotations[{names.BLOCKS_ANNOTATION}] is not as it must be: {error}"
        raise ObjectUnreadable(problem) from None


def _result_annotation(trial: int) -> str:
    return f"{names.RESULT_ANNOTATION}-{trial:05d}"
