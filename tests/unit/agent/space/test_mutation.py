"""Small changes to a block stay legal and reach far."""

from random import Random

from agent_spaces import make_space
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.nsc import Block
from blockqnn.space.protocol import RandomStep, draw_candidate

steps = st.sampled_from(["TypeFirst", "Flat"])


@settings(deadline=None)
@given(st.integers(0, 2**32).map(Random), steps, st.integers(2, 23))
def test_every_mutant_is_legal_and_differs(random: Random, step: RandomStep, limit: int) -> None:
    space = make_space(limit)
    candidate = draw_candidate(space, random, step)
    for _ in range(10):
        mutant = space.mutate(candidate, random)
        block = space.decode(mutant)  # Block checks every rule of the code
        assert mutant != candidate
        assert len(block) <= limit
        assert abs(len(mutant) - len(candidate)) <= 1
        candidate = mutant


def test_mutation_reaches_every_small_block() -> None:
    space = make_space(4)
    random = Random(0)
    candidate = space.encode(Block.parse("(1,7,0,0,0)"))
    reached = {candidate}
    for _ in range(20_000):
        candidate = space.mutate(candidate, random)
        reached.add(candidate)
    shorter = [candidate for candidate in reached if len(candidate) < 4]
    assert len(shorter) == 1 + 8 + 8 * 8
    assert len(reached) > 0.95 * (1 + 8 + 8 * 8 + 8 * 8 * (8 * 2 + 2))
