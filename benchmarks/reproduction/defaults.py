"""Results of short specs: as the operator resolves them, on the trained blocks.

``python -m benchmarks.reproduction.defaults`` prints, for each spec and budget, what the block with
the best reward is worth, and writes ``build/benchmarks/reproduction-defaults.json``. Nothing is
changed about the resolved settings: batches, schedule and reward are those of production. Trainings
that stop themselves are not simulated.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import is_quick, mean_and_error, write
from benchmarks.reproduction.course import Course, Setup
from benchmarks.reproduction.runs import run_all
from benchmarks.table.rows import DATA
from blockqnn_api.resolve import resolve

_ACCURACY_ALONE = {"macsWeight": 0.0, "densityWeight": 0.0}

SPECS: Mapping[str, Mapping[str, Any]] = {
    "dataset alone": {},
    "OneGPU, reward weights 0": {"preset": "OneGPU", "reward": _ACCURACY_ALONE},
    "CVPR2018 (the default before)": {"preset": "CVPR2018"},
    "CVPR2018, reward weights 0": {"preset": "CVPR2018", "reward": _ACCURACY_ALONE},
    "random search": {"agent": {"algorithm": "RandomSearch"}},
    "evolution": {"agent": {"algorithm": "Evolution"}},
}
"""Fields of the spec besides the dataset and the budget."""


def setup_of(spec: Mapping[str, Any], trials: int) -> Setup:
    """Return a spec with a budget as the operator resolves it."""
    whole = {"dataset": {"name": "cifar100"}, "budget": {"trials": trials}, **spec}
    resolved = resolve(whole)
    return Setup(resolved.space, resolved.agent, resolved.reward)


def worth_of_best(course: Course, trials: int) -> float:
    """Return the worth of the block with the best reward within the budget, of equals the first."""
    return max(course.trials[:trials], key=lambda trial: trial.reward).worth


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all specs and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reproduction.defaults")
    parser.add_argument("--table", type=Path, default=DATA, help="the trained blocks, as CSV")
    parser.add_argument("--seeds", type=int, default=2 if is_quick() else 20)
    parser.add_argument("--budgets", type=int, nargs="+", default=[64, 256, 1000])
    parser.add_argument("--specs", nargs="+", default=list(SPECS))
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for trials in options.budgets:
        setups = {name: setup_of(SPECS[name], trials) for name in options.specs}
        searches = run_all(setups, options.table, range(options.seeds), options.processes)
        for name, courses in searches.items():
            mean, error = mean_and_error([worth_of_best(course, trials) for course in courses])
            distinct = [len({trial.hash for trial in c.trials[:trials]}) for c in courses]
            blocks, _ = mean_and_error(distinct)
            rows.append(
                {"spec": name, "trials": trials, "worth": mean, "error": error, "blocks": blocks}
            )
            print(f"{trials:>5}  {name:<32}{mean:7.2f} ± {error:.2f}  {blocks:6.0f} blocks")
    print(f"Written: {write('reproduction-defaults', {'seeds': options.seeds, 'rows': rows})}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
