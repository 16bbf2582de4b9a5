"""The Job of a finalist."""

from dataclasses import dataclass

from blockqnn_api import names
from blockqnn_api.history.finalist_record import Finalist
from blockqnn_api.spec import MOST_TRIALS
from blockqnn_operator.core.observed.job import (
    Job,
    JobPart,
    Metadata,
    block_of,
    require_attempt,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalistPart(JobPart):
    """The finalist that a Job trains."""

    finalist: Finalist


class FinalistJob(Job[FinalistPart]):
    """A Job that trains one finalist."""

    __slots__ = ()
    component = names.FINALIST_COMPONENT

    @property
    def finalist(self) -> Finalist:
        """The finalist that it trains."""
        return self.part.finalist

    @classmethod
    def read_parts(cls, metadata: Metadata) -> tuple[FinalistPart, ...]:
        """Read the finalist of a Job."""
        labels, annotations = metadata
        require_attempt(annotations)
        trial = labels.written_count(names.FINALIST_LABEL, MOST_TRIALS)
        seed = labels.written_count(names.SEED_LABEL)
        for name, number in ((names.FINALIST_LABEL, trial), (names.SEED_LABEL, seed)):
            if number is None:
                raise labels.is_unreadable(name, "a whole number")
        finalist = Finalist(trial or 0, labels.text(names.TARGET_LABEL), seed or 0)
        return (FinalistPart(finalist=finalist, **block_of(annotations)),)
