"""A trial or a finalist that has no record in the history yet."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Generic, TypeVar

from blockqnn_operator.core.judging.result import UNASSESSED, JobAssessment, JobResult
from blockqnn_operator.core.observed.job import Job, JobPart

AnyJob = TypeVar("AnyJob", bound=Job[Any])
Result = TypeVar("Result", bound=JobResult)


class Stage(Enum):
    """Progress of an open trial or finalist."""

    UNSTARTED = auto()
    """It needs a Job and has none."""
    WAITING = auto()
    """An earlier open trial stands for the same network; its result will be shared."""
    RUNNING = auto()
    """Its Job exists and has no outcome yet."""
    FAILED = auto()
    """Its Job says that it has failed, and is the record of that; trials are over instead."""
    OVER = auto()
    """Its outcome is known and durable; the history takes it, or has it already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenItem(Generic[AnyJob, Result]):
    """A trial or a finalist, and what has become of it so far."""

    stage: Stage
    job: AnyJob | None = None
    """Its Job of the latest attempt, if there is one."""
    assessment: JobAssessment[Result] = UNASSESSED
    attempt: int = 0
    """The attempt that runs, has ended, or is to be started."""

    @property
    def title(self) -> str:
        """The trial or finalist in a log."""
        raise NotImplementedError

    @property
    def part(self) -> JobPart | None:
        """Its part of the Job, if there is one."""
        return self.job.part if self.job else None

    @property
    def to_annotate(self) -> Result | None:
        """The result that must be written to its Job."""
        return self.assessment.annotate
