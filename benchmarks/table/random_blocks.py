"""Random blocks, each network once, as a search with epsilon 1 draws them."""

from collections.abc import Iterator
from random import Random

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.space.block_space import Space
from blockqnn.space.protocol import RandomStep


def different_blocks(space: Space, step: RandomStep, seed: int) -> Iterator[Block]:
    """Draw blocks of a space without end; a block that means an earlier network is left out."""
    random = Random(seed)
    met: set[str] = set()
    while True:
        block = space.random_block(random, step)
        digest = canonical_hash(block)
        if digest not in met:
            met.add(digest)
            yield block
