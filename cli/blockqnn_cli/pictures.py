"""What a search looks like in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from blockqnn.contract import Outcome
from blockqnn.drawing import text_drawing
from blockqnn.nsc import Block
from blockqnn.schedule import epsilon_at
from blockqnn_cli.searches import SearchView
from blockqnn_operator.core.records import TrialRecord

_COLOURS = {
    Outcome.SUCCEEDED: "green",
    Outcome.CACHED: "cyan",
    Outcome.INFEASIBLE: "yellow",
    Outcome.FAILED: "red",
}

LISTED_ITERATIONS = 12
"""Iterations in the table: the latest, as many as leave room on a screen of 24 lines."""


def progress(search: SearchView) -> RenderableType:
    """Show how far a search is: a bar, the counts, and what each iteration reached."""
    return Group(_headline(search), _counts(search.status), Text(), iterations(search))


def headline(search: SearchView) -> str:
    """Say how far a search is in one line of plain text."""
    status = search.status
    counts = status.get("trials", {})
    best = status.get("best")
    parts = [
        f"{search.namespace}/{search.name}: {status.get('phase', 'Pending')}",
        f"{status.get('progress', '0/?')} trials",
        f"{counts.get('running', 0)} running",
        f"epsilon {status.get('epsilon', 1):g}",
    ]
    if best:
        parts.append(f"best accuracy {best['accuracy']:.2%} (trial {best['trial']})")
    return ", ".join(parts)


def _headline(search: SearchView) -> RenderableType:
    done, total = _done(search.status)
    grid = Table.grid(padding=(0, 2))
    phase = search.status.get("phase", "Pending")
    grid.add_row(
        Text(f"{search.namespace}/{search.name}", style="bold"),
        Text(phase, style="bold green" if phase == "Complete" else "bold"),
        ProgressBar(total=max(total, 1), completed=done, width=32),
        f"{done}/{total} trials",
    )
    return grid


def _done(status: Mapping[str, Any]) -> tuple[int, int]:
    done, _, total = status.get("progress", "0/0").partition("/")
    return int(done), int(total or 0)


def _counts(status: Mapping[str, Any]) -> Text:
    counts = status.get("trials", {})
    text = Text(f"running {counts.get('running', 0)}")
    for outcome in Outcome:
        text.append(f"   {outcome.lower()} {counts.get(outcome.lower(), 0)}", _COLOURS[outcome])
    text.append(f"\nepsilon {status.get('epsilon', 1):g}")
    best = status.get("best")
    if best:
        text.append(f"   best accuracy {best['accuracy']:.2%} (trial {best['trial']})", "bold")
    return text


def iterations(search: SearchView) -> Table:
    """Show what the latest iterations reached."""
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    for title in ("iteration", "epsilon", "trained", "mean accuracy", "best", "mean reward"):
        table.add_column(title, justify="right", header_style="dim")
    size = search.batch_size
    if not size:
        return table
    batches = [search.records[i : i + size] for i in range(0, len(search.records), size)]
    for number, batch in list(enumerate(batches))[-LISTED_ITERATIONS:]:
        accuracies = [r.accuracy for r in batch if r.accuracy is not None]
        rewards = [r.reward for r in batch if r.reward is not None]
        trained = sum(r.outcome is not Outcome.CACHED for r in batch)
        table.add_row(
            str(number),
            f"{epsilon_at(search.schedule, number):g}",
            f"{trained} of {len(batch)}",
            f"{mean(accuracies):.2%}" if accuracies else "-",
            f"{max(accuracies):.2%}" if accuracies else "-",
            f"{mean(rewards):.2f}" if rewards else "-",
        )
    return table


def best_block(search: SearchView) -> RenderableType:
    """Show the best block: its code, its layers, and what it reached."""
    best = search.status.get("best")
    if not best:
        return Text("No trial has succeeded yet.")
    block = Block.parse(best["block"])
    facts = f"trial {best['trial']}: accuracy {best['accuracy']:.2%}, reward {best['reward']:.2f}"
    if best.get("parameters") is not None:
        facts += f", {best['parameters']:,} parameters, {best.get('macs', 0):,} MACs"
    return Group(
        # A space between the layers lets a long code wrap; it is read back just the same.
        Text(" ".join(str(layer) for layer in block), style="bold"),
        Text(),
        Text(text_drawing(block)),
        Text(),
        Text(facts),
    )


def learning(search: SearchView) -> str:
    """Compare the mean reward of the random phase with that of the last iterations."""
    size, schedule = search.batch_size, search.schedule
    if not size or not schedule:
        return "The search has not started."
    random_phase = [r for r in search.records if epsilon_at(schedule, r.trial // size) >= 1]
    later = search.records[len(random_phase) :]
    last = later[-max(2 * size, 1) :]
    if not last:
        return "Every trial so far was chosen at random."
    return (
        f"mean reward: {_mean_reward(random_phase)} over the {len(random_phase)} trials of the "
        f"random phase, {_mean_reward(last)} over the last {len(last)}"
    )


def _mean_reward(records: Sequence[TrialRecord]) -> str:
    rewards = [record.reward for record in records if record.reward is not None]
    return f"{mean(rewards):.2f}" if rewards else "none"


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean of at least one value."""
    return sum(values) / len(values)
