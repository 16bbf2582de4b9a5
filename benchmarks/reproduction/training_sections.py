"""The sections of docs/reproduction.md whose every figure is a training, and no search."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.report import mean_and_error
from benchmarks.reproduction import liked, reward_fit
from benchmarks.reproduction.charts import Axes, Line, draw_densities, draw_lines
from benchmarks.reproduction.figures import Figure
from benchmarks.reproduction.liked import Liked
from benchmarks.reproduction.reward_fit import Agreement, Answer, Estimate
from benchmarks.reproduction.section import Section, holds
from benchmarks.table.converged import Converged, choose
from benchmarks.table.recipe import FINAL_EPOCHS, NETWORK
from benchmarks.table.rows import Row
from blockqnn.block.nsc import Block
from blockqnn.learning.calibration import Weight
from blockqnn.learning.reward import redefined_reward

FEWEST_CONVERGED = 60
"""Of fewer blocks Fig. 6 says nothing."""


def redefined(table: Sequence[Row], converged: Sequence[Converged], pictures: Path) -> Section:
    """Fig. 6 (AAAI 2017: Fig. 4): does the redefined reward follow the final accuracy?"""
    title = "Fig. 6: the redefined reward"
    paper = (
        "the accuracy after few epochs misjudges the final one, which falls with FLOPs and with "
        "density; the reward that subtracts both follows the final accuracy better."
    )
    if len(converged) < FEWEST_CONVERGED:
        text = (
            f"{len(converged)} of at least {FEWEST_CONVERGED} blocks are trained to convergence "
            "(`python -m benchmarks.table.converge`)."
        )
        return Section(title, paper, text, "Not measured yet.", {"blocks": len(converged)})
    best = {row.hash for row in choose(table).best}
    answers = reward_fit.answers(converged, best)
    _draw_rewards(converged, pictures / "fig6-reward.svg")
    rows = [
        _agreement(f"{name}: {reward}", agreement)
        for name, answer in answers.items()
        for reward, agreement in _agreements(answer).items()
    ]
    weights = [
        f"| {name} | {answer.blocks} | {_weight(answer.calibration.macs)} "
        f"| {_weight(answer.calibration.density)} |"
        for name, answer in answers.items()
    ]
    text = "\n".join(
        [
            "![rewards](pictures/reproduction/fig6-reward.svg)",
            "",
            f"{answers['all'].blocks} blocks were trained for {FINAL_EPOCHS} epochs by the recipe "
            "of finalists, shortened: a sample of the best of the table, as in AAAI 2017, and some "
            "of all others. The final accuracy is that on validation and test images together. "
            "A gain is over the early accuracy; errors are those of blocks drawn anew. Fitted "
            "weights are judged on blocks that they were not fitted to.",
            "",
            "| blocks: reward | rank correlation with the final accuracy | gain "
            "| linear correlation | gain |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "The weights that fit best, with 95 % of the fits to blocks drawn anew:",
            "",
            "| blocks | | mu (MACs) | rho (density) |",
            "|---|---|---|---|",
            *weights,
        ]
    )
    gains = {
        preset: Figure(*agreement.spearman_gain)
        for preset, agreement in (
            ("CVPR 2018", answers["all"].cvpr),
            ("AAAI 2017", answers["all"].aaai),
        )
    }
    verdict = "; ".join(
        f"weights of {name}: {holds(gain).lower()}, rank correlation {gain.mean:+.3f}"
        for name, gain in gains.items()
    )
    return Section(title, paper, text, f"{verdict[0].upper()}{verdict[1:]}.", answers)


def _agreements(answer: Answer) -> Mapping[str, Agreement]:
    return {
        "early accuracy": answer.early,
        "weights of CVPR 2018": answer.cvpr,
        "weights of AAAI 2017": answer.aaai,
        "fitted weights": answer.fitted,
    }


def _agreement(name: str, agreement: Agreement) -> str:
    def with_sign(estimate: Estimate, sign: str = "") -> str:
        return f"{estimate.value:{sign}.3f} ± {estimate.error:.3f}"

    return (
        f"| {name} | {with_sign(agreement.spearman)} | {with_sign(agreement.spearman_gain, '+')} "
        f"| {with_sign(agreement.pearson)} | {with_sign(agreement.pearson_gain, '+')} |"
    )


def _weight(weight: Weight | None) -> str:
    if weight is None:
        return "cannot be told"
    return f"{weight.value:+.2f} ({weight.low:+.2f} to {weight.high:+.2f})"


def _draw_rewards(converged: Sequence[Converged], path: Path) -> None:
    """Draw final accuracy, early accuracy and redefined reward, by the rank of the first."""
    ranked = sorted(converged, key=lambda training: training.validation_accuracy)
    ranks = range(1, len(ranked) + 1)
    series = {
        f"accuracy after {FINAL_EPOCHS} epochs": [
            100 * training.validation_accuracy for training in ranked
        ],
        "accuracy after 12 epochs": [100 * training.early_accuracy for training in ranked],
        "reward of CVPR 2018": [
            redefined_reward(
                Block.parse(training.block), training.early_accuracy, reward_fit.CVPR, NETWORK
            )
            for training in ranked
        ],
    }
    draw_lines(
        path,
        Axes("Early accuracy, reward and final accuracy", "rank by final accuracy", "%"),
        [Line(name, ranks, values, ".-") for name, values in series.items()],
    )


def layers_apart(table: Sequence[Row], separate: Sequence[Row], pictures: Path) -> Section:
    """Fig. 9 (AAAI 2017: Fig. 3): cells against separate ReLU, batch norm and convolution."""
    cells = [100 * row.accuracy for row in table if row.origin == "random" and row.seed == 0]
    apart = [100 * row.accuracy for row in separate if row.origin == "separate" and row.seed == 0]
    in_cells, other = Figure(*mean_and_error(cells)), Figure(*mean_and_error(apart))
    gain = Figure(in_cells.less(other), (in_cells.error**2 + other.error**2) ** 0.5)
    draw_densities(
        pictures / "fig9-cells.svg",
        Axes("Random blocks after 12 epochs", "accuracy, %", "share of the blocks, %"),
        [("cells (PCC)", cells), ("ReLU, batch norm, convolution apart", apart)],
    )
    low = [100 * sum(v < 40 for v in values) / len(values) for values in (cells, apart)]
    text = (
        "![cells](pictures/reproduction/fig9-cells.svg)\n\n"
        "| random blocks | trained | mean accuracy | below 40 % |\n|---|---|---|---|\n"
        f"| cells | {len(cells)} | {in_cells} | {low[0]:.0f} % |\n"
        f"| separate layers | {len(apart)} | {other} | {low[1]:.0f} % |\n\n"
        "Only the random phase was measured: every block is a training, and each block counts once."
    )
    return Section(
        "Fig. 9: the pre-activation cell against separate layers",
        "with cells the mean is higher by a big gap from the random phase on; separate layers more "
        "often make bad blocks.",
        text,
        f"{holds(gain)}: {gain.mean:+.1f} ± {gain.error:.1f} points for cells.",
        {"cells": in_cells, "separate": other, "gain": gain},
    )


def liked_blocks(table: Sequence[Row], blocks: Sequence[Liked]) -> Section:
    """Say what the blocks that searches like are worth when they are trained anew."""
    outcomes = liked.outcomes(blocks, table)
    flattered = [
        f"{outcome.surplus:+.1f} for {outcome.contestant}"
        for outcome in outcomes
        if outcome.kind == "favourite"
    ]
    text = (
        "*Late*: blocks of the last stages of the papers' presets that the table lacked. *Best*: "
        "the block with the best reward of each search of 128 trials, trained with seeds that no "
        "search has seen. *Favourite*: the five blocks with the best rewards of each search at its "
        "own size, trained anew. *Expected* is the worth by the model before any block of the kind "
        "was trained; errors are over searches.\n\n" + liked.as_table(outcomes)
    )
    verdict = (
        f"Expected less trained: {', '.join(flattered)}."
        if flattered
        else "The favourites are not trained yet."
    )
    return Section(
        "The last word: what searches like, trained anew",
        "no figure of a paper; the model could be fooled where it was never corrected.",
        text,
        verdict,
        {f"{outcome.kind}, {outcome.contestant}": outcome._asdict() for outcome in outcomes},
    )
