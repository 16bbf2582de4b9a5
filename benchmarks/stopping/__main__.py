"""Resample searches from the table of trained blocks and stop their trainings early.

``python -m benchmarks.stopping`` prints a table and writes ``build/benchmarks/stopping.json``;
``QUICK=1`` resamples fewer. The rules are those of production
(``blockqnn.surrogate.early_termination``), with the settings of the preset OneGPU; successive
halving stands beside them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.report import is_quick, write
from benchmarks.stopping.resampling import (
    ORDERS,
    REWARDS,
    Outcome,
    Training,
    halve,
    read_trainings,
    resample,
    stop_early,
)
from benchmarks.table.rows import DATA
from blockqnn.settings.presets import PRESETS
from blockqnn.settings.search import EarlyTermination

FEWEST = 60
"""Of fewer blocks no search is resampled."""

SAVED, SAME = 0.4, 0.9
"""Requirement: the least share of epochs saved, and of searches with the same best block."""

Row = dict[str, Any]
Policy = Callable[[Sequence[Training]], Outcome]


def main() -> int:
    """Resample, print and write."""
    options = _options()
    preset = EarlyTermination.model_validate(PRESETS["OneGPU"]["agent"]["earlyTermination"])
    rows: list[Row] = []
    known = 0
    for reward in REWARDS:
        trainings = read_trainings(options.table, reward)
        known = len(trainings)
        if known < FEWEST:
            print(f"Skipped: {options.table} has {known} trained blocks, {FEWEST} are needed.")
            return 0
        size = min(options.trials, known * 3 // 4)
        for order in ORDERS:
            searches = [resample(trainings, size, order, seed) for seed in range(options.searches)]
            for name, policy in policies(preset, options.batch).items():
                row: Row = {"reward": reward, "order": order, "policy": name, "trials": size}
                rows.append(row | summarise([policy(one) for one in searches]))
    _print(rows, known, options)
    path = write("stopping", {"rows": rows, "blocks": known, "settings": preset.model_dump()})
    print(f"\nWritten: {path}")
    return 0


def policies(preset: EarlyTermination, batch: int) -> dict[str, Policy]:
    """Return the ways to stop, by name: the preset's, surer and less sure ones, and halving."""
    found: dict[str, Policy] = {}
    for deviations in (1.0, 1.5, 2.0, 2.5, 3.0):
        settings = preset.model_copy(update={"deviations": deviations})
        told = " (OneGPU)" if deviations == preset.deviations else ""
        found[f"{deviations:g} deviations{told}"] = partial(
            stop_early, settings=settings, batch=batch
        )
    settings = preset.model_copy(update={"epochs": (1, 2, 3, *preset.epochs)})
    found["the preset, from epoch 1 on"] = partial(stop_early, settings=settings, batch=batch)
    found["halving, 3, 6, 12 epochs"] = partial(halve, batch=batch)
    return found


def summarise(outcomes: Sequence[Outcome]) -> Row:
    """Return the figures of a policy, each a mean over the resampled searches."""
    count = len(outcomes)
    return {
        "searches": count,
        "epochs saved": sum(one.saved for one in outcomes) / count,
        "same best": sum(one.same_best for one in outcomes) / count,
        "regret": sum(one.regret for one in outcomes) / count,
        "stopped": sum(one.stopped for one in outcomes) / count,
    }


def _print(rows: Sequence[Row], known: int, options: argparse.Namespace) -> None:
    print(
        f"{known} trained blocks; {options.searches} searches of {rows[0]['trials']} of them each, "
        f"learned from {options.batch} at a time.\nWanted: {SAVED:.0%} of the epochs saved, the "
        f"same best block in {SAME:.0%} of the searches.\nRegret: how far what is found best is "
        "below the best, in percent of reward.\n"
    )
    print(f"{'reward':<10}{'order':<10}{'policy':<29}{'epochs saved':>13}{'same best':>11}"
          f"{'regret':>9}{'stopped':>9}")  # fmt: skip
    for row in rows:
        print(
            f"{row['reward']:<10}{row['order']:<10}{row['policy']:<29}{row['epochs saved']:>13.1%}"
            f"{row['same best']:>11.1%}{row['regret']:>9.3f}{row['stopped']:>9.1%}"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stopping", description=__doc__)
    parser.add_argument("--table", type=Path, default=DATA, help="the trained blocks, as CSV")
    parser.add_argument("--searches", type=int, default=20 if is_quick() else 200)
    parser.add_argument("--trials", type=int, default=512, help="at most; of the table 3 in 4")
    parser.add_argument("--batch", type=int, default=16, help="trials of an iteration")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
