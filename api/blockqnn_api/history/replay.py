"""A search's memory: its archived records and the agent that has learned from them.

All of it is derived from the history, so it can be dropped and built again at any time; the result
is the same to the last bit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn.contract.metrics import Metrics
from blockqnn.errors import InvalidBlock, InvalidHistory, InvalidSettings
from blockqnn.network.spec import ImageShape
from blockqnn.search import Experience, Proposal, Search, SearchSettings
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


class Lesson(NamedTuple):
    """Content of a record that an agent learns from."""

    trial: int
    block: str
    """Its Network Structure Code."""
    reward: float | None
    curve: tuple[float, ...]
    """The accuracy after each epoch, 0 to 1; empty if the training was not complete."""


def lessons(records: Sequence[TrialRecord], epochs: int) -> list[Lesson]:
    """Return the lessons of records of trainings of a number of epochs."""
    # A curve is shorter where its training stopped itself, and where it was thinned to be stored.
    return [
        Lesson(
            record.trial,
            record.block,
            record.reward,
            tuple(record.curve) if len(record.curve) == epochs else (),
        )
        for record in records
    ]


class Agent(Protocol):
    """An agent as its search sees it, wherever it computes; see :class:`blockqnn.search.Search`."""

    @property
    def learned(self) -> int:
        """Number of iterations that have been learned, which is the number of the next one."""
        ...

    def epsilon(self, iteration: int) -> float:
        """Return the probability with which an iteration draws a layer at random, 0 to 1."""
        ...

    def proposable(self, iteration: int) -> bool:
        """Return whether the blocks of an iteration can be had now."""
        ...

    def proposals(self, iteration: int) -> tuple[Proposal, ...]:
        """Return the blocks of an iteration that is proposable, in trial order."""
        ...

    def admits(self, block: Block) -> bool:
        """Return whether a block belongs to the space and can be learned from."""
        ...

    def reward(self, block: Block, metrics: Metrics) -> float:
        """Return the reward of a block, in percent."""
        ...

    def learn_from(self, archive: Archive) -> None:
        """Learn the iterations that a search's archive completes and that are not learned yet."""
        ...


class Blueprint(NamedTuple):
    """Definition of an agent: two agents of one blueprint and one history are equal."""

    settings: SearchSettings
    images: ImageShape | None
    seed: int
    epochs: int
    """Number of epochs of a complete training."""

    @classmethod
    def of(cls, settings: BlockSearchSpec, seed: int) -> "Blueprint":
        """Return the blueprint of a search's agent."""
        return cls(
            SearchSettings(
                space=settings.space,
                agent=settings.agent,
                reward=settings.reward,
                network=settings.network,
            ),
            settings.dataset.images,
            seed,
            settings.training.epochs,
        )

    @property
    def batch_size(self) -> int:
        """Number of trials of an iteration."""
        return self.settings.agent.batch_size


class LearningAgent(Search):
    """An agent that learns its search's history where it is asked to.

    Raises:
        InvalidSearch: when its strategy is not installed here, or refuses settings that it took
            when the search began.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint
        try:
            super().__init__(blueprint.settings, seed=blueprint.seed, images=blueprint.images)
        except InvalidSettings as error:
            raise InvalidSearch(f"spec.{error}") from None

    def learn_from(self, archive: Archive) -> None:
        """Learn the iterations that an archive completes and that are not learned yet."""
        first = self.learned * self.blueprint.batch_size
        self.learn_lessons(lessons(archive.records[first:], self.blueprint.epochs))

    def learn_lessons(self, following: Sequence[Lesson]) -> None:
        """Learn the complete iterations among the lessons that follow those learned.

        Raises:
            HistoryUnreadable: when they are not those of such a search.
        """
        size = self.blueprint.batch_size
        try:
            self.learn_all(
                [
                    [
                        Experience(lesson.trial, Block.parse(lesson.block), *lesson[2:])
                        for lesson in following[start : start + size]
                    ]
                    for start in range(0, len(following) - size + 1, size)
                ]
            )
        except (InvalidBlock, InvalidHistory) as error:
            raise HistoryUnreadable(
                f"The history is not one of this search: {error} Restore the search's history "
                "ConfigMaps from a backup, or start another search."
            ) from None


@dataclass(slots=True)
class SearchState:
    """The full state of a search apart from the Jobs that run at the moment."""

    header: Header
    settings: BlockSearchSpec
    """The resolved spec as of now; its pinned sections are the header's."""
    shards: list[Shard]
    archive: Archive
    agent: Agent

    @classmethod
    def recover(
        cls,
        header: Header,
        settings: BlockSearchSpec,
        shards: Sequence[Shard],
        records: Sequence[TrialRecord],
        make_agent: Callable[[Blueprint], Agent] = LearningAgent,
    ) -> "SearchState":
        """Build the state from the stored history, as the live run left it.

        Args:
            header: the first line of the history.
            settings: the resolved spec.
            shards: the history as it is stored.
            records: its records.
            make_agent: makes an agent that has learned nothing yet.

        Raises:
            HistoryUnreadable: when the records do not fit such a search.
            InvalidSearch: when there is no such agent.
        """
        agent = make_agent(Blueprint.of(settings, header.seed))
        state = cls(header, settings, list(shards), Archive(), agent)
        state.extend(records)
        return state

    def extend(self, records: Sequence[TrialRecord]) -> None:
        """Add records that are stored now, and learn from each iteration that they complete."""
        self.archive.extend(records)
        self.agent.learn_from(self.archive)


def new_agent(settings: BlockSearchSpec, seed: int) -> LearningAgent:
    """Return the agent of a search that has learned nothing yet.

    Raises:
        InvalidSearch: when its strategy is not installed here, or refuses settings that it took
            when the search began.
    """
    return LearningAgent(Blueprint.of(settings, seed))
