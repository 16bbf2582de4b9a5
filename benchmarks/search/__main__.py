"""Compare the strategies and presets at equal numbers of trials.

``python -m benchmarks.search`` runs all contests; ``QUICK=1`` a short form of them. It prints
tables, and writes ``build/benchmarks/search.json``, a CSV file and plots.
"""

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks.report import OUTPUT, is_quick, mean_and_error, write
from benchmarks.search.nasbench201 import TABLE, CellSpace, Column, read_columns
from benchmarks.search.plot import Point, draw
from benchmarks.search.synthetic_rewards import LANDSCAPES, SPACE
from benchmarks.strategies import CONTESTANTS, reward_settings_of, search, settings_for
from benchmarks.table import searches
from benchmarks.table.rows import DATA, read
from benchmarks.table.trained_blocks import FEWEST, TrainedBlocks, describe_facts
from blockqnn.settings.search import RewardSettings

TOP = 10
"""Of so many trials with the best rewards the best final score counts as well."""

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the contests and report."""
    options = _parse(arguments)
    rows: list[Row] = []
    skipped = []
    facts = None
    if "cells" in options.contests:
        if TABLE.exists():
            rows += _contest_of_cells(options)
        else:
            skipped.append(f"NAS-Bench-201: there is no {TABLE.name} beside the repository.")
    if "blocks" in options.contests:
        rows += _contest_of_blocks(options)
    if "table" in options.contests:
        table = read(options.table)
        if len({row.hash for row in table if row.outcome == "Succeeded"}) >= FEWEST:
            trained = TrainedBlocks(table)
            facts = trained.facts()
            rows += _contest_of_the_table(options, trained)
        else:
            skipped.append(f"the table: {options.table} has not {FEWEST} trained blocks.")
    if "searches" in options.contests:
        path = options.table.with_name(searches.SEARCHED.name)
        if path.exists():
            rows += _real_searches(options, searches.read(path))
        else:
            skipped.append(f"the real searches: there is no {path.name} beside the table.")
    for name in skipped:
        print(f"\nSkipped is {name}")
    path = write(options.name, {"rows": rows, "skipped": skipped, "table": facts})
    _write_csv(rows, options.name)
    _write_plots(rows, options.name)
    print(f"\nWritten: {path} and, beside it, CSV and SVG files.")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    quick = is_quick()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--contests", nargs="+", default=["cells", "blocks", "table", "searches"])
    parser.add_argument("--contestants", nargs="+", default=list(CONTESTANTS))
    parser.add_argument("--columns", nargs="+", default=["cifar100"])
    parser.add_argument("--budgets", nargs="+", type=int, default=[64, 128] if quick else None)
    parser.add_argument("--seeds", type=int, default=3 if quick else 200)
    parser.add_argument("--block-seeds", type=int, default=2 if quick else 40)
    parser.add_argument("--table", type=Path, default=DATA, help="the trained blocks, as CSV")
    parser.add_argument("--table-seeds", type=int, default=2 if quick else 40)
    parser.add_argument("--name", default="search", help="of the files under build/benchmarks")
    return parser.parse_args(arguments)


def _contest_of_cells(options: argparse.Namespace) -> list[Row]:
    space = CellSpace()
    columns = read_columns(tuple(options.columns))
    rows = []
    for name, column in columns.items():
        print(f"\nNAS-Bench-201, {name}: best reward, its regret, final score of the best, of the")
        print(f"best among the top {TOP}; mean and standard error over {options.seeds} seeds")
        for trials in options.budgets or [64, 128, 256, 512, 1024]:
            for contestant in options.contestants:
                row = {"contest": "NAS-Bench-201", "landscape": name, "trials": trials}
                started = time.perf_counter()
                judged = [
                    _judge_cells(contestant, space, column, trials, seed)
                    for seed in range(options.seeds)
                ]
                row |= {"contestant": contestant, "seeds": options.seeds}
                row |= _summary(("regret", "best reward", "score", "top score"), judged)
                row["seconds a run"] = (time.perf_counter() - started) / options.seeds
                rows.append(row)
                _print(row, ("best reward", "regret", "score", "top score"))
    return rows


def _judge_cells(
    contestant: str, space: CellSpace, column: Column, trials: int, seed: int
) -> tuple[float, ...]:
    settings = settings_for(contestant, trials)
    tried = search(settings, space, column.rewards.__getitem__, trials, seed)
    cells = sorted(
        dict.fromkeys(trial.candidate for trial in tried), key=column.rewards.__getitem__
    )
    best = cells[-1]
    optimum = max(column.rewards.values())
    top = max(column.scores[cell] for cell in cells[-TOP:])
    return optimum - column.rewards[best], column.rewards[best], column.scores[best], top


def _contest_of_blocks(options: argparse.Namespace) -> list[Row]:
    rows = []
    for name, make in LANDSCAPES.items():
        print(f"\nBlocks, {name} landscapes: regret of the best block found, of 1;")
        print(f"mean and standard error over {options.block_seeds} landscapes")
        for trials in options.budgets or [64, 256, 1024]:
            for contestant in options.contestants:
                started = time.perf_counter()
                judged = []
                for seed in range(options.block_seeds):
                    landscape = make(seed)
                    settings = settings_for(contestant, trials)
                    tried = search(settings, SPACE, landscape.reward, trials, seed)
                    best = max(tried, key=lambda trial: trial.reward or 0.0)
                    judged.append((1 - landscape.value(best.candidate),))
                row = {"contest": "blocks", "landscape": name, "trials": trials}
                row |= {"contestant": contestant, "seeds": options.block_seeds}
                row |= _summary(("regret",), judged)
                row["seconds a run"] = (time.perf_counter() - started) / options.block_seeds
                rows.append(row)
                _print(row, ("regret",))
    return rows


def _contest_of_the_table(options: argparse.Namespace, trained: TrainedBlocks) -> list[Row]:
    print(f"\nThe table of trained blocks. {describe_facts(trained.facts())}")
    print("Best reward, what the block with it is worth beyond chance, trials to evolution's")
    print(f"reward; mean and standard error over {options.table_seeds} seeds. The reward is the")
    print("accuracy, and, where production redefines it, in rows of its own what production uses.")
    rows = []
    for trials in options.budgets or [64, 128, 256]:
        rewards: dict[str, list[float]] = {}
        for contestant, reward in _with_rewards(options.contestants):
            name = f"{contestant}, redefined" if reward else contestant
            started = time.perf_counter()
            settings = settings_for(contestant, trials)
            judged, runs = [], []
            for seed in range(options.table_seeds):
                rewarded = partial(trained.redefined, settings=reward) if reward else trained.reward
                rewarded_by_seed = partial(rewarded, seed=seed)
                tried = search(settings, trained.space, rewarded_by_seed, trials, seed)
                best = max(tried, key=lambda feedback: feedback.reward or 0.0)
                judged.append((best.reward or 0.0, trained.value(best.candidate)))
                runs.append(list(accumulate([feedback.reward or 0.0 for feedback in tried], max)))
            rewards[name] = _mean_course(runs)
            row = {"contest": "table", "landscape": "table", "trials": trials}
            row |= {"contestant": name, "seeds": options.table_seeds}
            row |= _summary(("best reward", "worth"), judged)
            row["seconds a run"] = (time.perf_counter() - started) / options.table_seeds
            reached = None if reward else trials_to(rewards[name], rewards.get("evolution"))
            rows.append(row | {"trials to evolution's": reached})
            _print(row, ("best reward", "worth"), f"{reached or '-':>6}")
    return rows


def _with_rewards(contestants: Sequence[str]) -> list[tuple[str, RewardSettings | None]]:
    """Return each contestant with the accuracy as its reward (None), and with its own."""
    pairs: list[tuple[str, RewardSettings | None]] = []
    for contestant in contestants:
        pairs.append((contestant, None))
        settings = reward_settings_of(contestant)
        if settings.macs_weight or settings.density_weight:
            pairs.append((contestant, settings))
    return pairs


def _real_searches(
    options: argparse.Namespace, trials_by_search: dict[tuple[str, int], list[searches.Trial]]
) -> list[Row]:
    print("\nThe real searches of the table: best reward after so many trials, trials to")
    print("evolution's, and the best reward of each search")
    table = read(options.table)
    rows = []
    for trials in options.budgets or [64, 128, 256]:
        rewards: dict[str, list[float]] = {}
        for contestant in options.contestants:
            runs = [
                list(accumulate(searches.rewards(run_trials, table)[:trials], max))
                for (name, _), run_trials in sorted(trials_by_search.items())
                if name == contestant
            ]
            if not runs:
                continue
            row: Row = {"contest": "searches", "landscape": "searches", "trials": trials}
            row |= {"contestant": contestant, "seeds": len(runs)}
            row |= _summary(("best reward",), [(run[-1],) for run in runs])
            rewards[contestant] = _mean_course(runs)
            reached = trials_to(rewards[contestant], rewards.get("evolution"))
            rows.append(row | {"trials to evolution's": reached})
            each = ", ".join(f"{run[-1]:.2f}" for run in runs)
            print(
                f"{trials:>5}  {contestant:<22}{row['best reward']:8.3f}{reached or '-':>6}  {each}"
            )
    return rows


def _mean_course(runs: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of several searches after each trial."""
    return [sum(step_values) / len(runs) for step_values in zip(*runs, strict=True)]


def trials_to(rewards: Sequence[float], wanted: Sequence[float] | None) -> int | None:
    """Return after how many trials the best reward so far is what another has at its end.

    Args:
        rewards: the mean best reward after each trial.
        wanted: that of the other; None where it was not run.

    Returns:
        None where it is never reached, or nothing is wanted.
    """
    if wanted is None:
        return None
    return next((n for n, reward in enumerate(rewards, start=1) if reward >= wanted[-1]), None)


def _summary(names: Sequence[str], judged: Sequence[tuple[float, ...]]) -> Row:
    summary: Row = {}
    for name, values in zip(names, zip(*judged, strict=True), strict=True):
        summary[name], summary[f"{name} error"] = mean_and_error(values)
    return summary


def _print(row: Row, names: Sequence[str], more: str = "") -> None:
    figures = "  ".join(f"{row[name]:8.3f} ±{row[f'{name} error']:.3f}" for name in names)
    seconds = f"{row['seconds a run']:6.2f} s a run"
    print(f"{row['trials']:>5}  {row['contestant']:<22}{figures}{more}  {seconds}")
    sys.stdout.flush()


def _write_csv(rows: Sequence[Row], name: str) -> None:
    fields = list(dict.fromkeys(field for row in rows for field in row))
    with (OUTPUT / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)


def _write_plots(rows: Sequence[Row], name: str) -> None:
    for landscape in dict.fromkeys(row["landscape"] for row in rows):
        here = [row for row in rows if row["landscape"] == landscape]
        figure = "best reward" if "best reward" in here[0] else "regret"
        lines = {
            contestant: [
                Point(row["trials"], row[figure], row[f"{figure} error"])
                for row in here
                if row["contestant"] == contestant
            ]
            for contestant in dict.fromkeys(row["contestant"] for row in here)
        }
        (OUTPUT / f"{name}-{landscape}.svg").write_text(draw(landscape, figure, lines))


if __name__ == "__main__":
    sys.exit(main())
