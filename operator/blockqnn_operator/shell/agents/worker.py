"""An agent where it computes: it answers requests, in a process that ends with the operator's.

A process that has once computed for long yields to the operator and to all other agents. Each is
the first to go when memory runs out: it can be started again from the history at any time.
"""

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from blockqnn.errors import BlockQNNError
from blockqnn.search import Proposal
from blockqnn_api.history.replay import Blueprint, LearningAgent, Lesson

LONG_SECONDS = 2.0
"""Processor time of one answer after which a process yields to all others, until it ends. A first
answer to a search of the papers takes 0.02 s."""

NICENESS_OF_LONG = 10
"""Nine such processes together get less than the operator, or a trainer on the same machine."""

_FIRST_TO_GO = "1000"


class Request(NamedTuple):
    """Question to an agent."""

    lessons: tuple[Lesson, ...]
    """Those of the whole iterations that follow the ones it has learned."""
    iterations: tuple[int, ...] = ()
    """Iterations whose blocks are wanted, as far as they can be proposed."""


class Answer(NamedTuple):
    """Answer of an agent that has learned all lessons."""

    learned: int
    """Number of iterations that it has learned."""
    proposals: Mapping[int, tuple[Proposal, ...]]
    """The blocks of iterations, by number."""
    seconds: float
    """Processor time that the answer took."""


class AgentWorker:
    """Answers requests, one after the other.

    Raises:
        InvalidSearch: when there is no such agent.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        self._agent = LearningAgent(blueprint)

    def answer(self, request: Request) -> Answer:
        """Learn, then propose.

        Raises:
            HistoryUnreadable: when the lessons are not those of such a search.
        """
        begun = time.process_time()
        agent = self._agent
        agent.learn_lessons(request.lessons)
        wanted = request.iterations
        proposals = {i: agent.proposals(i) for i in wanted if agent.proposable(i)}
        return Answer(agent.learned, proposals, time.process_time() - begun)


def serve(connection: Connection, blueprint: Blueprint) -> None:
    """Answer requests until the other end of the connection is closed.

    Every answer is an :class:`Answer`, or the :class:`BlockQNNError` that kept it from being given.
    Any other exception ends the process.
    """
    _yield_to_others()
    worker: AgentWorker | None = None
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            request = connection.recv()
            signal.setitimer(signal.ITIMER_PROF, LONG_SECONDS)
            try:
                worker = worker or AgentWorker(blueprint)
                answer: Answer | BlockQNNError = worker.answer(request)
            except BlockQNNError as error:
                answer = error
            signal.setitimer(signal.ITIMER_PROF, 0)
            connection.send(answer)


def _yield_to_others() -> None:
    # The operator ends its agents itself, after Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS_OF_LONG, 19)
    signal.signal(
        signal.SIGPROF,
        lambda _number, _frame: os.setpriority(os.PRIO_PROCESS, 0, niceness),
    )
    # What has started the operator may have blocked it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
