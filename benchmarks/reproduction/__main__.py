"""Repeat the papers' figures on stored trainings, and write docs/reproduction.md.

``make reproduce`` runs it. With ``--train FOLDER`` everything is trained anew first, from a folder
with CIFAR-100, which takes days of a processor.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import OUTPUT, is_quick, write
from benchmarks.reproduction import liked, search_sections, training_sections
from benchmarks.reproduction.figures import Figure
from benchmarks.reproduction.page import write_page
from benchmarks.reproduction.runs import landscape_of, run_all
from benchmarks.reproduction.searches import PRESETS, papers_searches
from benchmarks.table import converged
from benchmarks.table.converged import CONVERGED
from benchmarks.table.errors import as_table, judge
from benchmarks.table.rows import DATA, SEPARATE, read

DOCS = Path(__file__).resolve().parents[2] / "docs"
PICTURES = Path("pictures") / "reproduction"
SEEDS = 5
FIRST_SEED = 100
"""The presets' settings were chosen with the seeds from 0 on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything and write the page."""
    options = _parse(arguments)
    table = options.table
    if options.train is not None:
        table = _train_anew(options.train, options.processes)
    pictures = options.output / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    print("judging the model of untrained blocks", file=sys.stderr)
    rows = read(table)
    final = converged.read(table.with_name(CONVERGED.name))
    best = landscape_of(table).best_worth
    model = as_table(judge(rows))
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    searches = run_all(papers_searches(), table, seeds, options.processes)
    page_sections = [
        search_sections.learning_curve(searches, best, pictures),
        search_sections.shaping(searches, best, pictures),
        training_sections.redefined(rows, final, pictures),
        training_sections.layers_apart(rows, read(table.with_name(SEPARATE.name)), pictures),
        search_sections.against_random(
            searches, PRESETS, best, pictures, "Fig. 10: top 1 and top 5 against random search"
        ),
        search_sections.against_random(
            searches,
            ["CVPR2018-L"],
            best,
            pictures,
            "Fig. 11: the same with limited parameters",
        ),
        search_sections.shorter(searches, best),
        search_sections.medians(searches, pictures),
        training_sections.liked_blocks(rows, liked.read(table.with_name(liked.LIKED.name))),
    ]
    page = options.output / "reproduction.md"
    write_page(page, page_sections, model, best, options.seeds)
    figures = {section.title: _plain(section.figures) for section in page_sections}
    print(f"Written: {page} and {write('reproduction', {'best worth': best, **figures})}")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reproduction", description=__doc__)
    parser.add_argument("--table", type=Path, default=DATA, help="the trained blocks, as CSV")
    parser.add_argument("--seeds", type=int, default=1 if is_quick() else SEEDS)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=DOCS, help="the folder of the page")
    parser.add_argument("--train", type=Path, metavar="FOLDER", help="train everything anew")
    return parser.parse_args(arguments)


def _train_anew(data: Path, processes: int) -> Path:
    """Train all that the figures need, and return the new table."""
    folder = OUTPUT / "trained-anew"
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / DATA.name
    programs: dict[str, list[str | Path]] = {
        "benchmarks.table": ["--output", table],
        "benchmarks.table.separate": ["--output", folder / SEPARATE.name],
        "benchmarks.table.converge": ["--table", table, "--output", folder / CONVERGED.name],
        "benchmarks.reproduction.choose": ["--output", table],
    }
    for module, files in programs.items():
        command = [sys.executable, "-m", module, "--data", data, *files]
        subprocess.run([*command, "--processes", str(processes)], check=True)
    return table


def _plain(value: Any) -> Any:
    """Return figures as what JSON knows."""
    if isinstance(value, Figure):
        return value._asdict()
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


if __name__ == "__main__":
    sys.exit(main())
