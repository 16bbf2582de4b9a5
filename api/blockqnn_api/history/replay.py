"""A search's memory: its archived records and the agent that has learned from them.

All of it is derived from the history, so it can be dropped and built again at any time; the result
is the same to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn.errors import InvalidBlock, InvalidHistory, InvalidSettings
from blockqnn.search import Experience, Search, SearchSettings
from blockqnn_api.errors import HistoryUnreadable, InvalidSearch
from blockqnn_api.history.predictions import Predictions
from blockqnn_api.history.shards import Shard
from blockqnn_api.history.trial_record import Header, TrialRecord
from blockqnn_api.spec import BlockSearchSpec
from blockqnn_api.status import MOST_TOP


@dataclass(slots=True)
class Archive:
    """The records of a search, and totals over them."""

    records: list[TrialRecord] = field(default_factory=list)
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    gpu_seconds: float = 0.0
    best_accuracy: float = 0.0
    originals: dict[str, int] = field(default_factory=dict)
    """Canonical hash -> the earliest trial with a result for it."""
    top: list[TrialRecord] = field(default_factory=list)
    """The best records by reward, duplicates left out, the best first."""
    predictions: Predictions = field(default_factory=Predictions)

    def extend(self, records: Sequence[TrialRecord]) -> None:
        """Add the next records, in trial order."""
        for record in records:
            self.records.append(record)
            self.outcomes[record.outcome] += 1
            self.predictions.add(record)
            self.gpu_seconds += record.gpu_seconds
            self.best_accuracy = max(self.best_accuracy, record.accuracy or 0.0)
            if record.outcome in (Outcome.SUCCEEDED, Outcome.INFEASIBLE):
                self.originals.setdefault(record.hash, record.trial)
            if record.outcome is Outcome.SUCCEEDED:
                self.top = best([*self.top, record])

    def __len__(self) -> int:
        return len(self.records)


def best(records: Sequence[TrialRecord], count: int = MOST_TOP) -> list[TrialRecord]:
    """Return the records with the highest rewards, the earliest of equals first."""
    rewarded = [record for record in records if record.reward is not None]
    return sorted(rewarded, key=lambda record: (-(record.reward or 0.0), record.trial))[:count]


@dataclass(slots=True)
class SearchState:
    """The full state of a search apart from the Jobs that run at the moment."""

    header: Header
    settings: BlockSearchSpec
    """The resolved spec as of now; its pinned sections are the header's."""
    shards: list[Shard]
    archive: Archive
    agent: Search

    @classmethod
    def recover(
        cls,
        header: Header,
        settings: BlockSearchSpec,
        shards: Sequence[Shard],
        records: Sequence[TrialRecord],
    ) -> "SearchState":
        """Build the state from the stored history, as the live run left it.

        Raises:
            HistoryUnreadable: when the records do not fit such a search.
        """
        state = cls(header, settings, list(shards), Archive(), new_agent(settings, header.seed))
        try:
            state.extend(records)
        except (InvalidBlock, InvalidHistory) as error:
            raise HistoryUnreadable(
                f"The history is not one of this search: {error} Restore the search's history "
                "ConfigMaps from a backup, or start another search."
            ) from None
        return state

    def extend(self, records: Sequence[TrialRecord]) -> None:
        """Add records that are stored now, and learn from each iteration that they complete."""
        self.archive.extend(records)
        size, epochs = self.settings.agent.batch_size, self.settings.training.epochs
        starts = range(self.agent.learned * size, len(self.archive) - size + 1, size)
        self.agent.learn_all(
            [
                [_experience(record, epochs) for record in self.archive.records[at : at + size]]
                for at in starts
            ]
        )


def new_agent(settings: BlockSearchSpec, seed: int) -> Search:
    """Return the agent of a search that has learned nothing yet.

    Raises:
        InvalidSearch: when its strategy is not installed here, or refuses settings that it took
            when the search began.
    """
    try:
        return Search(
            SearchSettings(
                space=settings.space,
                agent=settings.agent,
                reward=settings.reward,
                network=settings.network,
            ),
            seed=seed,
            images=settings.dataset.images,
        )
    except InvalidSettings as error:
        raise InvalidSearch(f"spec.{error}") from None


def _experience(record: TrialRecord, epochs: int) -> Experience:
    # A curve is shorter where its training stopped itself, and where it was thinned to be stored.
    curve = record.curve if len(record.curve) == epochs else ()
    return Experience(record.trial, Block.parse(record.block), record.reward, curve)
