"""Rows of the table of trained blocks, on made-up accuracies."""

from random import Random

from benchmarks.search.synthetic_rewards import additive
from benchmarks.table.rows import Row
from benchmarks.table.space import make_space

from blockqnn.block.graph import canonical_hash
from blockqnn.space.protocol import Candidate, draw_candidate

SPACE = make_space()
LANDSCAPE = additive(10_000)
NOISE = 0.02


def draw(seed: int) -> Candidate:
    return draw_candidate(SPACE, Random(seed), "TypeFirst")


def make_rows(count: int, repeated: int) -> list[Row]:
    """A table of random blocks with made-up accuracies, the first of them with a second seed."""
    rows: dict[tuple[str, int], Row] = {}
    for number in range(count):
        candidate = draw(number)
        block, random = SPACE.decode(candidate), Random(f"noise {number}")
        for seed in range(2 if number < repeated else 1):
            accuracy = 0.2 + 0.6 * LANDSCAPE.value(candidate) + random.gauss(0, NOISE)
            curve = tuple(accuracy * epoch / 12 for epoch in range(1, 13))
            digest = canonical_hash(block)
            row = Row(digest, str(block), "random", seed, "Succeeded", 1, 1, 1.0, curve)
            rows.setdefault((digest, seed), row)
    return list(rows.values())
