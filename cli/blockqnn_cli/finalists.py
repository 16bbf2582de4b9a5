"""The finalists of a search as tables: for a terminal, as CSV, as JSON. Pure."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn.contract.metrics import Measured, column_name, read_metric
from blockqnn.learning.calibration import Calibration, Weight
from blockqnn.learning.calibration import Finalist as Calibrated
from blockqnn_api.finalists_spec import Finalists
from blockqnn_api.history.finalist_record import FinalistArchive, FinalistRecord, SeedStatistics
from blockqnn_api.history.replay import best
from blockqnn_cli.formats import csv_text
from blockqnn_cli.quantities import count, duration, short
from blockqnn_cli.view import SearchView

DEFAULT_COUNT: int = Finalists.model_fields["count"].default

OWN = "(the search's own)"
"""Name of the search's own dataset in output for people."""

COLUMNS: Mapping[str, Callable[[FinalistRecord], int | float | str | None]] = {
    "trial": lambda record: record.trial,
    "target": lambda record: record.target,
    "seed": lambda record: record.seed,
    "outcome": lambda record: str(record.outcome),
    "reason": lambda record: record.reason,
    "accuracy": lambda record: record.accuracy,
    "top5Accuracy": lambda record: record.top5_accuracy,
    "measuredOn": lambda record: record.measured_on,
    "epochs": lambda record: record.epochs,
    "resumed": lambda record: record.resumed,
    "parameters": lambda record: record.parameters,
    "macs": lambda record: record.macs,
    "processes": lambda record: record.processes,
    "device": lambda record: record.device,
    "gpus": lambda record: record.gpus,
    "folder": lambda record: record.folder,
    "weights": lambda record: record.weights,
    "hash": lambda record: record.hash,
    "block": lambda record: record.block,
    "message": lambda record: record.message,
    "damagedCheckpoints": lambda record: record.damaged_checkpoints,
    "seconds": lambda record: round(record.seconds_of_all, 3),
    "gpuSeconds": lambda record: round(record.gpu_seconds, 3),
    # Those above keep their places; any other metric of the network is added here.
    **{column_name(name): partial(read_metric, name=name) for name in Measured.model_fields},
}
"""The columns of the CSV; new ones are added at the end."""


def as_csv(records: Sequence[FinalistRecord]) -> str:
    """Write finalists as CSV with a line of titles; unknown values are empty."""
    return csv_text(COLUMNS, ([value(record) for value in COLUMNS.values()] for record in records))


def as_json(records: Sequence[FinalistRecord]) -> str:
    """Write finalists as a list of the history's records; unknown values are left out."""
    return json.dumps([record.model_dump(mode="json", exclude_none=True) for record in records])


def ordered(records: Sequence[FinalistRecord]) -> list[FinalistRecord]:
    """Order finalists by target, the search's own first, then by trial and seed."""
    return sorted(records, key=lambda record: (record.target, record.trial, record.seed))


def table(search: SearchView, records: Sequence[FinalistRecord]) -> RenderableType:
    """Draw finalists for a terminal: a line for each block and target, the best first."""
    archive = FinalistArchive()
    archive.extend(records)
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    drawn.add_column("target")
    for title in ("trial", "accuracy", "early", "seeds", "parameters", "MACs", "took"):
        drawn.add_column(title, justify="right")
    drawn.add_column("model of the best seed", overflow="fold")
    counted = chosen(search)
    for target in dict.fromkeys(record.target for record in ordered(records)):
        for standing in archive.standings(target):
            overtaken = not target and standing.trial not in counted
            name = f"{OWN}, overtaken" if overtaken else target or OWN
            drawn.add_row(Text(name), *_measures(search, standing))
    parts: list[RenderableType] = [drawn]
    parts += [Text(text, "yellow") for text in reasons(records)]
    return Group(*parts, *_how_far(search))


def chosen(search: SearchView) -> frozenset[int]:
    """Return the best trials by reward, at most as many as the spec asks for finalists.

    Others were among the best when their training began, and cannot win.
    """
    trained = [record for record in search.records if record.outcome is Outcome.SUCCEEDED]
    number = search.spec.get("finalists", {}).get("count", DEFAULT_COUNT)
    return frozenset(record.trial for record in best(trained, number))


def reasons(records: Sequence[FinalistRecord]) -> list[str]:
    """Return a sentence for each finalist without accuracy or with damaged checkpoints."""
    said = []
    for record in ordered(records):
        if record.outcome is not Outcome.SUCCEEDED:
            said.append(f"{record.finalist}: {record.reason}: {record.message}")
        if record.damaged_checkpoints:
            number = count(record.damaged_checkpoints, "checkpoint")
            said.append(f"{record.finalist}: {number} on the volume could not be read.")
    return said


def _measures(search: SearchView, standing: SeedStatistics) -> tuple[str | Text, ...]:
    leader, deviation = standing.best, standing.deviation
    spread = "" if deviation is None else f" ± {deviation:.2%}"
    early = next((r.accuracy for r in search.records if r.trial == standing.trial), None)
    return (
        str(standing.trial),
        f"{standing.mean:.2%}{spread}",
        "-" if early is None else f"{early:.2%}",
        str(len(standing.records)),
        "-" if leader.parameters is None else short(leader.parameters),
        "-" if leader.macs is None else short(leader.macs),
        duration(sum(record.seconds_of_all for record in standing.records)),
        Text(leader.folder),
    )


def _how_far(search: SearchView) -> list[Text]:
    for condition in search.status.get("conditions", ()):
        if condition["type"] == "FinalistsReady" and condition.get("message"):
            return [Text(), Text(condition["message"])]
    return []


def to_calibrate(search: SearchView, records: Sequence[FinalistRecord]) -> list[Calibrated]:
    """Return the blocks of a search that have both an early and a converged accuracy."""
    archive = FinalistArchive()
    archive.extend(records)
    early = {record.trial: record.accuracy for record in search.records}
    blocks = []
    for standing in archive.standings(""):
        accuracy = early.get(standing.trial)
        if accuracy is not None:
            blocks.append(Calibrated(Block.parse(standing.block), accuracy, standing.mean))
    return blocks


def calibration_text(judged: Calibration, weights: tuple[float, float]) -> str:
    """Describe in words how well a reward orders finalists.

    Args:
        judged: the result of the calibration.
        weights: the search's `reward.macsWeight` and `densityWeight`.
    """
    lines = [
        f"{count(judged.finalists, 'finalist')}; Spearman's rank correlation with the converged "
        "accuracy:",
        f"  early-stop accuracy  {judged.early_correlation:+.3f}",
        f"  redefined reward     {judged.reward_correlation:+.3f}   "
        f"(macsWeight {weights[0]:g}, densityWeight {weights[1]:g})",
    ]
    if judged.fitted_correlation is not None:
        lines.append(
            f"  with fitted weights  {judged.fitted_correlation:+.3f}   (on the finalists that "
            "they were fitted to)"
        )
    lines.append("")
    if judged.note:
        return "\n".join([*lines, judged.note])
    lines.append("Weights that fit best, with the 95 % interval of resamples:")
    for name, weight in (("macsWeight", judged.macs), ("densityWeight", judged.density)):
        lines.append(f"  {name:13}  {_weight(weight)}")
    return "\n".join(lines)


_SIGNS = {
    1: "the reward should subtract this term",
    -1: "the reward should add this term",
    0: "these finalists do not show whether this term helps",
}


def _weight(weight: Weight | None) -> str:
    if weight is None:
        return "cannot be told"
    return f"{weight.value:+.3g} ({weight.low:+.3g} to {weight.high:+.3g}): {_SIGNS[weight.sign]}"


def calibration_json(judged: Calibration) -> str:
    """Write the result of a calibration as JSON, with the field names of the resource."""

    def of(weight: Weight | None) -> dict[str, float] | None:
        if weight is None:
            return None
        return {
            "value": weight.value,
            "low": weight.low,
            "high": weight.high,
            "sign": weight.sign,
        }

    fields = {
        "finalists": judged.finalists,
        "earlyCorrelation": judged.early_correlation,
        "rewardCorrelation": judged.reward_correlation,
        "fittedCorrelation": judged.fitted_correlation,
        "macsWeight": of(judged.macs),
        "densityWeight": of(judged.density),
        "note": judged.note,
    }
    return json.dumps({key: value for key, value in fields.items() if value is not None}, indent=2)
