"""The figures of a benchmark, as a table and as JSON."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import mean, median, stdev
from typing import Any, Literal

from benchmarks.trainer.fidelity import STEPS, TOLERANCE, Fidelity
from benchmarks.trainer.measure import Whole
from benchmarks.trainer.summary import Ratio, rank_correlation, ratio_of

Quantity = Literal["seconds", "processor_seconds"]

OURS, PLAIN = "this trainer", "plain loop"


@dataclass
class Figures:
    """Everything that was measured, block by block."""

    whole: list[dict[str, list[Whole]]] = field(default_factory=list)
    steady: list[dict[str, list[float]]] = field(default_factory=list)
    fidelity: list[Fidelity] = field(default_factory=list)
    images: list[int] = field(default_factory=list)

    def whole_ratio(self, quantity: Quantity) -> Ratio:
        """How many times as long the plain loop's process takes."""
        return ratio_of(
            [
                [
                    getattr(one, quantity) / getattr(other, quantity)
                    for one, other in zip(arm[PLAIN], arm[OURS], strict=True)
                ]
                for arm in self.whole
            ]
        )

    def steady_ratio(self, name: str) -> Ratio:
        """How many times as long an epoch of an arm takes as one of the trainer as it is."""
        return ratio_of(
            [
                [one / other for one, other in zip(arm[name], arm[OURS], strict=True)]
                for arm in self.steady
            ]
        )

    def accuracies(self, name: str) -> list[list[float]]:
        """The accuracies of an arm: for each block, one for each seed."""
        return [[run.accuracy for run in arm[name]] for arm in self.whole]

    def as_json(self) -> dict[str, Any]:
        """Every figure, and the ratios made of them."""
        return {
            "wholeProcess": [
                {name: [run._asdict() for run in runs] for name, runs in arm.items()}
                for arm in self.whole
            ],
            "epochSeconds": self.steady,
            "lossDifferences": [one._asdict() for one in self.fidelity],
            "ratios": {
                "wholeProcess": self.whole_ratio("seconds")._asdict(),
                "wholeProcessProcessorSeconds": self.whole_ratio("processor_seconds")._asdict(),
                **{name: self.steady_ratio(name)._asdict() for name in self.steady[0]},
            },
        }


def table(figures: Figures, on_gpu: bool, workers: int) -> str:
    """The table, in Markdown."""
    return "\n".join([*_speed(figures, on_gpu, workers), "", *_fidelity(figures)])


def _speed(figures: Figures, on_gpu: bool, workers: int) -> Iterator[str]:
    yield f"| Arm ({len(figures.steady)} blocks) | Images/s | Times as long as this trainer |"
    yield "|---|---|---|"
    quantities: dict[Quantity, str] = {
        "seconds": "seconds",
        "processor_seconds": "processor seconds",
    }
    for quantity, name in quantities.items():
        plain, ours = (
            median(getattr(run, quantity) for arm in figures.whole for run in arm[which])
            for which in (PLAIN, OURS)
        )
        ratio = figures.whole_ratio(quantity)
        yield (
            f"| whole process, {name}: plain loop, {workers} workers, median {plain:.1f} s, "
            f"this trainer {ours:.1f} s | | **{ratio}** |"
        )
    hour = 3600 / mean(run.seconds for arm in figures.whole for run in arm[OURS])
    yield f"| ... blocks an hour, one process after another: {hour:,.0f} | | |"
    for name in figures.steady[0]:
        rates = [
            images / median(arm[name])
            for images, arm in zip(figures.images, figures.steady, strict=True)
        ]
        label = f"{name}, {workers} workers" if name == PLAIN else name
        yield f"| an epoch: {label} | {median(rates):,.0f} | {figures.steady_ratio(name)} |"
    if not on_gpu:
        yield "| on a GPU, all of the above | not measured | not measured |"


def _fidelity(figures: Figures) -> Iterator[str]:
    ours, plain = figures.accuracies(OURS), figures.accuracies(PLAIN)
    float64 = max(one.float64 for one in figures.fidelity)
    yield "| The same training | |"
    yield "|---|---|"
    yield f"| largest difference of a loss in {STEPS} steps, float64 | {float64:.0e} |"
    for label, values, steps in (
        (
            "this trainer and the plain loop",
            [one.float32 for one in figures.fidelity],
            [one.steps for one in figures.fidelity],
        ),
        (
            "the plain loop, NCHW and channels last",
            [one.control for one in figures.fidelity],
            [one.control_steps for one in figures.fidelity],
        ),
    ):
        yield f"| float32, median over blocks: {label} | {median(values):.0e} |"
        yield f"| ... steps within {TOLERANCE:.0e}, median | {median(steps):g} |"
    difference = mean(map(mean, ours)) - mean(map(mean, plain))
    yield f"| mean accuracy, this trainer minus plain loop | {difference:+.4f} |"
    if len(ours[0]) > 1:
        spread = mean(map(stdev, plain))
        yield f"| ... mean deviation between seeds of the plain loop | {spread:.4f} |"
        between = rank_correlation([one[0] for one in plain], [one[1] for one in plain])
        yield f"| rank correlation, two seeds of the plain loop | {between:.3f} |"
    same = rank_correlation([one[0] for one in ours], [one[0] for one in plain])
    yield f"| rank correlation, this trainer and the plain loop, same seed | {same:.3f} |"
