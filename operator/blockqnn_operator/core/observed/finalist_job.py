"""The Job of a finalist."""

from dataclasses import dataclass

from blockqnn_api import names
from blockqnn_api.history.finalist_record import Finalist
from blockqnn_operator.core.observed.job import Job, JobPart, Metadata, attempt_of, block_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalistPart(JobPart):
    """The finalist that a Job trains."""

    finalist: Finalist


class FinalistJob(Job[FinalistPart]):
    """A Job that trains one finalist."""

    __slots__ = ()

    @property
    def finalist(self) -> Finalist:
        """The finalist that it trains."""
        return self.part.finalist

    @classmethod
    def read_parts(cls, metadata: Metadata) -> tuple[FinalistPart, ...]:
        """Read the finalist of a Job; none when it trains no finalist."""
        labels, annotations = metadata
        trial, seed = labels.get(names.FINALIST_LABEL, ""), labels.get(names.SEED_LABEL, "")
        if not (trial.isdigit() and seed.isdigit()) or attempt_of(annotations) is None:
            return ()
        finalist = Finalist(int(trial), labels.get(names.TARGET_LABEL, ""), int(seed))
        return (FinalistPart(finalist=finalist, **block_of(annotations)),)
