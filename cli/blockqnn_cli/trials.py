"""The trials of a history as tables: for a terminal, as CSV, as JSON. Pure."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn.contract.metrics import METRICS, column_name, read_metric
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_cli.formats import csv_text
from blockqnn_cli.quantities import duration, short
from blockqnn_cli.terminal_views import COLOURS

_Key = Callable[[TrialRecord], float | None]


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _metric_key(name: str) -> _Key:
    if METRICS[name].better == "higher":
        return lambda record: _negative(read_metric(record, name))
    return lambda record: read_metric(record, name)


SORTS: Mapping[str, _Key] = {
    "trial": lambda record: record.trial,
    "reward": lambda record: _negative(record.reward),
    **{column_name(name): _metric_key(name) for name in METRICS},
}
"""Sort keys of trials, each from its best value, trials from the lowest number; trials without the
value come last."""


def chosen(
    records: Sequence[TrialRecord],
    *,
    sort: str | None = None,
    top: int | None = None,
    outcome: str | None = None,
) -> list[TrialRecord]:
    """Choose and order trials.

    Args:
        records: the trials of the history.
        sort: a key of :data:`SORTS`; None for the order of the trials, or with ``top`` for the best
            reward first.
        top: number of trials to keep, without those that share the result of another; None
            keeps all.
        outcome: only trials of this outcome, in lower case; None takes all.
    """
    kept = [
        record
        for record in records
        if outcome in (None, record.outcome.lower())
        and (top is None or outcome is not None or record.outcome is not Outcome.CACHED)
    ]
    key = SORTS[sort or ("trial" if top is None else "reward")]

    def order(record: TrialRecord) -> tuple[bool, float, int]:
        value = key(record)
        return value is None, value or 0.0, record.trial

    return sorted(kept, key=order)[:top]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the tables for programs."""

    kind: type[int] | type[float] | type[str]
    of: Callable[[TrialRecord], int | float | str | None]
    """The value of a trial; None where it is not known."""


def _metric_column(name: str) -> Column:
    return Column(METRICS[name].kind, lambda record: read_metric(record, name))


COLUMNS: Mapping[str, Column] = {
    "trial": Column(int, lambda record: record.trial),
    "iteration": Column(int, lambda record: record.iteration),
    "attempt": Column(int, lambda record: record.attempt),
    "outcome": Column(str, lambda record: str(record.outcome)),
    "reason": Column(str, lambda record: record.reason),
    "accuracy": _metric_column("accuracy"),
    "reward": Column(float, lambda record: record.reward),
    "parameters": _metric_column("parameters"),
    "macs": _metric_column("macs"),
    "seconds": _metric_column("seconds"),
    "gpus": Column(int, lambda record: record.gpus),
    "restarts": Column(int, lambda record: record.restarts),
    "device": Column(str, lambda record: record.device),
    "sharedWith": Column(int, lambda record: record.shared_with),
    "hash": Column(str, lambda record: record.hash),
    "block": Column(str, lambda record: record.block),
    "message": Column(str, lambda record: record.message),
    "stoppedAfter": Column(int, lambda record: record.stopped_after),
    "predicted": Column(float, lambda record: record.predicted),
    "predictedDeviation": Column(float, lambda record: record.predicted_deviation),
    # Those above keep their places; any other metric is added here.
    **{column_name(name): _metric_column(name) for name in METRICS},
}
"""The columns of CSV and Parquet; new ones are added at the end."""


def as_csv(records: Sequence[TrialRecord]) -> str:
    """Write trials as CSV with a line of titles; unknown values are empty."""
    return csv_text(
        COLUMNS, ([column.of(record) for column in COLUMNS.values()] for record in records)
    )


def as_json(records: Sequence[TrialRecord]) -> str:
    """Write trials as a list of the history's records; unknown values are left out."""
    return json.dumps([record.model_dump(mode="json", exclude_none=True) for record in records])


def table(records: Sequence[TrialRecord]) -> Table:
    """Draw trials for a terminal."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for title in ("trial", "iteration", "outcome"):
        drawn.add_column(title, justify="left" if title == "outcome" else "right")
    for title in ("accuracy", "reward", "parameters", "MACs", "layers", "took"):
        drawn.add_column(title, justify="right")
    drawn.add_column("note")
    for record in records:
        drawn.add_row(
            str(record.trial),
            str(record.iteration),
            Text(str(record.outcome), COLOURS[record.outcome]),
            *_measures(record),
            Text(_note(record)),
        )
    return drawn


def _measures(record: TrialRecord) -> tuple[str, ...]:
    return (
        "-" if record.accuracy is None else f"{record.accuracy:.2%}",
        "-" if record.reward is None else f"{record.reward:.2f}",
        "-" if record.parameters is None else short(record.parameters),
        "-" if record.macs is None else short(record.macs),
        str(len(Block.parse(record.block).body)),
        "-" if record.seconds is None else duration(record.seconds.total),
    )


def _note(record: TrialRecord) -> str:
    if record.shared_with is not None:
        return f"as trial {record.shared_with}"
    if record.stopped_after is not None:
        return f"stopped after epoch {record.stopped_after}, extrapolated"
    return "" if record.outcome is Outcome.SUCCEEDED else record.reason
