"""Selects the blocks to train to convergence, from the histories alone. Pure.

The search's best blocks by reward come first. Once all of them are over, the best of them by the
accuracy that they reached are transferred to the targets: a ranking in which some accuracies are
missing would depend on which of them ended first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blockqnn.contract.message import Outcome
from blockqnn_api.finalist_targets import OWN, FinalistTarget
from blockqnn_api.history.finalist_record import Finalist, FinalistArchive
from blockqnn_api.history.replay import Archive, best
from blockqnn_api.history.trial_record import TrialRecord


@dataclass(slots=True)
class Ranking:
    """The best trials of a search, ranked again only when its history has grown."""

    _archived: int = -1
    _count: int = 0
    _best: tuple[TrialRecord, ...] = ()

    def best(self, archive: Archive, count: int) -> tuple[TrialRecord, ...]:
        """Return the trained trials with the highest rewards, the earliest of equals first.

        No two stand for the same network: a trial that repeats another shares its result and is
        not trained.
        """
        if (self._archived, self._count) != (len(archive), count):
            trained = [r for r in archive.records if r.outcome is Outcome.SUCCEEDED]
            self._best = tuple(best(trained, count))
            self._archived, self._count = len(archive), count
        return self._best


def own_finalists(goal: FinalistTarget, chosen: Sequence[TrialRecord]) -> tuple[Finalist, ...]:
    """Return the finalists on the search's own dataset, the best block first."""
    return tuple(_each(goal, [record.trial for record in chosen]))


def transfers(
    goals: Sequence[FinalistTarget], archive: FinalistArchive, chosen: Sequence[TrialRecord]
) -> tuple[Finalist, ...]:
    """Return the finalists of the targets, given that those of the own dataset are over."""
    trials = [s.trial for s in archive.standings(OWN, [record.trial for record in chosen])]
    return tuple(
        finalist for goal in goals if goal.name for finalist in _each(goal, trials[: goal.count])
    )


def _each(goal: FinalistTarget, trials: Sequence[int]) -> Iterator[Finalist]:
    for trial in trials:
        for seed in range(goal.seeds):
            yield Finalist(trial, goal.name, seed)
