"""Constraints: the masks against brute force, and what every strategy proposes under them."""

from functools import cache
from random import Random
from typing import Any

import pytest
from agent_spaces import COLOUR, limited, space_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.contract import Constraints, NetworkSpec
from blockqnn.errors import ForeignHistory, InvalidSettings, UnsatisfiableConstraints
from blockqnn.graph import body_cost, network_macs, network_parameters
from blockqnn.limits import Limits
from blockqnn.nsc import TYPES, Convolution, LayerType
from blockqnn.presets import PRESETS
from blockqnn.search import Experience, Search, SearchSettings
from blockqnn.search_space import Candidate, RandomStep, draw_candidate
from blockqnn.settings import SpaceSettings
from blockqnn.space import Space
from blockqnn.strategies import STRATEGIES

LONGEST = 5
networks = st.fixed_dictionaries(
    {
        "filters": st.lists(st.integers(1, 9), min_size=1, max_size=3),
        "repeats": st.integers(1, 3),
        "outputProjection": st.booleans(),
    }
).map(NetworkSpec.model_validate)


@cache
def all_candidates(convolution: Convolution, identity: bool) -> tuple[Candidate, ...]:
    """Every block of a small space, in which poolings and large kernels are left out."""
    space = Space(space_settings(LONGEST, convolution=convolution, startWithIdentity=identity))
    found: list[Candidate] = []

    def extend(prefix: Candidate) -> None:
        for number in space.choices(prefix).numbers:
            layer = space.layer(number)
            if layer.type is LayerType.TERMINAL:
                found.append((*prefix, number))
            elif matters(layer.type, layer.kernel):
                extend((*prefix, number))

    extend(())
    return tuple(found)


def matters(layer_type: LayerType, kernel: int) -> bool:
    """Poolings cost what identities do, ReLUs too, and larger kernels only cost more."""
    if layer_type in (LayerType.MAX_POOLING, LayerType.AVERAGE_POOLING, LayerType.RELU):
        return False
    return kernel < 3


def cost(space: Space, candidate: Candidate, network: NetworkSpec) -> tuple[int, int]:
    body = space.decode(candidate).body
    return body_cost(body, network, COLOUR.size, COLOUR.classes)


@settings(max_examples=12)
@given(st.sampled_from(sorted(TYPES)), networks, st.booleans(), st.booleans(), st.data())
def test_the_masks_leave_exactly_what_can_be_completed(
    convolution: Convolution,
    network: NetworkSpec,
    adaptive: bool,
    identity: bool,
    data: st.DataObject,
) -> None:
    """Against all blocks of a small space, with limits at the cost of some block."""
    candidates = all_candidates(convolution, identity)
    free = Space(space_settings(LONGEST, convolution=convolution, startWithIdentity=identity))
    once = network.model_copy(update={"repeats": 1}) if adaptive else network
    costs = {one: cost(free, one, once) for one in candidates}
    limit = data.draw(st.sampled_from(sorted(set(costs.values()))))
    other = data.draw(st.sampled_from(sorted({macs for _, macs in costs.values()})))
    constraints = {"maxParameters": limit[0]} | data.draw(
        st.sampled_from([{}, {"maxMacs": max(other, limit[1])}])
    )
    chosen = space_settings(
        LONGEST,
        convolution=convolution,
        startWithIdentity=identity,
        constraints=constraints,
        adaptiveRepeats=adaptive,
    )
    space = limited(chosen, network)
    legal = {one for one, (p, m) in costs.items() if chosen.constraints.allow(p, m)}
    completable = {one[:end] for one in legal for end in range(1, len(one) + 1)}
    for prefix in {one[:-1] for one in completable}:
        offered = {
            number
            for number in space.choices(prefix).numbers
            if matters(space.layer(number).type, space.layer(number).kernel)
        }
        assert offered == {
            number for number in free.choices(prefix).numbers if (*prefix, number) in completable
        }


NETWORK = NetworkSpec(filters=(8, 16), repeats=3, output_projection=True)
FEW: dict[str, Any] = {
    "duplicates": "Redraw",
    "state": "BackOff",
    "shaping": "Learned",
    "rewardScale": "Rank",
    "initialValue": 1.0,
}
KINDS = [(name, agent) for name in sorted(STRATEGIES) for agent in ({}, FEW)]


def settings_for(space: SpaceSettings, network: NetworkSpec, **agent: Any) -> SearchSettings:
    preset = PRESETS["CVPR2018"]
    changes = {
        "batchSize": 8,
        "learningRate": 0.3,
        "evolution": {"populationSize": 10, "sampleSize": 3},
        "epsilonSchedule": [{"epsilon": 1, "iterations": 2}, {"epsilon": 0.1, "iterations": 4}],
        **agent,
    }
    return SearchSettings.model_validate(
        {
            "space": space,
            "agent": {**preset["agent"], **changes},
            "reward": preset["reward"],
            "network": network,
        }
    )


def run(search: Search, iterations: int) -> list[Experience]:
    """Search with rewards that favour costly blocks, so that the limits are met."""
    history: list[Experience] = []
    for iteration in range(iterations):
        batch = [
            Experience(one.trial, one.block, float(sum(layer.kernel for layer in one.block)))
            for one in search.proposals(iteration)
        ]
        search.learn(batch)
        history += batch
    return history


@pytest.mark.parametrize(("algorithm", "agent"), KINDS)
@settings(max_examples=3)
@given(
    seed=st.integers(0, 2**53),
    adaptive=st.booleans(),
    convolution=st.sampled_from(sorted(TYPES)),
    projection=st.booleans(),
    limit=st.sampled_from(["maxParameters", "maxMacs"]),
    share=st.floats(1.02, 6),
)
def test_every_proposed_block_is_within_the_limits(
    algorithm: str,
    agent: dict[str, Any],
    seed: int,
    adaptive: bool,
    convolution: str,
    projection: bool,
    limit: str,
    share: float,
) -> None:
    network = NETWORK.model_copy(update={"output_projection": projection})
    once = network.model_copy(update={"repeats": 1}) if adaptive else network
    least = body_cost((), once, COLOUR.size, COLOUR.classes)
    most = int(share * (least.parameters if limit == "maxParameters" else least.macs))
    space = space_settings(
        9, convolution=convolution, constraints={limit: most}, adaptiveRepeats=adaptive
    )
    chosen = settings_for(space, network, algorithm=algorithm, **agent)
    search = Search(chosen, seed, images=COLOUR)
    history = run(search, 6)
    for one in history:
        stacked = search.network_for(one.block)
        assert space.constraints.allow(
            network_parameters(one.block, stacked, COLOUR.size, COLOUR.classes),
            network_macs(one.block, stacked, COLOUR.size, COLOUR.classes),
        )
        assert adaptive or stacked == network
    recovered = Search.recover(chosen, seed, history, images=COLOUR)
    assert recovered.proposals(6) == search.proposals(6)


@settings(max_examples=30)
@given(st.randoms(use_true_random=False), st.integers(5_000, 60_000), st.integers(2, 8))
def test_adaptive_repeats_are_the_most_within_the_limits(
    random: Random, most: int, repeats: int
) -> None:
    network = NETWORK.model_copy(update={"repeats": repeats})
    chosen = space_settings(8, constraints={"maxParameters": most}, adaptiveRepeats=True)
    limits = Limits(chosen, network, COLOUR)
    block = (space := Space(chosen, limits)).decode(draw_candidate(space, random, "TypeFirst"))
    stacked = limits.network_for(block.body)
    counts = {
        times: network_parameters(
            block, network.model_copy(update={"repeats": times}), COLOUR.size, COLOUR.classes
        )
        for times in range(1, repeats + 1)
    }
    assert counts[stacked.repeats] <= most
    assert all(counts[times] > most for times in range(stacked.repeats + 1, repeats + 1))


@settings(max_examples=30)
@given(
    st.randoms(use_true_random=False),
    st.sampled_from(["TypeFirst", "Flat"]),
    st.integers(6_000, 30_000),
)
def test_under_limits_the_options_are_the_groups_of_what_is_left(
    random: Random, step: RandomStep, most: int
) -> None:
    space = limited(space_settings(8, constraints={"maxParameters": most}), NETWORK)
    candidate = draw_candidate(space, random, step)
    for place, number in enumerate(candidate):
        prefix = candidate[:place]
        choices = space.choices(prefix)
        assert number in choices.numbers
        options = space.options(space.situation(prefix))
        assert set(options) == {space.option(prefix, one) for one in choices.numbers}
        assert len(set(options)) == len(options)
        for option in options:
            drawn = space.draw(prefix, option, random)
            assert drawn in choices.numbers
            assert space.option(prefix, drawn) == option


def test_limits_that_nothing_comes_near_change_no_proposal() -> None:
    free = Search(settings_for(space_settings(8), NETWORK, **FEW), 3)
    space = space_settings(8, constraints={"maxParameters": 10**9})
    far = Search(settings_for(space, NETWORK, **FEW), 3, images=COLOUR)
    assert run(free, 5) == run(far, 5)


def test_limits_that_no_block_keeps_are_refused_with_what_to_change() -> None:
    stem, head, norms = 9 * 3 * 8, 17 * 10, 2 * (8 + 16)
    least = stem + 8 * 16 + head + norms  # the projection from 8 to 16 channels
    settings = space_settings(constraints={"maxParameters": least - 1})
    with pytest.raises(UnsatisfiableConstraints, match=rf"leaves no block.* {least} parameters"):
        Limits(settings, NETWORK, COLOUR)
    kept = limited(space_settings(constraints={"maxParameters": least}), NETWORK)
    blocks = {kept.random_block(Random(seed), "TypeFirst") for seed in range(50)}
    assert len(blocks) > 5
    assert all(
        layer.type in (LayerType.TERMINAL, LayerType.IDENTITY, LayerType.ADD)
        or layer.type in (LayerType.MAX_POOLING, LayerType.AVERAGE_POOLING)
        or layer.type is LayerType.CONCAT
        for block in blocks
        for layer in block
    )


def test_limits_without_known_images_are_refused() -> None:
    settings = space_settings(constraints={"maxMacs": 10**6})
    with pytest.raises(InvalidSettings, match=r"dataset\.shape"):
        Limits(settings, NETWORK, None)


def test_repeats_that_have_nothing_to_adapt_to_are_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"adaptiveRepeats.*maxParameters or maxMacs"):
        Limits(space_settings(adaptiveRepeats=True), NETWORK, COLOUR)


def test_a_history_of_blocks_over_the_limits_is_refused() -> None:
    free = settings_for(space_settings(8), NETWORK)
    history = run(Search(free, 0), 2)
    space = space_settings(8, constraints={"maxParameters": 6_000})
    tight = settings_for(space, NETWORK)
    with pytest.raises(ForeignHistory, match=r"costs more than space\.constraints allow"):
        Search.recover(tight, 0, history, images=COLOUR)
    search = Search(tight, 0, images=COLOUR)
    assert [search.admits(one.block) for one in history].count(False)
    assert Constraints(max_parameters=6_000).allow(6_000, 10**12)
