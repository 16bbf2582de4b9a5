"""The predictor: features of blocks, expected rewards, and the choice by them."""

from itertools import count
from random import Random

import numpy
import pytest
from agent_spaces import COLOUR, make_space, space_settings

from blockqnn.block.nsc import Block
from blockqnn.errors import InvalidSettings
from blockqnn.network.spec import NetworkSpec
from blockqnn.settings.presets import preset_for
from blockqnn.settings.search import AgentSettings, PredictorSettings
from blockqnn.space.block_space import Space
from blockqnn.space.features import encode_block
from blockqnn.space.protocol import Candidate, draw_candidate
from blockqnn.strategies.base import trial_random
from blockqnn.strategies.checks import check_agent
from blockqnn.strategies.duplicates import SeenCandidates
from blockqnn.strategies.predictor_filter import PredictorFilter
from blockqnn.surrogate.predictor import Predictor

SPACE = make_space(9)
NETWORK = NetworkSpec.model_validate(preset_for("CVPR2018")["network"])
CONVOLUTION, POOLING, INPUT = (1, 3), (2, 3), (0, 0)


def draw(seed: int) -> Candidate:
    return draw_candidate(SPACE, Random(seed), "TypeFirst")


def worth(candidate: Candidate) -> float:
    """A made-up reward: convolutions of the input."""
    return SPACE.encoding(candidate).get(("edge", INPUT, CONVOLUTION), 0.0)


def test_a_block_is_encoded_by_edges_depth_density_and_cost() -> None:
    # A convolution and a pooling of the input, added: two of depth, one of convolutions.
    block = Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,2,3,1,0)(4,5,0,2,3)(5,7,0,0,0)")
    assert encode_block(block, None, None) == pytest.approx(
        {
            ("edge", INPUT, CONVOLUTION): 1.0,
            ("edge", INPUT, POOLING): 1.0,
            ("edge", CONVOLUTION, (5, 0)): 1.0,
            ("edge", POOLING, (5, 0)): 1.0,
            ("depth",): 1.584962500721156,
            ("convolutions",): 1.0,
            ("density",): 0.3219280948873623,  # five edges of four nodes, the identity included
        }
    )
    stacked = encode_block(block, NETWORK, COLOUR)
    assert set(stacked) - set(encode_block(block, None, None)) == {("macs",), ("parameters",)}


def test_it_expects_more_of_what_was_worth_more() -> None:
    predictor = Predictor(SPACE)
    trained = [draw(seed) for seed in range(120)]
    for candidate in trained:
        predictor.add(candidate)
    predictor.fit([worth(candidate) for candidate in trained])
    new = [draw(seed) for seed in range(1000, 1100)]
    good = [predictor.predict(candidate) for candidate in new if worth(candidate) > 0]
    poor = [predictor.predict(candidate) for candidate in new if worth(candidate) == 0]
    assert sum(good) / len(good) > sum(poor) / len(poor) + 0.3
    explained = predictor.explain(new[0])
    assert explained.value == predictor.predict(new[0])
    assert 0 < explained.deviation < 1


def make_filter(**changes: float) -> tuple[PredictorFilter, list[float]]:
    chosen = PredictorFilter(PredictorSettings.model_validate({"warmup": 40, **changes}), SPACE, 1)
    trained = [draw(seed) for seed in range(60)]
    for candidate in trained:
        chosen.add(candidate)
    return chosen, [worth(candidate) for candidate in trained]


def propose(
    chosen: PredictorFilter, rewards: list[float], first: int = 1000
) -> tuple[Candidate, ...]:
    """Let a filter choose 8 candidates, where Q-learning draws those of seeds from the first on."""
    seeds = count(first)
    randoms = [trial_random(1, index) for index in range(8)]
    return chosen.choose(0, rewards, randoms, SeenCandidates(SPACE), lambda _: draw(next(seeds)))


def test_the_most_promising_are_chosen_and_some_at_random() -> None:
    greedy, rewards = make_filter(mutated=0.0, optimism=0.0)
    best = propose(greedy, rewards)
    everything = [draw(seed) for seed in range(1000, 1080)]
    expected = [greedy._predictor.predict(candidate) for candidate in everything]
    assert sorted(expected)[-8:] == sorted(
        greedy._predictor.predict(candidate) for candidate in best
    )
    half, rewards = make_filter(mutated=0.0, keepRandom=0.5, optimism=0.0)
    mixed = propose(half, rewards)
    assert set(mixed) <= set(everything)
    assert len({*mixed} & {*best}) >= 4
    assert mixed != best
    expected_reward = half.expected(mixed[0])
    assert expected_reward is not None
    assert expected_reward.value == half._predictor.predict(mixed[0])
    assert half.expected(draw(5)) is None


@pytest.mark.parametrize(("share", "drawn"), [(0.0, 80), (0.5, 40), (1.0, 0)])
def test_a_share_of_the_candidates_are_changes_of_the_best_blocks_and_new(
    share: float, drawn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, rewards = make_filter(mutated=share)
    trained = [draw(seed) for seed in range(60)]
    met = SeenCandidates(SPACE)
    met.add(trained)
    mutate, parents, seeds = SPACE.mutate, [], count(1000)

    def noted(candidate: Candidate, random: Random) -> Candidate:
        parents.append(candidate)
        return mutate(candidate, random)

    monkeypatch.setattr(SPACE, "mutate", noted)
    randoms = [trial_random(1, index) for index in range(8)]
    proposed = chosen.choose(0, rewards, randoms, met, lambda _: draw(next(seeds)))
    assert next(seeds) - 1000 == pytest.approx(drawn, abs=15 if 0 < share < 1 else 0)
    best = sorted(trained, key=worth)[-10:]
    assert {worth(parent) for parent in parents} <= {worth(candidate) for candidate in best}
    assert bool(parents) == (share > 0)
    assert not {*proposed} & {*trained}
    assert len({SPACE.identity(candidate) for candidate in proposed}) == 8


def test_where_all_changes_are_known_more_are_made_at_a_time() -> None:
    target = draw(3)
    near = {SPACE.mutate(target, Random(seed)) for seed in range(5000)}
    met = SeenCandidates(SPACE)
    met.add({target, *near})
    chosen = PredictorFilter(PredictorSettings(warmup=2, mutated=1.0, candidates=1), SPACE, 1)
    for _ in range(2):
        chosen.add(target)
    (chosen_candidate,) = chosen.choose(0, [1.0, 1.0], [Random(1)], met, lambda _: target)
    assert SPACE.identity(chosen_candidate) not in {
        SPACE.identity(candidate) for candidate in near | {target}
    }


def test_asking_leaves_no_trace() -> None:
    """Else a recovered search, which asks less, would go on differently."""
    asked, fresh = Predictor(SPACE), Predictor(SPACE)
    new = [draw(seed) for seed in range(100, 120)]
    for seed in range(20):
        for predictor in (asked, fresh):
            predictor.add(draw(seed))
            predictor.fit([worth(draw(number)) for number in range(seed + 1)])
        asked.choose(new, 3, 3.0)
        asked.explain(new[seed])
    assert [asked.explain(candidate) for candidate in new] == [
        fresh.explain(candidate) for candidate in new
    ]
    novel = [projection.novel for projection in map(fresh._ridge.project, fresh._rows(new))]
    assert any(novel), "some have features that none was trained with"


@pytest.mark.parametrize("trained", [12, 200])
@pytest.mark.parametrize("optimism", [0.5, 3.0])
def test_optimism_chooses_by_how_unsure_each_is_once_the_ones_before_are_known(
    trained: int, optimism: float
) -> None:
    """As if each choice were trained, with the reward that is expected of it, before the next."""
    predictor = Predictor(SPACE)
    trained_candidates = [draw(seed) for seed in range(trained)]
    for candidate in trained_candidates:
        predictor.add(candidate)
    predictor.fit([worth(candidate) for candidate in trained_candidates])
    drawn = list({SPACE.encode(SPACE.decode(draw(seed))) for seed in range(500, 530)})
    chosen = predictor.choose(drawn, 6, optimism)
    assert len(set(chosen)) == 6

    ridge = predictor._ridge
    seen = [ridge.project(row) for row in predictor._rows(drawn)]
    joint = numpy.array(
        [[ridge.covariance(projection, other) for other in seen] for projection in seen]
    )
    values = numpy.array([projection.value for projection in seen])
    assert numpy.diag(joint) == pytest.approx([projection.spread for projection in seen], abs=1e-9)
    expected: list[int] = []
    for _ in range(6):
        rest = joint
        if expected:
            inner = joint[numpy.ix_(expected, expected)] + numpy.eye(len(expected))
            rest = joint - joint[:, expected] @ numpy.linalg.solve(inner, joint[expected])
        bound = values + optimism * ridge.noise * numpy.sqrt(numpy.diag(rest).clip(0))
        bound[expected] = -numpy.inf
        expected.append(int(bound.argmax()))
    assert chosen == expected


@pytest.mark.parametrize(("size", "counts"), [(10, {2}), (3, {1}), (1, {0, 1})])
def test_the_random_share_is_a_whole_number_of_blocks(size: int, counts: set[int]) -> None:
    chosen, _ = make_filter(keepRandom=0.2)
    kept = [chosen._kept_at_random(size, Random(seed)) for seed in range(200)]
    assert set(kept) == counts


def test_it_has_no_say_before_the_warm_up() -> None:
    cold = PredictorFilter(PredictorSettings(warmup=2), SPACE, 1)
    assert not cold.is_warm
    cold.add(draw(1))
    assert not cold.is_warm
    cold.add(draw(2))
    assert cold.is_warm


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithm": "Evolution"}, "agent.algorithm is Evolution; omit the predictor"),
        ({"duplicates": "Keep"}, "set agent.duplicates to Redraw"),
    ],
)
def test_a_predictor_that_nothing_chooses_by_is_refused(
    changes: dict[str, str], message: str
) -> None:
    agent = {**preset_for("Efficient", 64)["agent"], "predictor": {}}
    check_agent(AgentSettings.model_validate(agent))
    with pytest.raises(InvalidSettings, match=message):
        check_agent(AgentSettings.model_validate({**agent, **changes}))


def test_encodings_of_a_space_know_how_blocks_are_stacked() -> None:
    space = Space(space_settings(9), None, NETWORK, COLOUR)
    assert ("macs",) in space.encoding(draw(1))
    assert ("macs",) not in SPACE.encoding(draw(1))
