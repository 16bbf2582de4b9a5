"""The figures of a benchmark, as a table and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, median, stdev
from typing import Any, Literal

from benchmarks.trainer.bandwidth import Bytes
from benchmarks.trainer.fidelity import STEPS, TOLERANCE, Fidelity
from benchmarks.trainer.measure import Epoch, Whole
from benchmarks.trainer.summary import Ratio, rank_correlation, ratio_of

OURS, PLAIN = "this trainer", "plain loop"

Quantity = Literal["seconds", "processor_seconds"]


@dataclass
class Figures:
    """Everything that was measured, block by block: for each arm, what each repeat gave."""

    batch_size: int
    copy_rate: float
    """Bytes a second that a copy moves, those read and those written."""
    whole: list[dict[str, list[Whole]]] = field(default_factory=list)
    steady: list[dict[str, list[Epoch]]] = field(default_factory=list)
    fidelity: list[Fidelity] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    """Number of images in an epoch of a block."""
    moved: list[Bytes] = field(default_factory=list)
    """Bytes that a training step of a block moves."""

    def whole_ratio(self, quantity: Quantity) -> Ratio:
        """Cost of a process of the plain loop, as a multiple of the trainer's."""
        return _ratio(self.whole, PLAIN, quantity)

    def steady_ratio(self, name: str, quantity: Quantity) -> Ratio:
        """Cost of an epoch of an arm, as a multiple of the trainer's."""
        return _ratio(self.steady, name, quantity)

    def floor(self, block: int, *, fused: bool) -> float:
        """The seconds of an epoch in which the memory moves what the operators move."""
        steps = self.images[block] / self.batch_size
        moved = self.moved[block].fused if fused else self.moved[block].separate
        return steps * moved / self.copy_rate

    def share(self, name: str, *, fused: bool) -> Ratio:
        """Least share of an arm's epoch that the memory needs, from 0 to 1."""
        return ratio_of(
            [
                [self.floor(block, fused=fused) / epoch.seconds for epoch in arms[name]]
                for block, arms in enumerate(self.steady)
            ]
        )

    def rate(self, block: int, name: str) -> float:
        """Images that an arm trains on a second, of a block."""
        return self.images[block] / median(one.seconds for one in self.steady[block][name])

    def accuracies(self, name: str) -> list[list[float]]:
        """The accuracies of an arm: for each block, one for each seed."""
        return [[run.accuracy for run in arms[name]] for arms in self.whole]

    def as_json(self) -> dict[str, Any]:
        """Every figure, and the ratios made of them."""
        quantities: tuple[Quantity, ...] = ("seconds", "processor_seconds")
        return {
            "wholeProcess": _plain_values(self.whole),
            "epoch": _plain_values(self.steady),
            "lossDifferences": [one._asdict() for one in self.fidelity],
            "imagesAnEpoch": self.images,
            "copyBytesASecond": self.copy_rate,
            "stepBytes": [one._asdict() for one in self.moved],
            "shareOfBandwidth": {
                name: {
                    "separate": self.share(name, fused=False)._asdict(),
                    "fused": self.share(name, fused=True)._asdict(),
                }
                for name in self.steady[0]
            },
            "ratios": {
                quantity: {
                    **(
                        {"whole process": self.whole_ratio(quantity)._asdict()}
                        if self.whole
                        else {}
                    ),
                    **{
                        name: self.steady_ratio(name, quantity)._asdict() for name in self.steady[0]
                    },
                }
                for quantity in quantities
            },
        }


Measured = Sequence[Mapping[str, Sequence[Whole] | Sequence[Epoch]]]


def _ratio(blocks: Measured, name: str, quantity: Quantity) -> Ratio:
    return ratio_of(
        [
            [
                getattr(one, quantity) / getattr(other, quantity)
                for one, other in zip(arms[name], arms[OURS], strict=True)
            ]
            for arms in blocks
        ]
    )


def _plain_values(blocks: Measured) -> list[dict[str, list[dict[str, float]]]]:
    return [{name: [run._asdict() for run in runs] for name, runs in a.items()} for a in blocks]


def table(figures: Figures, on_gpu: bool, workers: int) -> str:
    """The table, in Markdown."""
    lines = [*_speed(figures, on_gpu, workers), "", *_losses(figures)]
    if figures.whole:
        lines += _accuracies(figures)
    lines += ["", *_blocks(figures)]
    return "\n".join(lines)


def _speed(figures: Figures, on_gpu: bool, workers: int) -> Iterator[str]:
    yield (
        f"| Times as much as this trainer, {len(figures.steady)} blocks | Seconds "
        "| Processor seconds | Images/s | Share of the memory's floor | with fused kernels |"
    )
    yield "|---|---|---|---|---|---|"
    if figures.whole:
        yield from _processes(figures, workers)
    for name, runs in figures.steady[0].items():
        # What the workers of a DataLoader use is not counted in the process that is measured.
        alone = name == OURS or (name != PLAIN and "DataLoader" not in name)
        used = figures.steady_ratio(name, "processor_seconds") if alone and runs else ""
        rate = median(figures.rate(block, name) for block in range(len(figures.steady)))
        label = f"{name}, {workers} workers" if name == PLAIN else name
        shares = [figures.share(name, fused=fused) for fused in (False, True)]
        yield (
            f"| epoch: {label} | {figures.steady_ratio(name, 'seconds')} | {used} | {rate:,.0f} "
            f"| {shares[0]} | {shares[1]} |"
        )
    yield f"| this machine copies {figures.copy_rate / 1e9:.1f} GB/s, read and written |" + " |" * 5
    if not on_gpu:
        yield "| on a GPU, all of the above |" + " not measured |" * 5


def _processes(figures: Figures, workers: int) -> Iterator[str]:
    seconds = {
        name: [run.seconds for arms in figures.whole for run in arms[name]]
        for name in (PLAIN, OURS)
    }
    yield (
        f"| **whole process: plain loop, {workers} workers** "
        f"| **{figures.whole_ratio('seconds')}** "
        f"| **{figures.whole_ratio('processor_seconds')}** | | | |"
    )
    yield (
        f"| median seconds: plain loop {median(seconds[PLAIN]):.1f}, this trainer "
        f"{median(seconds[OURS]):.1f}, or {3600 / mean(seconds[OURS]):,.0f} blocks an hour |"
        + " |"
        * 5
    )


def _losses(figures: Figures) -> Iterator[str]:
    every = figures.fidelity
    yield "| The same training | |"
    yield "|---|---|"
    float64 = max(one.float64 for one in every)
    yield f"| float64: largest difference of a loss in {STEPS} steps | {float64:.0e} |"
    same_order = max(one.same_order for one in every)
    yield f"| float32, without what rounds otherwise: largest difference | {same_order:.0e} |"
    yield f"| float32, median of the blocks | {median(one.float32 for one in every):.0e} |"
    control = median(one.control for one in every)
    yield f"| float32, the plain loop in two memory orders | {control:.0e} |"
    steps = median(one.steps for one in every)
    yield f"| float32, steps until losses differ by more than {TOLERANCE:.0e} | {steps:g} |"
    steps = median(one.control_steps for one in every)
    yield f"| float32, so many of the plain loop in two memory orders | {steps:g} |"


def _accuracies(figures: Figures) -> Iterator[str]:
    ours, plain = figures.accuracies(OURS), figures.accuracies(PLAIN)
    difference = mean(map(mean, ours)) - mean(map(mean, plain))
    yield f"| mean accuracy, this trainer minus plain loop | {difference:+.4f} |"
    same = rank_correlation([one[0] for one in ours], [one[0] for one in plain])
    yield f"| rank correlation of the two, with the same seed | {same:.3f} |"
    if len(plain[0]) > 1:
        yield f"| deviation between seeds of the plain loop | {mean(map(stdev, plain)):.4f} |"
        between = rank_correlation([one[0] for one in plain], [one[1] for one in plain])
        yield f"| rank correlation of two seeds of the plain loop | {between:.3f} |"


def _blocks(figures: Figures) -> Iterator[str]:
    """Each block by itself, the cheapest first: medians of its repeats."""
    yield "| Block | Plain, whole | Plain, epoch | Images/s | MB a step | Share of the floor |"
    yield "|---|---|---|---|---|---|"
    for block, arms in enumerate(figures.steady):
        whole = "not measured"
        if figures.whole:
            whole = f"{_median_ratio(figures.whole[block]):.2f}"
        share = figures.floor(block, fused=False) / figures.images[block]
        rate = figures.rate(block, OURS)
        yield (
            f"| {block + 1} | {whole} | {_median_ratio(arms):.2f} | {rate:,.0f} "
            f"| {figures.moved[block].separate / 1e6:.1f} | {share * rate:.2f} |"
        )


def _median_ratio(arms: Mapping[str, Sequence[Whole] | Sequence[Epoch]]) -> float:
    pairs = zip(_seconds(arms[PLAIN]), _seconds(arms[OURS]), strict=True)
    return median(plain / ours for plain, ours in pairs)


def _seconds(runs: Sequence[Whole] | Sequence[Epoch]) -> list[float]:
    return [run.seconds for run in runs]
