"""The figures of the benchmark, as tables and as JSON."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any, Self

from benchmarks.operator.bare import Bare
from benchmarks.operator.measure import Course, Sizes
from benchmarks.operator.process import WRITES, OperatorProcess

MEBI = 2**20


@dataclass
class Scale:
    """One search of the scale measurement."""

    trials: int
    seconds: float
    writes: dict[str, float]
    """Writes to the API server for each trial, by verb."""
    reads: int
    processor_seconds: float
    peak_bytes: int
    sizes: Sizes
    reaction: dict[str, float]
    """Seconds from a result being visible to the next Job, by quantile, once the history has so
    many trials; with trials that take their time, so that slots are what they wait for."""
    restart_seconds: float | None
    """From the start of a new operator, in the middle, to its first Job."""
    counted_writes: dict[str, float]
    """The same writes, but for Events, as the API server has counted them."""
    milliseconds: dict[str, float] = field(default_factory=dict)
    """Processor time of each trial, by program."""
    bare: tuple[Bare, ...] = ()
    """The bare loop, before and after."""

    @classmethod
    def of(
        cls,
        trials: int,
        course: Course,
        counted: Mapping[str, int],
        operator: OperatorProcess,
    ) -> Self:
        """Sum up a search whose operator still runs."""
        requests = operator.requests()
        return cls(
            trials=trials,
            seconds=course.seconds,
            counted_writes={verb: counted[verb] / trials for verb in WRITES},
            writes={verb: requests[verb] / trials for verb in WRITES},
            reads=requests["GET"],
            processor_seconds=operator.processor_seconds,
            peak_bytes=operator.peak_bytes,
            sizes=course.sizes,
            reaction={},
            restart_seconds=course.restart_seconds,
        )

    def set_reactions(self, seconds: Sequence[float]) -> None:
        """Take note of the reactions, in ascending order."""
        self.reaction = {str(share): quantile(seconds, share) for share in (0.5, 0.95)}

    @property
    def rate(self) -> float:
        """Trials a second."""
        return self.trials / self.seconds

    @property
    def ratio(self) -> float:
        """Trials a second, as a share of the bare loop's."""
        return self.rate / mean(bare.rate for bare in self.bare)

    @property
    def processor_ratio(self) -> float:
        """The processor time of the bare loop and its control plane, as a share of this one's.

        Where processors are what limits both, this is the ratio of their rates, and other programs
        on the machine do not change it.
        """
        own = sum(self.milliseconds.values())
        return mean(sum(bare.milliseconds.values()) for bare in self.bare) / own

    def as_json(self) -> dict[str, Any]:
        """Every figure."""
        derived = {"rate": self.rate, "ratio": self.ratio, "processorRatio": self.processor_ratio}
        return asdict(self) | derived


@dataclass(frozen=True)
class Slots:
    """Use of the slots of a search."""

    name: str
    trials: int
    parallelism: int
    utilisation: float
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Every figure."""
        return asdict(self)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value of sorted ones below which a share of them lies; NaN if there is none."""
    return values[min(int(len(values) * share), len(values) - 1)] if values else float("nan")


def table(scales: Sequence[Scale], slots: Sequence[Slots]) -> str:
    """The tables, in Markdown."""
    lines = [*_scale_lines(scales)] if scales else []
    if slots:
        lines += ["", "| Share of the slots' time used | |", "|---|---|"]
        lines += [f"| {slot.name} | {slot.utilisation:.3f} |" for slot in slots]
    return "\n".join(lines)


def _scale_lines(scales: Sequence[Scale]) -> Iterator[str]:
    def row(name: str, cells: Sequence[str], bar: str = "") -> str:
        return "| " + " | ".join([name, *cells, bar]) + " |"

    yield row("Trials", [f"{scale.trials:,}" for scale in scales], "bar")
    yield "|---" * (len(scales) + 2) + "|"
    yield row("trials/s", [f"{scale.rate:.1f}" for scale in scales])
    yield row(
        "trials/s of the bare loop, before and after",
        [" / ".join(f"{bare.rate:.1f}" for bare in scale.bare) for scale in scales],
    )
    yield row("share of the bare loop", [f"{scale.ratio:.2f}" for scale in scales], ">= 0.6")
    yield row(
        "the same, by processor time of all processes",
        [f"{scale.processor_ratio:.2f}" for scale in scales],
    )
    flat = scales[0].rate
    yield row(
        f"trials/s, as a share of {scales[0].trials:,}'s",
        [f"{scale.rate / flat:.2f}" for scale in scales],
        ">= 0.9",
    )
    yield row(
        "writes per trial", [f"{sum(scale.writes.values()):.2f}" for scale in scales], "<= 2.3"
    )
    for verb in WRITES:
        yield row(f"of these {verb}", [f"{scale.writes[verb]:.3f}" for scale in scales])
    yield row(
        "writes per trial but for Events, as the API server counts them",
        [f"{sum(scale.counted_writes.values()):.2f}" for scale in scales],
    )
    yield row(
        "operator, processor ms per trial",
        [f"{scale.processor_seconds / scale.trials * 1000:.1f}" for scale in scales],
    )
    yield row("operator, processor seconds", [f"{scale.processor_seconds:.1f}" for scale in scales])
    yield row(
        "operator, peak memory (MiB)",
        [f"{scale.peak_bytes / MEBI:.0f}" for scale in scales],
        "<= 300 MB",
    )
    yield row("status (bytes)", [f"{s.sizes.status:,}" for s in scales], "<= 16 KiB")
    yield row("history (bytes)", [f"{s.sizes.history:,}" for s in scales])
    yield row("history (ConfigMaps)", [f"{s.sizes.shards}" for s in scales])
    yield row("reaction, median (ms)", [_milliseconds(s, "0.5") for s in scales])
    yield row("reaction, p95 (ms)", [_milliseconds(s, "0.95") for s in scales], "<= 500 ms")
    yield row(
        "restart in the middle, seconds to the first Job",
        ["" if s.restart_seconds is None else f"{s.restart_seconds:.1f}" for s in scales],
        "<= 10 s",
    )


def write_csv(scales: Sequence[Scale], path: Path) -> None:
    """Write the table of the sizes as CSV: a line for each figure, a column for each size."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        for line in _scale_lines(scales):
            if not line.startswith("|---"):
                writer.writerow(cell.strip() for cell in line.strip("|").split("|"))


def _milliseconds(scale: Scale, share: str) -> str:
    return f"{scale.reaction[share] * 1000:.0f}"
