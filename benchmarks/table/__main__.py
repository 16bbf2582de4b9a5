"""Train blocks, random ones and those of real searches, and add them to the table.

What the table has already is not trained again, so a run that was broken off goes on.
"""

import argparse
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice

from benchmarks.table import searches
from benchmarks.table.pool import Trainings, open_pool
from benchmarks.table.program import prepare_images, table_training, training_parser
from benchmarks.table.random_blocks import different_blocks
from benchmarks.table.rows import DATA, Row, append, read
from benchmarks.table.searches import Trial
from benchmarks.table.space import make_space
from blockqnn.block.nsc import Block
from blockqnn.space.protocol import RandomStep

RANDOM_BLOCKS = 1060
FLAT_BLOCKS = 320
"""Some of them mean the same as one of the random blocks; 300 are new."""

ORIGINS: dict[RandomStep, str] = {"TypeFirst": "random", "Flat": "flat"}
SEEDS: dict[RandomStep, int] = {"TypeFirst": 20181121, "Flat": 20261130}
REPEATED: dict[RandomStep, int] = {"TypeFirst": 6, "Flat": 15}
"""Every so many of the random blocks one is trained with a second seed; Flat ones take longer."""


def main() -> None:
    """Fill the table."""
    options = _options()
    prepare_images(options.data)
    with (
        open_pool(options.processes) as pool,
        ThreadPoolExecutor(len(searches.SEARCHES)) as threads,
    ):
        trainings = Trainings(pool, read(options.output), partial(append, options.output))
        for future in [
            *_random_blocks(trainings, options.random, "TypeFirst"),
            *_random_blocks(trainings, options.flat, "Flat"),
        ]:
            future.result()
        running = [threads.submit(_search, trainings, *search) for search in searches.SEARCHES]
        tried = [trial for future in running for trial in future.result()]
    searches.write(options.output.with_name(searches.SEARCHED.name), tried)


def _random_blocks(trainings: Trainings[Row], count: int, step: RandomStep) -> list[Future[Row]]:
    """Train blocks as a search with epsilon 1 draws them, each network once."""
    origin = ORIGINS[step]
    futures = []
    blocks = islice(different_blocks(make_space(), step, SEEDS[step]), count)
    for number, block in enumerate(blocks, start=1):
        futures.append(_ask(trainings, block, origin))
        if number % REPEATED[step] == 0:
            futures.append(_ask(trainings, block, origin, seed=1))
    return futures


def _search(trainings: Trainings[Row], contestant: str, seed: int) -> list[Trial]:
    """Run a real search with a second seed now and then."""
    origin = f"{contestant} {seed}"

    def accuracy(block: Block, number: int) -> float:
        if number % searches.REPEATED == 0:
            _ask(trainings, block, origin, seed=1)
        return _ask(trainings, block, origin).result().accuracy

    return searches.run(contestant, seed, accuracy)


def _ask(trainings: Trainings[Row], block: Block, origin: str, seed: int = 0) -> Future[Row]:
    return trainings.ask(*table_training(block, origin, seed))


def _options() -> argparse.Namespace:
    parser = training_parser("benchmarks.table", __doc__, DATA)
    parser.add_argument("--random", type=int, default=RANDOM_BLOCKS, help="how many random blocks")
    parser.add_argument("--flat", type=int, default=FLAT_BLOCKS, help="how many drawn with Flat")
    return parser.parse_args()


if __name__ == "__main__":
    main()
