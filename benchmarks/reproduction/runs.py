"""Runs many searches at once, each in a process of its own, and says how far they are."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from benchmarks.reproduction.course import Course, Setup, run
from benchmarks.table.rows import read
from benchmarks.table.trained_blocks import TrainedBlocks


@cache
def landscape_of(table: Path) -> TrainedBlocks:
    """Return the landscape of a table; a process makes it once."""
    return TrainedBlocks(read(table))


def _run(setup: Setup, table: Path, seed: int) -> Course:
    return run(setup, landscape_of(table), seed)


def run_all(
    setups: Mapping[str, Setup], table: Path, seeds: Sequence[int], processes: int
) -> dict[str, list[Course]]:
    """Run each search once with each seed.

    Args:
        setups: the searches by name.
        table: the trained blocks.
        seeds: of the searches, and of the trainings that they measure.
        processes: how many run side by side.

    Returns:
        For each name the searches, in the order of the seeds.
    """
    began = time.monotonic()
    # A thread for each processor in each process would only wait for the others.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        futures: dict[str, list[Future[Course]]] = {
            name: [pool.submit(_run, setup, table, seed) for seed in seeds]
            for name, setup in setups.items()
        }
        running = [future for each in futures.values() for future in each]
        try:
            for done, future in enumerate(as_completed(running), start=1):
                future.result()
                _tell(done, len(running), time.monotonic() - began)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return {name: [future.result() for future in each] for name, each in futures.items()}


def _tell(done: int, count: int, seconds: float) -> None:
    remaining_minutes = seconds / done * (count - done) / 60
    text = f"searches: {done} of {count}, about {remaining_minutes:.0f} min left"
    end = "\n" if done == count or not sys.stderr.isatty() else "\r"
    if sys.stderr.isatty() or done == count or done % 10 == 0:
        print(f"{text:<60}", end=end, file=sys.stderr, flush=True)
