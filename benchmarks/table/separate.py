"""Train random blocks of a space where ReLU, batch norm and convolution are layers of their own.

CVPR 2018, Fig. 9 (AAAI 2017, Fig. 3): such blocks are worse than those of pre-activation cells from
the random phase on. The random blocks of the table are of cells, and the recipe is the table's, so
the two can be compared. What the file has already is not trained again.
"""

import argparse
from functools import partial
from itertools import islice
from pathlib import Path

from benchmarks.table.pool import Trainings, open_pool
from benchmarks.table.random_blocks import different_blocks
from benchmarks.table.recipe import IMAGES, make_images
from benchmarks.table.rows import SEPARATE, append, read
from benchmarks.table.space import make_space, space_settings
from benchmarks.table.training import train
from blockqnn.space.protocol import RandomStep

BLOCKS = 110
SEED = 20180623

ORIGINS: dict[RandomStep, str] = {"TypeFirst": "separate", "Flat": "separate flat"}


def main() -> None:
    """Train the blocks that the file lacks."""
    options = _options()
    if not IMAGES.exists():
        make_images(options.data, IMAGES)
    origin = ORIGINS[options.step]
    blocks = islice(
        different_blocks(make_space(space_settings(convolution="Separate")), options.step, SEED),
        options.count,
    )
    with open_pool(options.processes) as pool:
        trainings = Trainings(pool, read(options.output), partial(append, options.output))
        futures = [
            trainings.ask(block, 0, partial(train, str(block), origin, 0, IMAGES))
            for block in blocks
        ]
        for future in futures:
            future.result()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table.separate", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with CIFAR-100 as npz")
    parser.add_argument("--output", type=Path, default=SEPARATE)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--count", type=int, default=BLOCKS, help="how many blocks")
    parser.add_argument("--step", choices=ORIGINS, default="TypeFirst", help="how layers are drawn")
    return parser.parse_args()


if __name__ == "__main__":
    main()
