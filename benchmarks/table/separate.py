"""Train random blocks of a space where ReLU, batch norm and convolution are layers of their own.

CVPR 2018, Fig. 9 (AAAI 2017, Fig. 3): such blocks are worse than those of pre-activation cells from
the random phase on. The random blocks of the table are of cells, and the recipe is the table's, so
the two can be compared. What the file has already is not trained again.
"""

import argparse
from functools import partial
from itertools import islice

from benchmarks.table.program import prepare_images, table_training, train_all, training_parser
from benchmarks.table.random_blocks import different_blocks
from benchmarks.table.rows import SEPARATE, append, read
from benchmarks.table.space import make_space, space_settings
from blockqnn.space.protocol import RandomStep

BLOCKS = 110
SEED = 20180623

ORIGINS: dict[RandomStep, str] = {"TypeFirst": "separate", "Flat": "separate flat"}


def main() -> None:
    """Train the blocks that the file lacks."""
    options = _options()
    prepare_images(options.data)
    origin = ORIGINS[options.step]
    blocks = islice(
        different_blocks(make_space(space_settings(convolution="Separate")), options.step, SEED),
        options.count,
    )
    train_all(
        options.processes,
        read(options.output),
        partial(append, options.output),
        [table_training(block, origin) for block in blocks],
    )


def _options() -> argparse.Namespace:
    parser = training_parser("benchmarks.table.separate", __doc__, SEPARATE)
    parser.add_argument("--count", type=int, default=BLOCKS, help="how many blocks")
    parser.add_argument("--step", choices=ORIGINS, default="TypeFirst", help="how layers are drawn")
    return parser.parse_args()


if __name__ == "__main__":
    main()
