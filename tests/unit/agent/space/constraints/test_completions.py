"""Completions of a block within limits: the search for them against one that tries everything."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from random import Random
from typing import Any

import pytest
from agent_spaces import COLOUR, EVERY_LAYER, make_space, space_settings
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from blockqnn.block.nsc import Block, Layer, LayerType, loose_ends
from blockqnn.errors import UnsatisfiableConstraints
from blockqnn.network.cost import NetworkCost, body_cost
from blockqnn.network.spec import Constraints, NetworkSpec
from blockqnn.space.block_space import Space
from blockqnn.space.constraints.limits import Body, Limits

LONGEST = 9
SPACES: dict[str, dict[str, Any]] = {
    "PCC": {},
    "Separate": {"convolution": "Separate"},
    "every layer": {"layers": EVERY_LAYER},
    "separable": {"layers": ("SeparableConvolution", "Identity", "Add", "Concat", "PreviousInput")},
}
CHEAPEST = {"Separate": (LayerType.BARE_CONVOLUTION, 1), "separable": (LayerType(11), 3)}

networks = st.fixed_dictionaries(
    {
        "filters": st.lists(st.integers(1, 9), min_size=1, max_size=3),
        "repeats": st.integers(1, 3),
        "outputProjection": st.booleans(),
    }
).map(NetworkSpec.model_validate)


def cost_of(body: Body, network: NetworkSpec) -> NetworkCost:
    return body_cost(body, network, COLOUR.size, COLOUR.classes)


def completions(body: Body, more: int, kind: str) -> Iterator[Body]:
    """The specification: every completion by joins and 1x1 convolutions of loose ends."""
    yield body
    if not more:
        return
    index, ends = len(body) + 1, loose_ends(body)
    for pair in combinations(ends, 2):
        for joining in (LayerType.ADD, LayerType.CONCAT):
            yield from completions((*body, Layer(index, joining, 0, *pair)), more - 1, kind)
    convolving, kernel = CHEAPEST.get(kind, (LayerType.CONVOLUTION, 1))
    for end in ends:
        convolution = Layer(index, convolving, kernel, end, 0)
        yield from completions((*body, convolution), more - 1, kind)


@cache
def free(kind: str) -> Space:
    return make_space(LONGEST, **SPACES[kind])


def begun(kind: str, random: Random, length: int) -> Body:
    """The first layers of a random block."""
    while len(body := free(kind).random_block(random, "Flat").body) < length:
        pass
    return body[:length]


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(SPACES)),
    st.randoms(use_true_random=False),
    st.integers(1, 5),
    st.integers(0, 3),
    networks,
    st.data(),
)
def test_a_completion_is_found_exactly_where_there_is_one(
    kind: str,
    random: Random,
    length: int,
    more: int,
    network: NetworkSpec,
    data: st.DataObject,
) -> None:
    body = begun(kind, random, length)
    if len(loose_ends(body)) > 4:
        more = min(more, 2)
    costs = sorted({cost_of(completion, network) for completion in completions(body, more, kind)})
    first, other = data.draw(st.sampled_from(costs)), data.draw(st.sampled_from(costs))
    less = data.draw(st.integers(0, 1))
    for constraints in (
        Constraints(max_parameters=first.parameters - less),
        Constraints(max_macs=first.macs - less),
        Constraints(max_parameters=first.parameters, max_macs=other.macs - less),
    ):
        chosen = space_settings(LONGEST, **SPACES[kind], constraints=constraints)
        try:
            limits = Limits(chosen, network, COLOUR)
        except UnsatisfiableConstraints:
            assume(False)
        allowed = any(constraints.allow(*cost) for cost in costs)
        # Asked for fewer first, so that what was learned of these must not mislead.
        for fewer in range(more):
            limits.completable(body, fewer)
        assert limits.completable(body, more) == allowed
        last = body[-1]
        assert limits.continuable(body[:-1], more)(last) == allowed


@pytest.mark.parametrize(
    "constrain",
    [
        lambda cost: Constraints(max_parameters=cost.parameters),
        lambda cost: Constraints(max_macs=cost.macs),
    ],
)
@settings(max_examples=40)
@given(
    st.sampled_from(sorted(SPACES)),
    st.randoms(use_true_random=False),
    st.integers(1, 8),
    networks,
)
def test_an_unfinished_block_costs_what_its_network_does(
    constrain: Callable[[NetworkCost], Constraints],
    kind: str,
    random: Random,
    length: int,
    network: NetworkSpec,
) -> None:
    body = begun(kind, random, length)
    constraints = constrain(cost_of(body, network))
    chosen = space_settings(LONGEST, **SPACES[kind], constraints=constraints)
    try:
        limits = Limits(chosen, network, COLOUR)
    except UnsatisfiableConstraints:
        assume(False)
    assert limits.completable(body, 0)
    assert limits.admit(body)


def test_ends_that_add_up_to_another_are_joined_before_they_are_added() -> None:
    """Adding the two equal ends first, which is free too, would leave two of unequal widths."""
    network = NetworkSpec(filters=(8,), repeats=1, output_projection=True)
    body = Block.parse(
        "(1,4,0,0,0)(2,4,0,1,0)(3,4,0,1,0)(4,6,0,2,3)(5,4,0,1,0)(6,4,0,1,0)(7,7,0,0,0)"
    ).body
    concat, add = Layer(7, LayerType.CONCAT, 0, 5, 6), Layer(8, LayerType.ADD, 0, 4, 7)
    most = cost_of((*body, concat, add), network).parameters
    chosen = space_settings(LONGEST + 3, constraints={"maxParameters": most})
    limits = Limits(chosen, network, COLOUR)
    assert limits.completable(body, 2)
    assert not limits.completable(body, 1)
