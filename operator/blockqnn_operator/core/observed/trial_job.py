"""The Job of a trial, or of several."""

from dataclasses import dataclass

from blockqnn_api import names
from blockqnn_api.objects import read_blocks
from blockqnn_operator.core.observed.job import Job, JobPart, Metadata, attempt_of, block_of


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
        """Read the trials of a Job; none when it trains no trial."""
        labels, annotations = metadata
        number, attempt = labels.get(names.TRIAL_LABEL, ""), attempt_of(annotations)
        if not number.isdigit() or attempt is None:
            return ()
        several = tuple(
            TrialPart(
                trial=block.trial,
                block=block.block,
                block_hash=block.hash,
                failures=block.failures,
                result=annotations.get(_result_annotation(block.trial)),
                shared=True,
            )
            for block in read_blocks(annotations)
        )
        failures = int(annotations.get(names.FAILURES_ANNOTATION) or attempt)
        return several or (
            TrialPart(trial=int(number), failures=failures, **block_of(annotations)),
        )


def _result_annotation(trial: int) -> str:
    return f"{names.RESULT_ANNOTATION}-{trial:05d}"
