"""The processes of all agents: who may compute at a time, and who keeps a process.

The kernel shares the processors among processes, so a search whose agent computes for minutes
delays no other. Only a few agents of a namespace compute at the same time; the others of that
namespace wait for them, and nobody else does.
"""

import asyncio
import logging
import os
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from blockqnn.errors import BlockQNNError
from blockqnn_operator.errors import AgentEnded
from blockqnn_operator.shell.agents.process import AgentProcess
from blockqnn_operator.shell.agents.remote import RemoteAgent
from blockqnn_operator.shell.kubernetes.informer import Key

AT_ONCE = max(2, (os.cpu_count() or 2) // 2)
"""Most agents of a namespace that compute at the same time: half of the processors, at least 2."""

IDLE_PROCESSES = 24
"""Most processes that are kept for the next request; the ones that were idle longest end first. One
takes 6 MiB of its own before it has learned anything; a new one learns its history again."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Work:
    """A request that is under way."""

    agent: RemoteAgent
    task: asyncio.Task[None]
    since: datetime


class AgentPool:
    """Asks agents, beside the loop, for blocks that are wanted.

    Args:
        wake: called with the key of a search once its agent has answered, or failed.
        clock: tells the time.
    """

    def __init__(
        self,
        wake: Callable[[Key], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._wake = wake
        self._clock = clock
        self._works: dict[Key, _Work] = {}
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(AT_ONCE)
        )
        self._idle: OrderedDict[Key, tuple[RemoteAgent, AgentProcess]] = OrderedDict()
        """The process that each search keeps, the longest idle first."""

    def work(self, key: Key, agent: RemoteAgent) -> None:
        """Have an agent asked for the blocks that are wanted, unless that is under way.

        Another agent of the same search is forgotten.
        """
        work = self._works.get(key)
        if work is not None and work.agent is agent:
            return
        self.forget(key, but=agent)
        if agent.waits:
            task = asyncio.create_task(self._ask(key, agent), name=f"agent of {'/'.join(key)}")
            self._works[key] = _Work(agent, task, self._clock())

    def working_since(self, key: Key) -> datetime | None:
        """Return since when a search's agent has been asked; None if it is not."""
        work = self._works.get(key)
        return work.since if work else None

    def forget(self, key: Key, but: RemoteAgent | None = None) -> None:
        """End what the agents of a search compute, and their processes, but for one agent's."""
        work = self._works.get(key)
        if work is not None and work.agent is not but:
            work.task.cancel()
            del self._works[key]
        kept = self._idle.get(key)
        if kept is not None and kept[0] is not but:
            del self._idle[key]
            kept[1].kill()

    async def close(self) -> None:
        """End all processes."""
        tasks = [work.task for work in self._works.values()]
        for key in {*self._works, *self._idle}:
            self.forget(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, key: Key, agent: RemoteAgent) -> None:
        try:
            async with self._turns[key[0]]:
                await self._ask_in_turn(key, agent)
        except BlockQNNError as error:
            agent.fail(error)
        except Exception as error:
            logger.exception("%s: its agent cannot be asked", "/".join(key))
            agent.fail(AgentEnded(f"The search's agent cannot be asked: {error}."))
        del self._works[key]
        self._wake(key)

    async def _ask_in_turn(self, key: Key, agent: RemoteAgent) -> None:
        _, process = self._idle.pop(key, (agent, None))
        if process is None:
            process = await AgentProcess.start(agent.blueprint)
        try:
            agent.accept(await process.ask(agent.request(process.learned)))
        except BaseException:
            process.kill()
            raise
        self._idle[key] = agent, process
        while len(self._idle) > IDLE_PROCESSES:
            _, (_, longest) = self._idle.popitem(last=False)
            longest.kill()
