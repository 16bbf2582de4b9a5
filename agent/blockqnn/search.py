"""A complete search: it proposes blocks and learns from the results of their trials.

Pure and deterministic: no clock, no I/O, no state but its inputs. Trial i belongs to iteration
i // batchSize; the blocks of an iteration are a function of the settings, the seed and the
iterations learned before it. So a search that lost its process continues after it learns its
history again (:meth:`Search.recover`), which gives the same values, to the last bit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Self

from blockqnn.block.graph import canonical_hash
from blockqnn.block.layer_types import check_layers
from blockqnn.block.nsc import Block
from blockqnn.contract.metrics import Metrics
from blockqnn.contract.training import StoppingRule
from blockqnn.errors import ForeignHistory, InvalidBlock, InvalidHistory, NotProposable
from blockqnn.learning.reward import reward
from blockqnn.network.spec import ImageShape, NetworkSpec
from blockqnn.settings.epsilon_schedule import scaled
from blockqnn.settings.search import SearchSettings
from blockqnn.space.block_space import Space
from blockqnn.space.constraints.limits import Limits
from blockqnn.space.protocol import Candidate
from blockqnn.strategies.base import Feedback
from blockqnn.strategies.checks import check_agent
from blockqnn.strategies.registry import create_strategy
from blockqnn.surrogate.early_termination import LearningCurves
from blockqnn.surrogate.ridge import Prediction

__all__ = ["Experience", "Proposal", "Search", "SearchSettings"]


@dataclass(frozen=True, slots=True)
class Experience:
    """Result of one trial."""

    trial: int
    """Number of the trial, counted from 0 over the whole search."""
    block: Block
    """The block that was trained: as proposed by this version or by an earlier one."""
    reward: float | None
    """The redefined reward in percent; None if the trial failed and is not learned from."""
    curve: Sequence[float] = ()
    """The accuracy after each epoch, 0 to 1; empty if the training was not complete."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A block to be tried."""

    trial: int
    """Number of the trial, counted from 0 over the whole search."""
    iteration: int
    """Number of its iteration, counted from 0."""
    block: Block
    hash: str
    """:func:`blockqnn.block.graph.canonical_hash` of the block."""
    expected: Prediction | None = None
    """Predicted share of the trials before its iteration that it is better than; None if no
    predictor chose it."""
    stopping: tuple[StoppingRule, ...] = ()
    """Rules by which its training may stop early, as learned from earlier trials."""


class Search:
    """Proposes blocks, iteration by iteration, and learns from their rewards.

    Args:
        settings: the settings of the search.
        seed: fixes every random choice.
        iterations: the number of iterations that the epsilon schedule is scaled to; None uses it
            unchanged. After the end of the schedule its last stage continues, so a budget that is
            raised later does not change this number.
        images: the shape of the images; needed for constraints, which depend on it.

    Raises:
        InvalidSettings: when constraints are given without images, or leave no block, the
            predictor contradicts the rest of the agent, the types of layers contradict the rest
            of the space, or no strategy of the name `agent.algorithm` is registered.
    """

    def __init__(
        self,
        settings: SearchSettings,
        seed: int,
        iterations: int | None = None,
        images: ImageShape | None = None,
    ) -> None:
        if iterations is not None:
            stages = scaled(settings.agent.epsilon_schedule, iterations)
            agent = settings.agent.model_copy(update={"epsilon_schedule": stages})
            settings = settings.model_copy(update={"agent": agent})
        check_agent(settings.agent)
        space = settings.space
        check_layers(space.layers, space.convolution, space.start_with_identity)
        self._settings = settings
        self._batch_size = settings.agent.batch_size
        self._pipelining = settings.agent.pipelining
        self._limits = Limits(settings.space, settings.network, images)
        self._space = Space(settings.space, self._limits, settings.network, images)
        self._strategy = create_strategy(settings.agent, self._space, seed)
        early = settings.agent.early_termination
        self._curves = LearningCurves(early) if early else None
        self._learned = 0
        self._proposals: dict[int, tuple[Proposal, ...]] = {}
        self._tried: Mapping[int, Sequence[Experience]] = {}
        """The iterations that :meth:`learn_all` is learning, by number."""

    @property
    def learned(self) -> int:
        """Number of iterations that have been learned, which is the number of the next one."""
        return self._learned

    def epsilon(self, iteration: int) -> float:
        """Return the probability with which an iteration draws a layer at random, 0 to 1."""
        return self._strategy.epsilon(iteration)

    def proposable(self, iteration: int, learned: int | None = None) -> bool:
        """Return whether :meth:`proposals` is possible for an iteration.

        It is always possible for the next iteration to be learned, and for `agent.pipelining` more
        after it; for later ones if learning cannot change them (epsilon 1, random search); for
        earlier ones only if they do not depend on values at all, because the values have changed
        since.

        Args:
            iteration: its number.
            learned: the number of iterations that are learned then; None for those learned now.
        """
        learned = self._learned if learned is None else learned
        if learned <= iteration <= learned + self._pipelining:
            return True
        return iteration >= 0 and self._strategy.proposable(iteration, learned)

    def proposals(self, iteration: int) -> tuple[Proposal, ...]:
        """Return the blocks of an iteration, always a full batch, in trial order.

        Repeated calls for an iteration return the same blocks. If the budget ends within an
        iteration, the caller leaves out the trials beyond it.

        Raises:
            NotProposable: when :meth:`proposable` is false.
        """
        if not self.proposable(iteration):
            raise NotProposable(
                f"Iteration {iteration} cannot be proposed with {self._learned} iterations "
                f"learned, for its blocks depend on them; propose iteration {self._learned}."
            )
        batch = self._proposals.get(iteration)
        if batch is None:
            first = iteration * self._batch_size
            candidates = self._strategy.propose(iteration, self._in_flight(iteration))
            blocks = [self._space.decode(numbers) for numbers in candidates]
            batch = tuple(
                Proposal(
                    trial,
                    iteration,
                    block,
                    canonical_hash(block),
                    self._strategy.expected(candidate),
                    self._stopping(iteration, block),
                )
                for trial, (block, candidate) in enumerate(
                    zip(blocks, candidates, strict=True), first
                )
            )
            self._proposals[iteration] = batch
        return batch

    def _stopping(self, iteration: int, block: Block) -> tuple[StoppingRule, ...]:
        if self._curves is None or self._strategy.proposable(iteration, iteration + 1):
            # What can be proposed at any time must not depend on what was learned until then.
            return ()
        return self._curves.rules(-self.reward(block, {}))

    def _in_flight(self, iteration: int) -> list[Candidate]:
        """Return the candidates before an iteration that are not learned yet when it is proposed.

        Without pipelining there are none. Iterations beyond the reach of pipelining are random, and
        avoid earlier random candidates by themselves.
        """
        if not self._learned < iteration <= self._learned + self._pipelining:
            return []
        blocks = [
            trial.block
            for earlier in range(self._learned, iteration)
            for trial in self._tried.get(earlier) or self.proposals(earlier)
        ]
        # A foreign block of a history is refused when its turn comes.
        return [self._space.encode(block) for block in blocks if self.admits(block)]

    def admits(self, block: Block) -> bool:
        """Return whether a block belongs to the space, limits included, and can be learned from."""
        try:
            self._space.encode(block)
        except InvalidBlock:
            return False
        return True

    def network_for(self, block: Block) -> NetworkSpec:
        """Return the stacking of a block, which depends on the block if repeats are adaptive."""
        return self._limits.network_for(block.body)

    def reward(self, block: Block, metrics: Metrics) -> float:
        """Return the reward of a block, in percent.

        Args:
            block: the block.
            metrics: what its training measured; nothing if it was infeasible.
        """
        return reward(block, metrics, self._settings.reward, self._settings.network)

    def learn(self, batch: Sequence[Experience]) -> None:
        """Learn the next iteration, number :attr:`learned`, from all of its trials.

        The blocks may differ from those that would be proposed now; only the tried blocks count. A
        last iteration that the budget cuts short is not learned, as nothing is proposed after it.
        If the budget is raised, its other trials are proposed from the same values, and all of it
        is learned, exactly as if the budget had been larger from the start.

        Raises:
            InvalidHistory: when these are not the trials of the iteration in order, a reward is
                not finite, or a block does not belong to the space; then nothing has been learned.
        """
        self._check(batch)
        try:
            feedback = [
                Feedback(self._space.encode(experience.block), experience.reward)
                for experience in batch
            ]
        except InvalidBlock as error:
            raise ForeignHistory(f"Iteration {self._learned} cannot be learned. {error}") from None
        self._propose_ahead()
        self._strategy.learn(self._learned, feedback)
        if self._curves is not None:
            for experience in batch:
                if experience.curve and experience.reward is not None:
                    self._curves.add(experience.curve, experience.reward)
        self._proposals.pop(self._learned, None)
        self._learned += 1

    def learn_all(self, batches: Sequence[Sequence[Experience]]) -> None:
        """Learn several iterations, one after the other, as :meth:`learn` does each.

        Their trials are given, so nothing is proposed in their place; with pipelining and a
        predictor, such proposals would take most of the time of a recovery.

        Raises:
            InvalidHistory: as :meth:`learn`; then the iterations before it have been learned.
        """
        self._tried = dict(enumerate(batches, self._learned))
        try:
            for batch in batches:
                self.learn(batch)
        finally:
            self._tried = {}

    def _propose_ahead(self) -> None:
        """Propose the next iterations from the current values, before these change.

        This happens always, not only on request. So proposals do not depend on timing, and a
        recovered search has the same ones.
        """
        for iteration in range(self._learned + 1, self._learned + self._pipelining + 1):
            if iteration not in self._tried:
                self.proposals(iteration)

    def _check(self, batch: Sequence[Experience]) -> None:
        first = self._learned * self._batch_size
        expected = range(first, first + self._batch_size)
        if [experience.trial for experience in batch] != list(expected):
            raise InvalidHistory(
                f"Iteration {self._learned} consists of the trials {first} to {expected[-1]} in "
                f"this order, but {_say_trials(batch)} given; learn all of them at once, failed "
                "ones with no reward."
            )
        for experience in batch:
            if experience.reward is not None and not isfinite(experience.reward):
                raise InvalidHistory(
                    f"Trial {experience.trial} has the reward {experience.reward}; give a finite "
                    "number, or None when the trial failed."
                )

    @classmethod
    def recover(
        cls,
        settings: SearchSettings,
        seed: int,
        history: Iterable[Experience],
        iterations: int | None = None,
        images: ImageShape | None = None,
    ) -> Self:
        """Return a search that has learned a history, in the same state as the original search.

        Args:
            settings: those of the search.
            seed: that of the search.
            history: its trials from the first on, in order; an incomplete iteration at the end is
                not learned yet.
            iterations: that of the search.
            images: those of the search.

        Raises:
            InvalidHistory: when the trials are not those of such a search.
        """
        search = cls(settings, seed, iterations, images)
        trials = iter(history)
        size = settings.agent.batch_size
        batches = []
        while len(batch := tuple(islice(trials, size))) == size:
            batches.append(batch)
        search.learn_all(batches)
        return search


def _say_trials(batch: Sequence[Experience]) -> str:
    if not batch:
        return "none are"
    trials = [experience.trial for experience in batch]
    if trials == list(range(trials[0], trials[0] + len(trials))):
        return f"{trials[0]} to {trials[-1]} are"
    return f"{len(trials)} trials in another order or with gaps are"
