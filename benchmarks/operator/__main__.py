"""``python -m benchmarks.operator``: what a search reaches of what its control plane can do."""

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks.operator.report import table, write_csv
from benchmarks.operator.runs import Setting, measure_scale, measure_slots
from benchmarks.report import is_quick, write


def main() -> None:
    """Measure, print tables, and write build/benchmarks/operator.json and operator.csv."""
    options = _parser(is_quick() or "--quick" in sys.argv).parse_args()
    setting = Setting(
        options.parallelism, options.bare_trials, options.paced_trials, options.operator_log
    )
    scales = asyncio.run(measure_scale(options.sizes, setting)) if options.sizes else []
    slots = [] if options.no_slots else asyncio.run(measure_slots(options.iterations))
    print(table(scales, slots))
    figures = {
        "parallelism": options.parallelism,
        "sizes": [scale.as_json() for scale in scales],
        "slots": [slot.as_json() for slot in slots],
    }
    path = write(options.name, figures)
    if scales:
        write_csv(scales, path.with_suffix(".csv"))
    print(f"written to {path}" + (f" and {path.with_suffix('.csv')}" if scales else ""))


def _parser(quick: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operator", description=__doc__)

    def number(name: str, short: int, full: int, text: str) -> None:
        help_text = f"{text} (default: %(default)s)"
        parser.add_argument(name, type=int, default=short if quick else full, help=help_text)

    parser.add_argument(
        "--sizes",
        type=int,
        nargs="*",
        default=[300] if quick else [1000, 3000, 10_000],
        metavar="TRIALS",
        help="the budgets of the searches, the largest last (default: %(default)s)",
    )
    number("--parallelism", 100, 500, "trials at a time")
    number("--bare-trials", 300, 1000, "Jobs of each bare loop")
    number("--paced-trials", 150, 600, "trials that show how soon a slot is filled again")
    parser.add_argument("--quick", action="store_true", help="the short form, as QUICK=1")
    number("--iterations", 4, 12, "iterations of the searches that show the use of slots")
    parser.add_argument("--no-slots", action="store_true", help="leave the use of slots out")
    parser.add_argument("--operator-log", type=Path, help="keep the operator's log there")
    parser.add_argument("--name", default="operator", help="of the file (default: %(default)s)")
    return parser


if __name__ == "__main__":
    main()
