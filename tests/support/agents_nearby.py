"""Agents that answer in the tests' own process: at once, or some looks late."""

from collections.abc import Callable
from datetime import datetime

from blockqnn.errors import BlockQNNError
from blockqnn_operator.shell.agents.remote import RemoteAgent
from blockqnn_operator.shell.agents.worker import AgentWorker
from blockqnn_operator.shell.kubernetes.informer import Key


class AgentsNearby:
    """Answers each request when it has been made a number of times.

    Args:
        late: returns how many more times a request is to be made before it is answered.
    """

    def __init__(self, late: Callable[[], int] = lambda: 0) -> None:
        self._late = late
        self._workers: dict[int, tuple[RemoteAgent, AgentWorker, int]] = {}
        self._left: dict[int, int] = {}

    def work(self, _key: Key, agent: RemoteAgent) -> None:
        """Answer, or put it off."""
        if not agent.waits:
            return
        left = self._left.pop(id(agent), None)
        left = self._late() if left is None else left - 1
        if left > 0:
            self._left[id(agent)] = left
            return
        try:
            _, worker, learned = self._workers.get(id(agent)) or (
                agent,
                AgentWorker(agent.blueprint),
                0,
            )
            answer = worker.answer(agent.request(learned))
        except BlockQNNError as error:
            agent.fail(error)
            return
        self._workers[id(agent)] = agent, worker, answer.learned
        agent.accept(answer)

    def working_since(self, _key: Key) -> datetime | None:
        """Say that nothing is under way."""
        return None

    def forget(self, _key: Key) -> None:
        """Keep everything: a search is never gone here for good."""
