"""Numbers about a search that a report shows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from blockqnn.block.layer_types import PAPERS, types_of
from blockqnn.block.nsc import Block, LayerType
from blockqnn.contract.message import Outcome
from blockqnn_api.history.trial_record import TrialRecord
from blockqnn_cli.view import SearchView

TOP = 5
"""CVPR 2018, Fig. 8 follows the best block and the five best."""


@dataclass(frozen=True, slots=True)
class Iteration:
    """Results of an iteration, and of all iterations until its end."""

    number: int
    epsilon: float
    """Not a number if it is unknown."""
    trained: int
    """Trials that were not shared with an earlier one."""
    mean_reward: float | None
    mean_accuracy: float | None
    best_accuracy: float | None
    top_1: float | None
    """The highest reward so far."""
    top_5: float | None
    """The mean of the five highest rewards of different networks so far."""


def iterations(search: SearchView) -> list[Iteration]:
    """Return the results of each iteration of a search that has started."""
    size = search.batch_size or 1
    leaders: list[float] = []
    results = []
    for start in range(0, len(search.records), size):
        batch = search.records[start : start + size]
        new = [r.reward for r in batch if r.outcome is Outcome.SUCCEEDED and r.reward is not None]
        leaders = sorted([*leaders, *new], reverse=True)[:TOP]
        results.append(
            Iteration(
                number=start // size,
                epsilon=search.epsilon(start // size),
                trained=sum(record.outcome is not Outcome.CACHED for record in batch),
                mean_reward=mean([r.reward for r in batch if r.reward is not None]),
                mean_accuracy=mean([r.accuracy for r in batch if r.accuracy is not None]),
                best_accuracy=max(
                    (r.accuracy for r in batch if r.accuracy is not None), default=None
                ),
                top_1=leaders[0] if leaders else None,
                top_5=mean(leaders),
            )
        )
    return results


def mean(values: Sequence[float]) -> float | None:
    """Return the arithmetic mean; None of nothing."""
    return sum(values) / len(values) if values else None


def percent(value: float | None) -> str:
    """Write a share in percent."""
    return "-" if value is None else f"{value:.2%}"


def plain(value: float | None) -> str:
    """Write a reward."""
    return "-" if value is None else f"{value:.2f}"


@dataclass(frozen=True, slots=True)
class Stage:
    """A run of iterations with the same epsilon."""

    epsilon: float
    first: int
    last: int


def stages(iterations: Sequence[Iteration]) -> list[Stage]:
    """Return the epsilon stages that a search has been through."""
    joined: list[Stage] = []
    for iteration in iterations:
        # Unknown values are one stage, although they are not equal.
        if joined and str(joined[-1].epsilon) == str(iteration.epsilon):
            joined[-1] = Stage(iteration.epsilon, joined[-1].first, iteration.number)
        else:
            joined.append(Stage(iteration.epsilon, iteration.number, iteration.number))
    return joined


def measured(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trained trials whose accuracy and parameters are known."""
    return [
        record
        for record in records
        if record.outcome is Outcome.SUCCEEDED and record.parameters and record.accuracy is not None
    ]


def pareto_front(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the measured trials that no other beats, fewest parameters first.

    A trial is beaten by one with no more parameters and no less accuracy, and better in one.
    """
    front: list[TrialRecord] = []
    for record in sorted(
        measured(records), key=lambda r: (r.parameters or 0, -(r.accuracy or 0.0), r.trial)
    ):
        if not front or (record.accuracy or 0.0) > (front[-1].accuracy or 0.0):
            front.append(record)
    return front


def layer_shares(search: SearchView, most: int = 30) -> list[tuple[int, Mapping[LayerType, float]]]:
    """Return the share of each type of layer over time (CVPR 2018, appendix B).

    Args:
        search: a search that has started.
        most: most points; consecutive iterations are joined until there are no more than this.

    Returns:
        The first iteration of each point, and the shares, which add up to 1.
    """
    size = search.batch_size or 1
    kinds = _kinds(search)
    span = size * max(-(-len(search.records) // (size * most)), 1)
    return [
        (start // size, _shares(search.records[start : start + span], kinds))
        for start in range(0, len(search.records), span)
    ]


def _kinds(search: SearchView) -> tuple[LayerType, ...]:
    """Return the types of layers of the search's space that compute something."""
    space = search.header.settings["space"] if search.header else {}
    types = types_of(space.get("layers", PAPERS), space.get("convolution", "PCC"))
    return tuple(kind for kind in types if kind is not LayerType.TERMINAL)


def _shares(records: Sequence[TrialRecord], kinds: Sequence[LayerType]) -> dict[LayerType, float]:
    counts = Counter(layer.type for record in records for layer in Block.parse(record.block).body)
    total = sum(counts.values()) or 1
    return {kind: counts[kind] / total for kind in kinds}


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a search, and the cost that duplicates saved."""

    outcomes: Mapping[Outcome, int]
    seconds: Mapping[Outcome, float]
    """Wall-clock time of the trainers, by outcome."""
    gpu_seconds: float
    mean_seconds: float | None
    """Mean time of the trials that succeeded."""
    saved_seconds: float | None
    """Time that the duplicates would have taken, each as long as the trial that it shares."""
    reasons: Mapping[tuple[Outcome, str], int]
    """Number of trials that ended without an accuracy, by outcome and reason."""

    @property
    def trials(self) -> int:
        """All trials with an outcome."""
        return sum(self.outcomes.values())


def cost(records: Sequence[TrialRecord]) -> Cost:
    """Return the cost of the trials of a history."""
    outcomes = dict.fromkeys(Outcome, 0)
    seconds = dict.fromkeys(Outcome, 0.0)
    for record in records:
        outcomes[record.outcome] += 1
        seconds[record.outcome] += record.seconds.total if record.seconds else 0.0
    trained = [r.seconds.total for r in records if r.outcome is Outcome.SUCCEEDED and r.seconds]
    bad = (Outcome.INFEASIBLE, Outcome.FAILED)
    return Cost(
        outcomes=outcomes,
        seconds=seconds,
        gpu_seconds=sum(record.gpu_seconds for record in records),
        mean_seconds=mean(trained),
        saved_seconds=sum(_saved(records)) if trained else None,
        reasons=Counter((r.outcome, r.reason) for r in records if r.outcome in bad),
    )


def _saved(records: Sequence[TrialRecord]) -> Iterator[float]:
    for record in records:
        if record.shared_with is not None and record.shared_with < len(records):
            original = records[record.shared_with]
            yield original.seconds.total if original.seconds else 0.0
