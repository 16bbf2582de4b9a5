"""The history of a search's trials: a header, then one line of JSON for each trial in order."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from blockqnn.contract.message import Accuracy, Outcome
from blockqnn.contract.metrics import Measured
from blockqnn.contract.trial import Seconds
from blockqnn_api.errors import HistoryUnreadable
from blockqnn_api.history.record import RECORD_VERSION, Record


class Header(Record):
    """The first line of a history: its search, and the settings that its results depend on."""

    kind: Literal["Header"] = "Header"
    version: Literal[1] = RECORD_VERSION
    operator_version: str
    """The operator that started the search; for people."""
    search_uid: str
    seed: int
    settings: dict[str, Any]
    """The pinned sections of the spec (:func:`blockqnn_api.resolve.pin`)."""

    def write(self) -> str:
        """Write the header as one line of JSON; settings that are null stay."""
        return self.model_dump_json()


class TrialOutcome(Record):
    """The identity and the outcome of a finished trial; the first fields of its record."""

    kind: Literal["Trial"] = "Trial"
    version: Literal[1] = RECORD_VERSION
    trial: Annotated[int, Field(ge=0)]
    attempt: Annotated[int, Field(ge=0)] = 0
    iteration: Annotated[int, Field(ge=0)]
    block: str
    """The Network Structure Code that was trained."""
    hash: str
    """Its canonical hash: equal for codes that mean the same network."""
    outcome: Outcome
    reason: str
    message: str = ""
    shared_with: int | None = None
    """For a cached trial: the earlier trial whose result this is."""
    accuracy: Accuracy | None = None
    reward: float | None = None
    """The redefined reward in percent; none for a failed trial, which is not learned from."""
    stopped_after: int | None = None
    """The epoch after which the training stopped itself; the accuracy is extrapolated then."""
    predicted: float | None = None
    """The share of the trials before its iteration that it was expected to be better than, about 0
    to 1; only where `agent.predictor` had a say."""
    predicted_deviation: float | None = None
    """The standard deviation of that share."""
    curve: tuple[Accuracy, ...] = ()


class TrialRecord(Measured, TrialOutcome):
    """A finished trial: everything kept of it once its Job is gone."""

    restarts: int = 0
    device: str = ""
    gpus: int = 0
    """Number of accelerators of the trial's container."""
    seconds: Seconds | None = None

    @property
    def gpu_seconds(self) -> float:
        """Accelerator time of the trial, in seconds."""
        return self.gpus * self.seconds.total if self.seconds else 0.0


def read_lines(lines: Iterable[str]) -> tuple[Header, tuple[TrialRecord, ...]]:
    """Read a whole history: the header and the records in trial order.

    Raises:
        HistoryUnreadable: when a line cannot be read, or trials are missing or out of order.
    """
    iterator = iter(lines)
    first = next(iterator, None)
    if first is None:
        raise HistoryUnreadable("The history is empty; it should begin with a header.")
    header = Header.read(first)
    records = []
    for number, line in enumerate(iterator):
        record = TrialRecord.read(line)
        if record.trial != number:
            raise HistoryUnreadable(
                f"The history has trial {record.trial} where trial {number} should be; restore "
                "the search's history ConfigMaps from a backup, or start another search."
            )
        records.append(record)
    return header, tuple(records)
