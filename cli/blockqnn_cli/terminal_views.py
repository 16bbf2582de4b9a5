"""Views of a search in a terminal. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from blockqnn.block.nsc import Block
from blockqnn.block.text_drawing import text_drawing
from blockqnn.contract.message import Outcome
from blockqnn.contract.metrics import Measured, column_name
from blockqnn.learning.progress import Verdict
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_cli.learning import in_words, is_past_random_phase, learning
from blockqnn_cli.quantities import duration, measurements, moment, since
from blockqnn_cli.view import EventView, SearchView

COLOURS: Mapping[Outcome, str] = {
    Outcome.SUCCEEDED: "green",
    Outcome.CACHED: "cyan",
    Outcome.INFEASIBLE: "yellow",
    Outcome.FAILED: "red",
}
"""The colour of each outcome in a terminal."""

_PHASES = {
    "Complete": "bold green",
    "TrainingFinalists": "bold cyan",
    "Failed": "bold red",
    "Suspended": "bold yellow",
}

_ATTENTION = {"Failed": "red", "Degraded": "yellow", "Suspended": "yellow"}
"""Conditions that need attention when they are true, with their colours."""

LISTED_ITERATIONS = 12
"""Iterations in the table: the latest, as many as leave room on a screen of 24 lines."""


def progress(search: SearchView) -> RenderableType:
    """Show the progress of a search: a bar, the counts, and the results of the iterations."""
    return Group(_headline(search), _counts(search), Text(), iterations(search))


def whole(search: SearchView, events: Sequence[EventView], now: datetime) -> RenderableType:
    """Show the full status of a search.

    Args:
        search: the search.
        events: the Events to show, the latest last.
        now: the present time, from which ages are counted.
    """
    parts: list[RenderableType] = [_headline(search), _counts(search), _times(search, now)]
    if search.phase in ("Complete", "Suspended"):
        # A search is over for one of several reasons, and it may wait for running trials.
        parts.append(Text(search.status.get("message", "")))
    elif search.advice:
        parts.append(Text(search.advice, "yellow"))
    if is_past_random_phase(search):
        parts.append(_learning(search))
    warnings = attention(search)
    if warnings:
        parts += [Text(), warnings]
    if search.records:
        parts += [Text(), iterations(search)]
    if events:
        parts += [Text(), _events(events, now)]
    return Group(*parts)


def headline(search: SearchView) -> str:
    """Return the progress of a search as one line of plain text."""
    status = search.status
    counts = status.get("trials", {})
    best = status.get("best")
    parts = [
        f"{search.key}: {search.phase}",
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
    grid.add_row(
        Text(search.key, style="bold"),
        Text(search.phase, style=_PHASES.get(search.phase, "bold")),
        ProgressBar(total=max(total, 1), completed=done, width=32),
        f"{done}/{total} trials",
    )
    return grid


def _done(status: Mapping[str, Any]) -> tuple[int, int]:
    done, _, total = status.get("progress", "0/0").partition("/")
    return int(done or 0), int(total or 0)


def _counts(search: SearchView) -> Text:
    status = search.status
    counts = status.get("trials", {})
    text = Text(f"running {counts.get('running', 0)}")
    for outcome in Outcome:
        text.append(f"   {outcome.lower()} {counts.get(outcome.lower(), 0)}", COLOURS[outcome])
    text.append(f"\npreset {search.preset}   epsilon {status.get('epsilon', 1):g}")
    best = status.get("best")
    if best:
        text.append(f"   best accuracy {best['accuracy']:.2%} (trial {best['trial']})", "bold")
    if status.get("finalists"):
        text.append("\n").append_text(_finalists(status["finalists"]))
    return text


def _finalists(status: Mapping[str, Any]) -> Text:
    done = status["succeeded"] + status["infeasible"]
    text = Text(f"finalists {done}/{status['total']}   running {status['running']}")
    if status["failed"]:
        text.append(f"   failed {status['failed']}", "red")
    best = status.get("best")
    if best:
        spread = f" ± {best['deviation']:.2%}" if "deviation" in best else ""
        text.append(f"   best converged accuracy {best['accuracy']:.2%}{spread}", "bold")
        text.append(f" (trial {best['trial']})", "bold")
    return text


def _times(search: SearchView, now: datetime) -> Text:
    status = search.status
    parts = []
    if status.get("startTime"):
        end = status.get("completionTime")
        until = moment(end) if end else now
        ran = duration((until - moment(status["startTime"])).total_seconds())
        parts.append(f"took {ran}" if end else f"started {ran} ago")
    estimate = status.get("estimatedCompletionTime")
    if estimate and search.phase == "Running":
        remaining = (moment(estimate) - now).total_seconds()
        parts.append(f"about {duration(remaining)} left" if remaining > 0 else "done any moment")
    trained = sum(record.seconds.total for record in search.records if record.seconds)
    if status.get("gpuSeconds"):
        parts.append(f"GPU time {duration(status['gpuSeconds'])}")
    elif trained:
        parts.append(f"time of all trainers {duration(trained)}")
    of_finalists = status.get("finalists", {}).get("gpuSeconds")
    if of_finalists:
        parts.append(f"GPU time of finalists {duration(of_finalists)}")
    return Text("   ".join(parts) or "The operator has not processed this search yet.")


def _learning(search: SearchView) -> Text:
    judged = learning(search)
    style = {Verdict.LEARNS: "green", Verdict.UNLEARNS: "yellow"}.get(judged.verdict, "")
    return Text(in_words(search, judged), style)


def attention(search: SearchView) -> Text | None:
    """Show the conditions that need attention; None when there are none."""
    text = Text()
    for condition in search.status.get("conditions", ()):
        style, message = _ATTENTION.get(condition["type"]), condition.get("message", "")
        # One cause, such as failed finalists, may set Failed and Degraded with the same message.
        if style is None or condition["status"] != "True" or (message and message in text.plain):
            continue
        if text:
            text.append("\n")
        text.append(f"{condition['type']} ({condition['reason']}): ", f"bold {style}")
        text.append(message)
    return text or None


def _events(events: Sequence[EventView], now: datetime) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for title in ("last events", "", ""):
        table.add_column(title, header_style="dim", overflow="fold")
    for event in events:
        style = "yellow" if event.type == "Warning" else ""
        # Text, not a string: a block in brackets would be read as markup.
        table.add_row(
            f"{since(event.time, now)} ago", Text(event.reason, style), Text(event.message)
        )
    return table


def iterations(search: SearchView) -> Table:
    """Show the results of the latest iterations."""
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    for title in ("iteration", "epsilon", "trained", "mean accuracy", "best", "mean reward"):
        table.add_column(title, justify="right", header_style="dim")
    size = search.batch_size
    if not size:
        return table
    starts = range(0, len(search.records), size)
    for start in starts[-LISTED_ITERATIONS:]:
        batch, number = search.records[start : start + size], start // size
        table.add_row(str(number), f"{search.epsilon(number):g}", *_reached(batch))
    return table


def _reached(batch: Sequence[TrialRecord]) -> tuple[str, ...]:
    accuracies = [r.accuracy for r in batch if r.accuracy is not None]
    rewards = [r.reward for r in batch if r.reward is not None]
    trained = sum(r.outcome is not Outcome.CACHED for r in batch)
    return (
        f"{trained} of {len(batch)}",
        f"{mean(accuracies):.2%}" if accuracies else "-",
        f"{max(accuracies):.2%}" if accuracies else "-",
        f"{mean(rewards):.2f}" if rewards else "-",
    )


def best_block(search: SearchView) -> RenderableType:
    """Show the best block: its code, its layers, and its results."""
    best = search.status.get("best")
    if not best:
        return Text("No trial has succeeded yet.")
    block = Block.parse(best["block"])
    facts = f"trial {best['trial']}: accuracy {best['accuracy']:.2%}, reward {best['reward']:.2f}"
    sizes = {name: best.get(column_name(name)) for name in Measured.model_fields}
    facts = ", ".join([facts, *measurements(sizes, "{:,}".format)])
    converged = best.get("convergedAccuracy")
    if converged is not None:
        facts += f"\n{_converged(search, best['trial'], converged)}"
    return Group(
        # A space between the layers lets a long code wrap; it is read back just the same.
        Text(" ".join(str(layer) for layer in block), style="bold"),
        Text(),
        Text(text_drawing(block)),
        Text(),
        Text(facts),
    )


def _converged(search: SearchView, trial: int, accuracy: float) -> str:
    """Return the accuracy after the complete training of a block, and the place of its model."""
    text = f"complete training: accuracy {accuracy:.2%}"
    winner = search.status.get("finalists", {}).get("best", {})
    if winner.get("trial") != trial:
        return text
    if "deviation" in winner:
        text += f" ± {winner['deviation']:.2%} over {winner['seeds']} seeds"
    return f"{text}, model in {winner['folder']} on the volume" if winner.get("folder") else text


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean of at least one value."""
    return sum(values) / len(values)
