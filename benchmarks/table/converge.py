"""Train blocks of the table to convergence, by the recipe of finalists, shortened.

CVPR 2018, Fig. 6 (AAAI 2017, Fig. 4): does the redefined reward follow the final accuracy better
than the accuracy after few epochs does? What the file has already is not trained again.
"""

import argparse
from functools import partial
from pathlib import Path

from benchmarks.table import rows
from benchmarks.table.converged import CONVERGED, append, choose, read
from benchmarks.table.convergence import converge
from benchmarks.table.program import Request, prepare_images, train_all, training_parser
from benchmarks.table.recipe import IMAGES, TEST_IMAGES, make_test_images
from blockqnn.block.nsc import Block

SEED = 2
"""None of the table's: with the same, a block would begin with the same weights both times."""


def main() -> None:
    """Train the blocks that the file lacks."""
    options = _options()
    prepare_images(options.data)
    if not TEST_IMAGES.exists():
        make_test_images(options.data, TEST_IMAGES)
    train_all(
        options.processes,
        read(options.output),
        partial(append, options.output),
        [
            Request(
                Block.parse(row.block),
                SEED,
                partial(converge, row.block, SEED, row.accuracy, IMAGES, TEST_IMAGES),
            )
            for row in choose(rows.read(options.table)).mixed
        ],
    )


def _options() -> argparse.Namespace:
    parser = training_parser("benchmarks.table.converge", __doc__, CONVERGED)
    parser.add_argument("--table", type=Path, default=rows.DATA, help="what is chosen from")
    return parser.parse_args()


if __name__ == "__main__":
    main()
