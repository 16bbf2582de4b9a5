"""Constraints: the masks against brute force, and what every strategy proposes under them."""

from functools import cache
from random import Random
from typing import Any

import pytest
from agent_spaces import COLOUR, EVERY_LAYER, limited, space_settings
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from blockqnn.block.nsc import Block, LayerType
from blockqnn.errors import ForeignHistory, InvalidSettings, UnsatisfiableConstraints
from blockqnn.network.cost import body_cost, network_macs, network_parameters
from blockqnn.network.spec import Constraints, NetworkSpec
from blockqnn.search import Experience, Search, SearchSettings
from blockqnn.settings.presets import PRESETS
from blockqnn.settings.search import SpaceSettings
from blockqnn.space.block_space import Space
from blockqnn.space.constraints.limits import Limits
from blockqnn.space.protocol import Candidate, RandomStep, draw_candidate
from blockqnn.strategies.registry import BUILT_IN

LONGEST = 5
networks = st.fixed_dictionaries(
    {
        "filters": st.lists(st.integers(1, 9), min_size=1, max_size=3),
        "repeats": st.integers(1, 3),
        "outputProjection": st.booleans(),
    }
).map(NetworkSpec.model_validate)


PAPERS_SPACES: dict[str, dict[str, Any]] = {"PCC": {}, "Separate": {"convolution": "Separate"}}
OTHER_SPACES: dict[str, dict[str, Any]] = {
    "every layer": {"layers": EVERY_LAYER},
    "separable alone": {
        "layers": ("SeparableConvolution", "Identity", "Concat", "Bottleneck", "PreviousInput")
    },
}
SPACES = {**PAPERS_SPACES, **OTHER_SPACES}


@cache
def all_candidates(kind: str, identity: bool) -> tuple[Candidate, ...]:
    """Every block of a small space, in which poolings and large kernels are left out."""
    space = Space(space_settings(LONGEST, **SPACES[kind], startWithIdentity=identity))
    candidates: list[Candidate] = []

    def extend(prefix: Candidate) -> None:
        for number in space.choices(prefix).numbers:
            layer = space.layer(number)
            if layer.type is LayerType.TERMINAL:
                candidates.append((*prefix, number))
            elif matters(layer.type, layer.kernel):
                extend((*prefix, number))

    extend(())
    return tuple(candidates)


def matters(layer_type: LayerType, kernel: int) -> bool:
    """Poolings cost what identities do, ReLUs too, and larger kernels only cost more."""
    if layer_type in (LayerType.MAX_POOLING, LayerType.AVERAGE_POOLING, LayerType.RELU):
        return False
    return kernel < 5 if layer_type is LayerType.SEPARABLE_CONVOLUTION else kernel < 3


def cost(space: Space, candidate: Candidate, network: NetworkSpec) -> tuple[int, int]:
    body = space.decode(candidate).body
    return body_cost(body, network, COLOUR.size, COLOUR.classes)


incommensurable = networks.map(
    lambda network: network.model_copy(
        update={"filters": tuple([(13, 29, 59)[width % 3] for width in network.filters])}
    )
)
"""Networks in which no sum of a few widths is another one."""


@settings(max_examples=12)
@given(
    st.one_of(
        st.tuples(st.sampled_from(sorted(PAPERS_SPACES)), networks),
        st.tuples(st.sampled_from(sorted(OTHER_SPACES)), incommensurable),
    ),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_the_masks_leave_exactly_what_can_be_completed(
    stacked: tuple[str, NetworkSpec], adaptive: bool, identity: bool, data: st.DataObject
) -> None:
    """Against all blocks of a small space, with limits at the cost of some block."""
    kind, network = stacked
    candidates = all_candidates(kind, identity)
    free = Space(space_settings(LONGEST, **SPACES[kind], startWithIdentity=identity))
    once = network.model_copy(update={"repeats": 1}) if adaptive else network
    costs = {candidate: cost(free, candidate, once) for candidate in candidates}
    limit = data.draw(st.sampled_from(sorted(set(costs.values()))))
    other = data.draw(st.sampled_from(sorted({macs for _, macs in costs.values()})))
    constraints = {"maxParameters": limit[0]} | data.draw(
        st.sampled_from([{}, {"maxMacs": max(other, limit[1])}])
    )
    chosen = space_settings(
        LONGEST,
        **SPACES[kind],
        startWithIdentity=identity,
        constraints=constraints,
        adaptiveRepeats=adaptive,
    )
    if "Bottleneck" in chosen.layers:
        # The smallest network of all, which a bottleneck can make, is not looked for.
        assume(chosen.constraints.allow(*body_cost((), once, COLOUR.size, COLOUR.classes)))
    space = limited(chosen, network)
    legal = {candidate for candidate, (p, m) in costs.items() if chosen.constraints.allow(p, m)}
    completable = {candidate[:end] for candidate in legal for end in range(1, len(candidate) + 1)}
    # A bottleneck that a completion would need is not looked for.
    wanted = {
        candidate[:end]
        for candidate in legal
        for end in range(last_bottleneck(free, candidate), len(candidate) + 1)
    }
    offered: set[Candidate] = set()
    for prefix in {candidate[:-1] for candidate in wanted}:
        offered |= {
            (*prefix, number)
            for number in space.choices(prefix).numbers
            if matters(space.layer(number).type, space.layer(number).kernel)
        }
    assert wanted <= offered <= completable
    assert wanted == completable or "Bottleneck" in chosen.layers


def last_bottleneck(space: Space, candidate: Candidate) -> int:
    """The place behind the last bottleneck of a block; 1 where there is none."""
    types = [space.layer(number).type for number in candidate]
    return max(
        [1, *(end for end, layer_type in enumerate(types, 1) if layer_type is LayerType.BOTTLENECK)]
    )


NETWORK = NetworkSpec(filters=(8, 16), repeats=3, output_projection=True)
FEW: dict[str, Any] = {
    "duplicates": "Redraw",
    "state": "BackOff",
    "shaping": "Learned",
    "rewardScale": "Rank",
    "initialization": "Constant",
    "initialValue": 1.0,
}
KINDS = [(name, agent) for name in sorted(BUILT_IN) for agent in ({}, FEW)]


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
            Experience(
                proposal.trial, proposal.block, float(sum(layer.kernel for layer in proposal.block))
            )
            for proposal in search.proposals(iteration)
        ]
        search.learn(batch)
        history += batch
    return history


@pytest.mark.parametrize(("algorithm", "agent"), KINDS)
@settings(max_examples=3)
@given(
    seed=st.integers(0, 2**53),
    adaptive=st.booleans(),
    kind=st.sampled_from(sorted(SPACES)),
    projection=st.booleans(),
    limit=st.sampled_from(["maxParameters", "maxMacs"]),
    share=st.floats(1.02, 6),
)
def test_every_proposed_block_is_within_the_limits(
    algorithm: str,
    agent: dict[str, Any],
    seed: int,
    adaptive: bool,
    kind: str,
    projection: bool,
    limit: str,
    share: float,
) -> None:
    network = NETWORK.model_copy(update={"output_projection": projection})
    once = network.model_copy(update={"repeats": 1}) if adaptive else network
    least = body_cost((), once, COLOUR.size, COLOUR.classes)
    most = int(share * (least.parameters if limit == "maxParameters" else least.macs))
    space = space_settings(9, **SPACES[kind], constraints={limit: most}, adaptiveRepeats=adaptive)
    chosen = settings_for(space, network, algorithm=algorithm, **agent)
    search = Search(chosen, seed, images=COLOUR)
    history = run(search, 6)
    for experience in history:
        stacked = search.network_for(experience.block)
        assert space.constraints.allow(
            network_parameters(experience.block, stacked, COLOUR.size, COLOUR.classes),
            network_macs(experience.block, stacked, COLOUR.size, COLOUR.classes),
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
    for position, number in enumerate(candidate):
        prefix = candidate[:position]
        choices = space.choices(prefix)
        assert number in choices.numbers
        actions = space.abstract_actions(space.state(prefix))
        assert set(actions) == {space.abstract_action(prefix, number) for number in choices.numbers}
        assert len(set(actions)) == len(actions)
        for abstract_action in actions:
            drawn = space.draw(prefix, abstract_action, random)
            assert drawn in choices.numbers
            assert space.abstract_action(prefix, drawn) == abstract_action


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(SPACES)),
    st.randoms(use_true_random=False),
    networks,
    st.integers(0, 3),
    st.floats(1, 3),
)
def test_what_is_offered_under_limits_can_always_be_completed(
    kind: str, random: Random, network: NetworkSpec, spare: int, share: float
) -> None:
    """Also where widths add up to others by chance, and where they grow fast."""
    network = network.model_copy(update={"filters": tuple([width**2 for width in network.filters])})
    least = body_cost((), network, COLOUR.size, COLOUR.classes).parameters
    constraints = {"maxParameters": int(least * share) + spare}
    space = limited(space_settings(9, **SPACES[kind], constraints=constraints), network)
    for step in ("TypeFirst", "Flat"):
        block = space.random_block(random, "Flat" if step == "Flat" else "TypeFirst")
        parameters, _ = cost(space, space.encode(block), network)
        assert parameters <= constraints["maxParameters"]


def test_without_a_projection_long_blocks_are_within_reach_of_limits_at_their_own_cost() -> None:
    """Limits for blocks with too many completions to try all."""
    network = NETWORK.model_copy(update={"output_projection": False})
    free = Space(space_settings(12))
    for seed in range(40):
        candidate = free.encode(free.random_block(Random(seed), "Flat"))
        parameters, _ = cost(free, candidate, network)
        space = limited(space_settings(12, constraints={"maxParameters": parameters}), network)
        for position, number in enumerate(candidate):
            assert number in space.choices(candidate[:position]).numbers


def test_a_stage_that_is_much_wider_than_what_enters_it_keeps_the_limits() -> None:
    """Two loose ends of which one becomes a convolution: its width is that of the stage."""
    network = NetworkSpec(filters=(1, 20), repeats=1, output_projection=True)
    block = Block.parse("(1,4,0,0,0)(2,4,0,1,0)(3,4,0,1,0)(4,1,5,2,0)(5,7,0,0,0)")
    most = body_cost(block.body, network, COLOUR.size, COLOUR.classes).parameters - 1
    space = limited(space_settings(5, constraints={"maxParameters": most}), network)
    *prefix, convolution, _ = Space(space_settings(5)).encode(block)
    assert convolution not in space.choices(prefix).numbers


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
    assert [search.admits(experience.block) for experience in history].count(False)
    assert Constraints(max_parameters=6_000).allow(6_000, 10**12)
