"""A search as the operator drives it: proposals, learning, and recovery to the last bit."""

from collections.abc import Sequence
from math import nan
from typing import Any

import pytest
from agent_spaces import space_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block
from blockqnn.errors import InvalidHistory, NotProposable
from blockqnn.learning.back_off import BackOffTable
from blockqnn.learning.reward import floor_reward, redefined_reward
from blockqnn.search import Experience, Proposal, Search, SearchSettings
from blockqnn.settings.presets import PRESETS
from blockqnn.strategies.registry import BUILT_IN
from blockqnn.surrogate.ridge import Ridge

ALGORITHMS = sorted(BUILT_IN)

FEW_TRIALS: dict[str, Any] = {
    "duplicates": "Redraw",
    "state": "BackOff",
    "initialization": "Constant",
    "shaping": "Learned",
    "rewardScale": "Rank",
    "replay": {"sampleSize": 32, "updates": 32, "weighting": "Rank"},
}
"""Settings that change Q-learning the most."""

PREDICTING: dict[str, Any] = {
    **FEW_TRIALS,
    "predictor": {"candidates": 3, "warmup": 6},
    "earlyTermination": {"warmup": 10, "epochs": [1, 2], "deviations": 1},
}

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ALGORITHMS),
    *((name, FEW_TRIALS) for name in ALGORITHMS),
    ("QLearning", PREDICTING),
]


def settings_for(algorithm: str = "QLearning", batch: int = 4, **agent: Any) -> SearchSettings:
    preset = PRESETS["CVPR2018"]
    changes = {
        "algorithm": algorithm,
        "batchSize": batch,
        "learningRate": 0.3,
        "evolution": {"populationSize": 10, "sampleSize": 3},
        **agent,
    }
    return SearchSettings.model_validate(
        {
            "space": space_settings(8),
            "agent": {**preset["agent"], **changes},
            "reward": preset["reward"],
            "network": preset["network"],
        }
    )


def tried(search: Search, proposals: Sequence[Proposal], failing: int = 7) -> list[Experience]:
    """A made-up outcome that depends on the block alone; some trials fail or are infeasible."""
    return [
        Experience(
            proposal.trial,
            proposal.block,
            None if proposal.trial % failing == 3 else outcome(search, proposal),
            curve(proposal),
        )
        for proposal in proposals
    ]


def curve(proposal: Proposal) -> tuple[float, ...]:
    """A learning curve whose first points nearly say where it ends."""
    share, noise = (int(proposal.hash[a:b], 16) for a, b in ((0, 6), (6, 8)))
    last = share / 0xFFFFFF
    return (last / 2 + noise / 0xFFFF, last / 2 + noise / 0xFFFFF, last)


def outcome(search: Search, proposal: Proposal) -> float:
    share = int(proposal.hash[:6], 16) / 0xFFFFFF
    return search.reward(proposal.block, {"accuracy": share} if share > 0.1 else {})


def run(search: Search, iterations: int) -> list[Experience]:
    history: list[Experience] = []
    for iteration in range(iterations):
        batch = tried(search, search.proposals(iteration))
        search.learn(batch)
        history += batch
    return history


@pytest.mark.parametrize(("algorithm", "agent"), VARIANTS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**53), iterations=st.integers(1, 12), stop=st.integers(0, 12))
def test_recovery_equals_the_live_search_to_the_last_bit(
    algorithm: str, agent: dict[str, Any], seed: int, iterations: int, stop: int
) -> None:
    chosen = settings_for(algorithm, **agent)
    live = Search(chosen, seed, 12)
    history = run(live, iterations)
    recovered = Search.recover(chosen, seed, history, 12)
    assert recovered.learned == live.learned == iterations
    assert recovered.proposals(iterations) == live.proposals(iterations)
    if algorithm == "QLearning":
        assert values(recovered) == values(live)
    # One that was stopped on the way repeats the rest.
    stopped = Search.recover(chosen, seed, history[: min(stop, iterations) * 4], 12)
    for iteration in range(stopped.learned, iterations):
        batch = tried(stopped, stopped.proposals(iteration))
        assert batch == history[iteration * 4 : iteration * 4 + 4]
        stopped.learn(batch)
    assert stopped.proposals(iterations) == live.proposals(iterations)


def test_recovery_proposes_nothing_in_place_of_what_was_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a predictor the proposals of an iteration take longer than learning many."""
    schedule = [{"epsilon": 1, "iterations": 2}, {"epsilon": 0.5, "iterations": 10}]
    chosen = settings_for(**PREDICTING, pipelining=1, epsilonSchedule=schedule)
    history = run(Search(chosen, 1), 9)
    fits, fit = [], Ridge.fit
    monkeypatch.setattr(Ridge, "fit", lambda ridge, targets: (fits.append(1), fit(ridge, targets)))
    recovered = Search.recover(chosen, 1, history)
    assert len(fits) == 1, "only the iteration that is in flight was proposed"
    monkeypatch.undo()
    assert tried(recovered, recovered.proposals(9)) == run(Search(chosen, 1), 10)[36:]


def values(search: Search) -> Any:
    strategy: Any = search._strategy
    table = strategy.table
    return table.values if isinstance(table, BackOffTable) else table.rows


@pytest.mark.parametrize(("algorithm", "agent"), VARIANTS)
def test_proposals_are_numbered_hashed_and_repeatable(
    algorithm: str, agent: dict[str, Any]
) -> None:
    search = Search(settings_for(algorithm, **agent), 0, 12)
    run(search, 6)
    proposals = search.proposals(6)
    assert proposals == search.proposals(6)
    assert [proposal.trial for proposal in proposals] == [24, 25, 26, 27]
    for proposal in proposals:
        assert proposal.iteration == 6
        assert proposal.hash == canonical_hash(proposal.block)
        assert len(proposal.block) <= 8


def test_what_a_predictor_expected_is_known_of_what_it_chose() -> None:
    search = Search(settings_for(**PREDICTING), 0, 12)
    run(search, 6)
    random, chosen = search.proposals(0), search.proposals(6)
    assert all(proposal.expected is None for proposal in random)
    assert all(proposal.expected is not None for proposal in chosen)
    networks = [proposal.hash for proposal in chosen]
    assert len(set(networks)) == 4


def test_only_what_depends_on_learning_may_stop_itself() -> None:
    search = Search(settings_for(**PREDICTING), 0, 12)
    run(search, 8)
    assert not any(proposal.stopping for proposal in search.proposals(0))
    rules = [proposal.stopping for proposal in search.proposals(8)]
    assert all([rule.epoch for rule in trial_rules] == [1, 2] for trial_rules in rules)
    cheap, dear = sorted(
        search.proposals(8), key=lambda proposal: search.reward(proposal.block, {})
    )[::3]
    assert cheap.stopping[0].below >= dear.stopping[0].below


def test_the_random_phase_can_be_proposed_at_once() -> None:
    search = Search(settings_for(), 0, 178)
    assert all(search.proposable(iteration) for iteration in range(95))
    assert not search.proposable(95)
    assert search.epsilon(94) == 1.0
    assert search.epsilon(95) == 0.9
    late = search.proposals(94)
    run(search, 94)
    assert search.proposals(94) == late
    with pytest.raises(NotProposable, match=r"Iteration 95.*94 iterations learned"):
        search.proposals(95)
    search.learn(tried(search, late))
    assert search.proposable(95)
    assert not search.proposable(96)


def test_values_that_have_moved_on_are_not_proposed_from() -> None:
    search = Search(settings_for(), 0, 4)
    run(search, 4)
    assert search.proposable(0)
    assert not search.proposable(3)


def test_random_search_needs_no_learning() -> None:
    search = Search(settings_for("RandomSearch"), 0)
    assert search.proposable(10_000)
    assert search.epsilon(10_000) == 1.0


def test_random_search_is_the_random_phase_of_q_learning() -> None:
    random, learning = (
        Search(settings_for(name), 5, 178) for name in ("RandomSearch", "QLearning")
    )
    for iteration in range(5):
        assert random.proposals(iteration) == learning.proposals(iteration)


def test_seeds_differ() -> None:
    blocks = [Search(settings_for(batch=64), seed).proposals(0) for seed in range(3)]
    assert len({str(proposals[5:]) for proposals in blocks}) == 3


def test_a_history_that_was_cut_short_waits_for_its_rest() -> None:
    chosen = settings_for()
    history = run(Search(chosen, 0, 6), 3)
    recovered = Search.recover(chosen, 0, history[:10], 6)
    assert recovered.learned == 2
    assert tried(recovered, recovered.proposals(2)) == history[8:]


def test_what_was_tried_counts_not_what_would_be_proposed() -> None:
    search = Search(settings_for(), 0, 4)
    block = Block.parse("(1,1,3,0,0)(2,7,0,0,0)")
    search.learn([Experience(trial, block, 60.0) for trial in range(4)])
    search.learn([Experience(trial, block, 60.0) for trial in range(4, 8)])
    assert set(values(search)) == {0, 2}


def test_failed_trials_teach_nothing() -> None:
    search = Search(settings_for(), 0, 4)
    search.learn(
        [Experience(proposal.trial, proposal.block, None) for proposal in search.proposals(0)]
    )
    assert values(search) == {}
    assert search.learned == 1


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        ([], "none are given"),
        ([0, 1, 2], "0 to 2 are given"),
        ([0, 1, 3, 2], "4 trials in another order"),
        ([4, 5, 6, 7], "4 to 7 are given"),
    ],
)
def test_other_trials_than_those_of_the_iteration_are_refused(
    trials: list[int], message: str
) -> None:
    search = Search(settings_for(), 0, 4)
    block = Block.parse("(1,7,0,0,0)")
    with pytest.raises(InvalidHistory, match=f"trials 0 to 3 in this order, but {message}"):
        search.learn([Experience(trial, block, 1.0) for trial in trials])
    assert search.learned == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_block_of_another_space_is_refused_and_nothing_is_learned(algorithm: str) -> None:
    search = Search(settings_for(algorithm), 0, 4)
    batch = tried(search, search.proposals(0))
    long = "(1,4,0,0,0)" + "".join(f"({index},1,3,1,0)" for index in range(2, 9)) + "(9,7,0,0,0)"
    with pytest.raises(InvalidHistory, match=r"Iteration 0 cannot be learned.*maxLayers 8"):
        search.learn([*batch[:3], Experience(3, Block.parse(long), 1.0)])
    fresh = Search(settings_for(algorithm), 0, 4)
    search.learn(batch)
    fresh.learn(batch)
    assert search.proposals(1) == fresh.proposals(1)


def test_a_reward_that_is_no_number_is_refused() -> None:
    search = Search(settings_for(), 0, 4)
    batch = [Experience(proposal.trial, proposal.block, nan) for proposal in search.proposals(0)]
    with pytest.raises(InvalidHistory, match="Trial 0 has the reward nan"):
        search.learn(batch)


def test_rewards_are_the_redefined_ones() -> None:
    chosen = settings_for()
    search = Search(chosen, 0)
    block = Block.parse("(1,1,3,0,0)(2,1,3,1,0)(3,7,0,0,0)")
    assert search.reward(block, {"accuracy": 0.5}) == redefined_reward(
        block, 0.5, chosen.reward, chosen.network
    )
    assert search.reward(block, {}) == floor_reward(block, chosen.reward, chosen.network)


def test_q_learning_finds_a_good_block_more_often_than_chance() -> None:
    """Convolutions good, all else bad: late batches must beat the random phase clearly."""
    chosen = settings_for(batch=16)
    search = Search(chosen, 1, 40)
    means: list[float] = []
    for iteration in range(40):
        batch = [
            Experience(proposal.trial, proposal.block, _convolutions(proposal.block))
            for proposal in search.proposals(iteration)
        ]
        search.learn(batch)
        means.append(sum(experience.reward or 0.0 for experience in batch) / len(batch))
    assert sum(means[-4:]) / 4 > 1.5 * sum(means[:20]) / 20


def _convolutions(block: Block) -> float:
    return 10.0 * sum(layer.type == 1 for layer in block.body)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_redrawing_proposes_no_network_twice(algorithm: str) -> None:
    search = Search(settings_for(algorithm, **FEW_TRIALS), 0, 12)
    hashes = [
        proposal.hash for iteration in range(12) for proposal in _learn_anything(search, iteration)
    ]
    assert len(set(hashes)) == len(hashes) == 48
    search = Search(settings_for(algorithm, **{**FEW_TRIALS, "duplicates": "Keep"}), 0, 12)
    hashes = [
        proposal.hash for iteration in range(12) for proposal in _learn_anything(search, iteration)
    ]
    assert len(set(hashes)) < 48


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=6)
@given(seed=st.integers(0, 2**53), ahead=st.integers(1, 3))
def test_redrawing_avoids_what_is_still_in_flight(algorithm: str, seed: int, ahead: int) -> None:
    """With pipelining, the blocks of up to so many iterations are not learned yet."""
    schedule = [{"epsilon": 1, "iterations": 1}, {"epsilon": 0.1, "iterations": 11}]
    agent = {**FEW_TRIALS, "pipelining": ahead, "epsilonSchedule": schedule}
    search = Search(settings_for(algorithm, **agent), seed)
    history: list[Experience] = []
    for iteration in range(12):
        search.proposals(iteration + ahead)  # as the operator does, to keep all slots busy
        batch = [
            Experience(proposal.trial, proposal.block, outcome(search, proposal))
            for proposal in search.proposals(iteration)
        ]
        search.learn(batch)
        history += batch
    hashes = [canonical_hash(experience.block) for experience in history]
    assert len(set(hashes)) == len(hashes)
    recovered = Search.recover(settings_for(algorithm, **agent), seed, history)
    assert recovered.proposals(12 + ahead) == search.proposals(12 + ahead)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_where_nothing_is_new_a_duplicate_is_proposed(algorithm: str) -> None:
    chosen = settings_for(algorithm, batch=8, **FEW_TRIALS)
    chosen = chosen.model_copy(update={"space": space_settings(2)})
    search = Search(chosen, 0, 4)
    run_of_few = [
        proposal for iteration in range(2) for proposal in _learn_anything(search, iteration)
    ]
    # A terminal, an identity and pools of kernel 1 are one network: six in all.
    assert len({proposal.hash for proposal in run_of_few}) == 6


def _learn_anything(search: Search, iteration: int) -> tuple[Proposal, ...]:
    proposals = search.proposals(iteration)
    search.learn([Experience(proposal.trial, proposal.block, 1.0) for proposal in proposals])
    return proposals


def test_evolution_breeds_from_the_best_of_its_population() -> None:
    """With a sample as large as chance needs to hit the best, children are its mutants."""
    chosen = settings_for("Evolution", evolution={"populationSize": 4, "sampleSize": 64})
    search = Search(chosen, 0, 12)
    best = Block.parse("(1,1,5,0,0)(2,1,5,1,0)(3,1,5,2,0)(4,7,0,0,0)")
    others = [proposal.block for proposal in search.proposals(0)][1:]
    blocks = [best, *others]
    search.learn(
        [Experience(i, block, 90.0 if block is best else 1.0) for i, block in enumerate(blocks)]
    )
    assert search.epsilon(0) == 1.0
    assert search.epsilon(1) == 0.0
    assert not search.proposable(2)
    for proposal in search.proposals(1):
        assert abs(len(proposal.block) - len(best)) <= 1
        assert sum(layer.kernel == 5 for layer in proposal.block) >= 2
    # The best leaves the population with age, however good it is.
    search.learn([Experience(i, others[0], 1.0) for i in range(4, 8)])
    assert all(
        sum(layer.kernel == 5 for layer in proposal.block) < 2 for proposal in search.proposals(2)
    )


@pytest.mark.parametrize(("algorithm", "agent"), VARIANTS)
@settings(max_examples=6, deadline=None)
@given(limit=st.integers(3, 23), identity=st.booleans(), seed=st.integers(0, 2**53))
def test_every_proposed_block_is_legal(
    algorithm: str, agent: dict[str, Any], limit: int, identity: bool, seed: int
) -> None:
    """Block checks the rules of the code; learning refuses what is not of the space."""
    space = space_settings(limit, startWithIdentity=identity)
    chosen = settings_for(algorithm, **agent).model_copy(update={"space": space})
    search = Search(chosen, seed, 6)
    for iteration in range(6):
        for proposal in _learn_anything(search, iteration):
            assert len(proposal.block) <= limit
            assert not identity or str(proposal.block).startswith("(1,4,0,0,0)")


def test_a_history_of_blocks_that_start_otherwise_is_refused() -> None:
    space = space_settings(8, startWithIdentity=True)
    chosen = settings_for().model_copy(update={"space": space})
    block = Block.parse("(1,1,3,0,0)(2,7,0,0,0)")
    with pytest.raises(InvalidHistory, match=r"Iteration 0 cannot be learned.*startWithIdentity"):
        Search.recover(chosen, 0, [Experience(trial, block, 1.0) for trial in range(4)])
