"""The history of a search's finalists: one line of JSON for each that has a result."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field

from blockqnn.contract.finalist import FinalistSeconds
from blockqnn.contract.message import Accuracy, Outcome
from blockqnn.contract.metrics import Measured
from blockqnn_api.errors import HistoryUnreadable
from blockqnn_api.history.record import RECORD_VERSION, Record
from blockqnn_api.history.shards import Shard, lines


class Finalist(NamedTuple):
    """One training to convergence: which block, for what, from which seed."""

    trial: int
    """The trial of the search that found the block."""
    target: str
    """The name of the target; empty for the search's own dataset."""
    seed: int
    """Number of the seed, from 0."""

    def __str__(self) -> str:
        """Return the finalist as text for people."""
        target = f", target {self.target}" if self.target else ""
        return f"Finalist of trial {self.trial}{target}, seed {self.seed}"


class FinalistOutcome(Record):
    """The identity and the outcome of a finished finalist; the first fields of its record."""

    kind: Literal["Finalist"] = "Finalist"
    version: Literal[1] = RECORD_VERSION
    trial: Annotated[int, Field(ge=0)]
    target: str = ""
    seed: Annotated[int, Field(ge=0)]
    """Number of the seed, from 0."""
    attempt: Annotated[int, Field(ge=0)] = 0
    block: str
    """The Network Structure Code that was trained."""
    hash: str
    """Its canonical hash."""
    outcome: Literal[Outcome.SUCCEEDED, Outcome.INFEASIBLE]
    reason: str
    message: str = ""
    accuracy: Accuracy | None = None
    """After the last epoch; none for an infeasible one."""
    top5_accuracy: Accuracy | None = None
    epochs: int = 0
    """Number of epochs trained."""
    resumed: int = 0
    """Number of times the training went on from a checkpoint."""
    damaged_checkpoints: int = 0
    """Number of its checkpoints that could not be read."""
    measured_on: Literal["test", "train"] = "test"


class FinalistRecord(Measured, FinalistOutcome):
    """A finished finalist: everything kept of it once its Job is gone."""

    processes: int = 1
    device: str = ""
    gpus: int = 0
    """Number of accelerators of the container."""
    folder: str = ""
    """The finalist's directory on the volume."""
    weights: str | None = None
    """The SHA-256 of the weights' file."""
    seconds: FinalistSeconds = FinalistSeconds()
    """Time of its last Pod by phase, and the lifetime of the Pods before it."""

    @property
    def finalist(self) -> Finalist:
        """The finalist that the record is of."""
        return Finalist(self.trial, self.target, self.seed)

    @property
    def seconds_of_all(self) -> float:
        """Seconds of its last Pod and of those before, as far as its checkpoints record them."""
        return self.seconds.total + self.seconds.earlier

    @property
    def gpu_seconds(self) -> float:
        """Accelerator time of the finalist, in seconds."""
        return self.gpus * self.seconds_of_all


@dataclass(frozen=True, slots=True)
class SeedStatistics:
    """Results of a block on one target, over its seeds."""

    trial: int
    block: str
    records: tuple[FinalistRecord, ...]
    """Those with an accuracy, by seed; at least one."""

    @property
    def accuracies(self) -> list[float]:
        """The accuracy of each seed."""
        return [record.accuracy for record in self.records if record.accuracy is not None]

    @property
    def mean(self) -> float:
        """The mean accuracy over the seeds."""
        return fmean(self.accuracies)

    @property
    def deviation(self) -> float | None:
        """The standard deviation of a seed's accuracy (with n - 1); None for one seed."""
        return stdev(self.accuracies) if len(self.records) > 1 else None

    @property
    def best(self) -> FinalistRecord:
        """The record with the highest accuracy; of equals that of the lowest seed."""
        return max(self.records, key=lambda record: (record.accuracy or 0.0, -record.seed))


@dataclass(slots=True)
class FinalistArchive:
    """The records of a search's finalists, as they are stored."""

    shards: list[Shard] = field(default_factory=list)
    records: dict[Finalist, FinalistRecord] = field(default_factory=dict)
    """By finalist, in the order of the history."""

    @property
    def gpu_seconds(self) -> float:
        """Accelerator time of all of them, in seconds."""
        return sum(record.gpu_seconds for record in self.records.values())

    @classmethod
    def recover(cls, shards: Sequence[Shard]) -> Self:
        """Read the archive from its stored shards.

        Raises:
            HistoryUnreadable: when a shard is missing or damaged, or holds a result twice.
        """
        archive = cls(list(shards))
        archive.extend(FinalistRecord.read(line) for line in lines(shards))
        return archive

    def extend(self, records: Iterable[FinalistRecord]) -> None:
        """Add records that are stored now.

        Raises:
            HistoryUnreadable: when there is one of the same finalist already.
        """
        for record in records:
            if record.finalist in self.records:
                raise HistoryUnreadable(
                    f"The history of the finalists holds two results. {record.finalist} may have "
                    "one; restore its ConfigMaps from a backup, or start another search."
                )
            self.records[record.finalist] = record

    def standings(self, target: str, trials: Iterable[int] | None = None) -> list[SeedStatistics]:
        """Return the results of blocks, the highest mean first, of equals the earliest trial.

        Args:
            target: the name of the target.
            trials: the blocks that count; None for all.
        """
        counted = None if trials is None else set(trials)
        by_trial: dict[int, list[FinalistRecord]] = defaultdict(list)
        for record in self.records.values():
            counts = counted is None or record.trial in counted
            if record.target == target and counts and record.accuracy is not None:
                by_trial[record.trial].append(record)
        standings = [
            SeedStatistics(
                trial, records[0].block, tuple(sorted(records, key=lambda record: record.seed))
            )
            for trial, records in by_trial.items()
        ]
        return sorted(standings, key=lambda standing: (-standing.mean, standing.trial))
