"""An agent as its search sees it: its blocks as far as they have arrived, the rest to be asked for.

It never computes what a spec can make slow. Learning and proposing belong to a process of its own
(:mod:`.worker`); what depends on the settings alone is answered here at once.
"""

from datetime import datetime
from typing import Protocol

from blockqnn.block.nsc import Block
from blockqnn.contract.metrics import Metrics
from blockqnn.errors import BlockQNNError, NotProposable
from blockqnn.search import Proposal
from blockqnn_api.history.replay import Archive, Blueprint, LearningAgent, lessons
from blockqnn_operator.shell.agents.worker import Answer, Request
from blockqnn_operator.shell.kubernetes.informer import Key


class RemoteAgent:
    """The agent of a search, wherever its process is; one that has none learns all anew.

    Args:
        blueprint: the agent.

    Raises:
        InvalidSearch: when there is no such agent.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint
        self._twin = LearningAgent(blueprint)
        """Learns nothing: answers what depends on the settings alone."""
        self._archive = Archive()
        self._learned = 0
        self._proposals: dict[int, tuple[Proposal, ...]] = {}
        self._wanted: set[int] = set()
        self._failure: BlockQNNError | None = None
        self.seconds = 0.0
        """Processor time that its answers have taken."""

    @property
    def learned(self) -> int:
        """Number of iterations that are complete; its process may be about to learn them."""
        return self._learned

    def epsilon(self, iteration: int) -> float:
        """Return the probability with which an iteration draws a layer at random, 0 to 1."""
        return self._twin.epsilon(iteration)

    def admits(self, block: Block) -> bool:
        """Return whether a block belongs to the space and can be learned from."""
        return self._twin.admits(block)

    def reward(self, block: Block, metrics: Metrics) -> float:
        """Return the reward of a block, in percent."""
        return self._twin.reward(block, metrics)

    def learn_from(self, archive: Archive) -> None:
        """Note which iterations are complete; they are learned when blocks are asked for."""
        self._archive = archive
        self._learned = len(archive) // self.blueprint.batch_size
        self._proposals = {i: b for i, b in self._proposals.items() if i >= self._learned}
        self._wanted = {i for i in self._wanted if i >= self._learned}

    def proposable(self, iteration: int) -> bool:
        """Return whether the blocks of an iteration have arrived; if not, they are wanted.

        Who asks for one iteration will ask for the next, so that is wanted as well.
        """
        self.awaits(iteration)
        self.awaits(iteration + 1)
        return iteration in self._proposals

    def awaits(self, iteration: int) -> bool:
        """Return whether the blocks of an iteration can be proposed and have not arrived yet.

        They are wanted from now on.
        """
        if iteration in self._proposals or not self._twin.proposable(iteration, self._learned):
            return False
        self._wanted.add(iteration)
        return True

    def proposals(self, iteration: int) -> tuple[Proposal, ...]:
        """Return the blocks of an iteration, in trial order.

        Raises:
            NotProposable: when they have not arrived.
        """
        if iteration not in self._proposals:
            raise NotProposable(f"The blocks of iteration {iteration} have not arrived yet.")
        return self._proposals[iteration]

    @property
    def waits(self) -> bool:
        """True if blocks are wanted that have not arrived."""
        return bool(self._wanted)

    def request(self, known: int) -> Request:
        """Return what to ask a process for that has learned a number of iterations."""
        size, epochs = self.blueprint.batch_size, self.blueprint.epochs
        following = self._archive.records[known * size : self._learned * size]
        return Request(tuple(lessons(following, epochs)), tuple(sorted(self._wanted)))

    def accept(self, answer: Answer) -> None:
        """Keep the blocks of an answer, unless their iteration is over by now."""
        self.seconds += answer.seconds
        for iteration, batch in answer.proposals.items():
            self._wanted.discard(iteration)
            if iteration >= self._learned:
                self._proposals.setdefault(iteration, batch)

    def fail(self, error: BlockQNNError) -> None:
        """Note the reason why there is no answer."""
        self._failure = error

    def raise_failure(self) -> None:
        """Raise the reason why there was no answer, if any; the search must be recovered then."""
        if self._failure is not None:
            raise self._failure


class Agents(Protocol):
    """Asks agents, elsewhere, for what they are to propose."""

    def work(self, key: Key, agent: RemoteAgent) -> None:
        """Have an agent asked for the blocks that are wanted, unless that is under way.

        Another agent of the same search is forgotten.
        """
        ...

    def working_since(self, key: Key) -> datetime | None:
        """Return since when a search's agent has been asked; None if it is not."""
        ...

    def forget(self, key: Key) -> None:
        """End what the agent of a search computes; the search is gone."""
        ...
