"""Searches for the tests of the command line: run by the real agent, on made-up accuracies."""

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from operator_builders import NOW, UID, at, make_header, make_search, make_spec

from blockqnn.block.nsc import LayerType
from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import Seconds
from blockqnn.network.cost import network_macs, network_parameters
from blockqnn.search import Experience, Proposal
from blockqnn_api.history.replay import Archive, SearchState, new_agent
from blockqnn_api.history.shards import Shard
from blockqnn_api.history.trial_record import Header, TrialRecord
from blockqnn_api.resolve import resolve
from blockqnn_cli.view import EventView, SearchView
from blockqnn_operator.core.observed.snapshot import Observed
from blockqnn_operator.core.planning.assessment import assess
from blockqnn_operator.core.reporting.status import dump, report

SHAPE, CLASSES = (3, 32, 32), 10

EVENTS = (
    EventView("2024-05-01T11:00:00Z", "Normal", "NewBest", "Trial 9 reached 71.00% [accuracy]."),
    EventView("2024-05-01T11:59:00Z", "Warning", "TrialFailed", "Trial 50: no space left."),
)


@cache
def simulated(
    trials: int = 96, *, batch: int = 8, layers: int = 8, done: int | None = None, seed: int = 0
) -> SearchView:
    """A search of so many trials, the first ``done`` of which are over (None: all)."""
    spec = make_spec(
        budget={"trials": trials},
        space={"maxLayers": layers},
        agent={"batchSize": batch, "learningRate": 0.1, "state": "BackOff"},
        dataset={"name": "cifar10"},
        parallelism=4,
        seed=seed,
    )
    return _run(spec, trials if done is None else done)


@cache
def foreseen() -> SearchView:
    """A search of 160 trials with a predictor and trainings that may stop themselves."""
    spec = make_spec(
        preset="Efficient",
        budget={"trials": 160},
        space={"maxLayers": 8},
        agent={
            "predictor": {"candidates": 4, "warmup": 24},
            "earlyTermination": {"epochs": [2, 4, 6], "warmup": 24, "deviations": 1},
        },
        dataset={"name": "cifar10"},
    )
    return _run(spec, 160)


def _run(spec: dict[str, Any], over: int) -> SearchView:
    settings = resolve(spec)
    header, agent = make_header(settings), new_agent(settings, settings.seed)
    records: list[TrialRecord] = []
    originals: dict[str, TrialRecord] = {}
    while len(records) < over:
        batch_records = []
        for proposal in agent.proposals(agent.learned):
            record = _record(proposal, agent, settings.network, originals)
            originals.setdefault(record.hash, record)
            batch_records.append((proposal, record))
        agent.learn(
            [
                Experience(p.trial, p.block, r.reward, () if r.stopped_after else r.curve)
                for p, r in batch_records
            ]
        )
        records += [record for _, record in batch_records]
    return view(spec, header, records[:over])


def view(spec: dict[str, Any], header: Header, records: Sequence[TrialRecord]) -> SearchView:
    """The search as the cluster shows it, with the status that the operator would write."""
    settings = resolve(spec, header.settings)
    text = "".join(history_lines(header, records))
    state = SearchState(
        header, settings, [Shard(0, text, "1")], Archive(), new_agent(settings, header.seed)
    )
    state.archive.extend(records)
    before = {"observedGeneration": 1, "phase": "Running", "startTime": "2024-05-01T08:00:00Z"}
    search = make_search(spec, status=before)
    observed = Observed(search, (), (), at(0))
    status = dump(report(observed, state, assess(observed, state)))
    return SearchView("lab", search.name, UID, spec, status, header, tuple(records))


def history_lines(header: Header, records: Sequence[TrialRecord]) -> Iterator[str]:
    """The lines of a stored history."""
    yield header.write() + "\n"
    for record in records:
        yield record.write() + "\n"


def _record(proposal: Proposal, agent: Any, network: Any, originals: dict) -> TrialRecord:
    block = proposal.block
    original = originals.get(proposal.hash)
    expected = None if original else proposal.expected
    fields: dict[str, Any] = {
        "predicted": expected.value if expected else None,
        "predicted_deviation": expected.deviation if expected else None,
        "trial": proposal.trial,
        "iteration": proposal.iteration,
        "block": str(block),
        "hash": proposal.hash,
        "parameters": network_parameters(block, network, SHAPE, CLASSES),
        "macs": network_macs(block, network, SHAPE, CLASSES),
    }
    if original is not None and original.outcome in (Outcome.SUCCEEDED, Outcome.INFEASIBLE):
        shared = {
            "accuracy": original.accuracy,
            "reward": original.reward,
            "shared_with": original.trial,
        }
        return TrialRecord(
            **fields | shared, outcome=Outcome.CACHED, reason="SameNetwork", message="As before."
        )
    chance = int(proposal.hash[:8], 16) / 0xFFFFFFFF
    trained = {"gpus": 1, "device": "NVIDIA H200"}
    if chance < 0.03:
        return TrialRecord(
            **fields | trained | {"reward": agent.reward(block, {})},
            outcome=Outcome.INFEASIBLE, reason="OutOfMemory", seconds=Seconds(total=4.0),
        )  # fmt: skip
    if chance > 0.98:
        return TrialRecord(
            **fields | trained, outcome=Outcome.FAILED, reason="Error", message="No space left."
        )
    curve, accuracy, stopped_after = _train(proposal, round(_accuracy(block, chance), 4))
    seconds = Seconds(total=round(20 + fields["macs"] / 4e6, 1))
    return TrialRecord(
        **fields | trained,
        outcome=Outcome.SUCCEEDED, reason="Completed", accuracy=accuracy, seconds=seconds,
        reward=agent.reward(block, {"accuracy": accuracy}),
        curve=curve, stopped_after=stopped_after,
    )  # fmt: skip


def _train(proposal: Proposal, accuracy: float) -> tuple[tuple[float, ...], float, int | None]:
    """The curve, the accuracy and the epoch of a stop, by the rules of the proposal."""
    chance = int(proposal.hash[8:], 16) / 0xFFFFFFFF
    curve = [accuracy * (0.5 + epoch / 24) + 0.02 * (chance - 0.5) for epoch in range(1, 12)]
    for rule in proposal.stopping:
        early = curve[rule.epoch - 1]
        if early < rule.below:
            extrapolated = rule.intercept + rule.slope * early
            return tuple(curve[: rule.epoch]), min(max(extrapolated, 0.0), 1.0), rule.epoch
    return (*curve, accuracy), accuracy, None


def _accuracy(block: Any, chance: float) -> float:
    """More and larger convolutions are better, and adds help: a landscape that can be learned."""
    worth = sum(
        {1: 0.35, 3: 1.0, 5: 0.9}[x.kernel] for x in block.body if x.type is LayerType.CONVOLUTION
    ) + sum(0.5 for x in block.body if x.type is LayerType.ADD)
    return 0.35 + 0.55 * (1 - math.exp(-worth / 1.8)) + 0.06 * (chance - 0.5)


def empty(**status: Any) -> SearchView:
    """A search that the operator has not begun."""
    return SearchView("lab", "digits", UID, make_spec(), status)


__all__ = [
    "CLASSES", "EVENTS", "NOW", "SHAPE", "empty", "foreseen", "history_lines", "simulated", "view",
]  # fmt: skip
