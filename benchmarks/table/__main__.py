"""Train blocks, random ones and those of real searches, and add them to the table.

What the table has already is not trained again, so a run that was broken off goes on.
"""

import argparse
import sys
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import Random

from benchmarks.search.trained import make_space
from benchmarks.table import searches
from benchmarks.table.recipe import make_images
from benchmarks.table.rows import DATA, Row, append, read
from benchmarks.table.searches import Trial
from benchmarks.table.training import train, use_one_thread
from blockqnn.graph import canonical_hash
from blockqnn.nsc import Block
from blockqnn.search_space import RandomStep

RANDOM_BLOCKS = 1060
FLAT_BLOCKS = 300

ORIGINS: dict[RandomStep, str] = {"TypeFirst": "random", "Flat": "flat"}
SEEDS: dict[RandomStep, int] = {"TypeFirst": 20181121, "Flat": 20261130}
REPEATED: dict[RandomStep, int] = {"TypeFirst": 6, "Flat": 15}
"""Every so many of the random blocks one is trained with a second seed; Flat ones take longer."""

IMAGES = Path(__file__).resolve().parents[2] / "build" / "benchmarks" / "table" / "images.npz"


class Trainings:
    """Trains what the table lacks; threads may ask at the same time."""

    def __init__(self, pool: ProcessPoolExecutor, path: Path) -> None:
        self._pool = pool
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], Future[Row]] = {}
        for row in read(path):
            done: Future[Row] = Future()
            done.set_result(row)
            self._known[row.hash, row.seed] = done
        self._count = len(self._known)
        self._began = time.monotonic()

    def ask(self, block: Block, origin: str, seed: int = 0) -> Future[Row]:
        """Return the row of a block, when it is there."""
        key = canonical_hash(block), seed
        with self._lock:
            if key not in self._known:
                future = self._pool.submit(train, str(block), origin, seed, IMAGES)
                future.add_done_callback(self._store)
                self._known[key] = future
            return self._known[key]

    def _store(self, future: Future[Row]) -> None:
        if future.cancelled() or future.exception():
            return
        row = future.result()
        with self._lock:
            append(self._path, row)
            self._count += 1
            minutes = (time.monotonic() - self._began) / 60
        print(
            f"{self._count} trainings after {minutes:.1f} min: {row.origin}, "
            f"accuracy {row.accuracy:.3f}, {row.seconds:.1f} s",
            file=sys.stderr,
            flush=True,
        )


def main() -> None:
    """Fill the table."""
    options = _options()
    if not IMAGES.exists():
        make_images(options.data, IMAGES)
    context = get_context("spawn")
    with (
        ProcessPoolExecutor(options.processes, context, use_one_thread) as pool,
        ThreadPoolExecutor(len(searches.SEARCHES)) as threads,
    ):
        trainings = Trainings(pool, options.output)
        for future in [
            *_random_blocks(trainings, options.random, "TypeFirst"),
            *_random_blocks(trainings, options.flat, "Flat"),
        ]:
            future.result()
        running = [threads.submit(_search, trainings, *one) for one in searches.SEARCHES]
        tried = [trial for one in running for trial in one.result()]
    searches.write(options.output.with_name(searches.SEARCHED.name), tried)


def _random_blocks(trainings: Trainings, count: int, step: RandomStep) -> list[Future[Row]]:
    """Train blocks as a search with epsilon 1 draws them, each network once."""
    space, random = make_space(), Random(SEEDS[step])
    origin = ORIGINS[step]
    met: set[str] = set()
    futures = []
    while len(met) < count:
        block = space.random_block(random, step)
        digest = canonical_hash(block)
        if digest in met:
            continue
        met.add(digest)
        futures.append(trainings.ask(block, origin))
        if len(met) % REPEATED[step] == 0:
            futures.append(trainings.ask(block, origin, seed=1))
    return futures


def _search(trainings: Trainings, contestant: str, seed: int) -> list[Trial]:
    """Run a real search with a second seed now and then."""
    origin = f"{contestant} {seed}"

    def accuracy(block: Block, number: int) -> float:
        if number % searches.REPEATED == 0:
            trainings.ask(block, origin, seed=1)
        return trainings.ask(block, origin).result().accuracy

    return searches.run(contestant, seed, accuracy)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with CIFAR-100 as npz")
    parser.add_argument("--output", type=Path, default=DATA)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--random", type=int, default=RANDOM_BLOCKS, help="how many random blocks")
    parser.add_argument("--flat", type=int, default=FLAT_BLOCKS, help="how many drawn with Flat")
    return parser.parse_args()


if __name__ == "__main__":
    main()
