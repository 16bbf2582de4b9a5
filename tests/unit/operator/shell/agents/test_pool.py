"""Agents compute in processes of their own: equal to one beside the caller, and in nobody's way."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from operator_builders import make_record, make_spec

from blockqnn.search import Search
from blockqnn_api.errors import HistoryUnreadable
from blockqnn_api.history.replay import Archive, Blueprint, LearningAgent
from blockqnn_api.resolve import resolve
from blockqnn_operator.errors import AgentEnded
from blockqnn_operator.shell.agents import pool as pool_module
from blockqnn_operator.shell.agents.pool import AT_ONCE, AgentPool
from blockqnn_operator.shell.agents.process import AgentProcess
from blockqnn_operator.shell.agents.remote import RemoteAgent
from blockqnn_operator.shell.agents.worker import NICENESS_OF_LONG
from blockqnn_operator.shell.kubernetes.informer import Key

DEADLINE = 30.0
"""Seconds after which an answer counts as none."""

HIGHEST_NICENESS = 19
"""The kernel's limit."""

KEY = ("lab", "digits")

SCHEDULE = [{"epsilon": 1.0, "iterations": 1}, {"epsilon": 0.3, "iterations": 5}]

GREEDY = {"replay": {"updates": 1_000_000, "sampleSize": 10_000}}
"""Learning that takes many seconds."""


def blueprint_of(seed: int = 3, **agent: Any) -> Blueprint:
    settings = {"batchSize": 4, "epsilonSchedule": SCHEDULE, **agent}
    return Blueprint.of(resolve(make_spec(agent=settings, budget={"trials": 24})), seed)


def learned(blueprint: Blueprint, iterations: int) -> tuple[Archive, LearningAgent]:
    """A history of iterations as an agent proposes them, and the agent that has learned it."""
    agent, archive = LearningAgent(blueprint), Archive()
    for iteration in range(iterations):
        blocks = [proposal.block for proposal in agent.proposals(iteration)]
        first = len(archive)
        archive.extend([make_record(first + i, b, reward=float(i)) for i, b in enumerate(blocks)])
        agent.learn_from(archive)
    return archive, agent


class Asked(AgentPool):
    """A pool that says when an agent has answered."""

    def __init__(self) -> None:
        super().__init__(lambda key: self.answered[key].set())
        self.answered: dict[Key, asyncio.Event] = {}

    def begin(self, key: Key, agent: RemoteAgent) -> None:
        self.answered[key] = asyncio.Event()
        self.work(key, agent)

    async def answer(self, key: Key, agent: RemoteAgent, iteration: int) -> None:
        """Have an iteration proposed."""
        assert not agent.proposable(iteration)
        self.begin(key, agent)
        await asyncio.wait_for(self.answered[key].wait(), DEADLINE)

    def process_of(self, key: Key) -> AgentProcess:
        return self._idle[key][1]


@pytest.fixture
async def pool() -> AsyncIterator[Asked]:
    asked = Asked()
    yield asked
    await asked.close()


@pytest.fixture
def greedy() -> Iterator[Callable[[], RemoteAgent]]:
    """Makes agents that learn for a long time before they propose iteration 1."""
    archive, _ = learned(blueprint_of(), 1)

    def make() -> RemoteAgent:
        agent = RemoteAgent(blueprint_of(**GREEDY))
        agent.learn_from(archive)
        assert not agent.proposable(1)
        return agent

    return make


async def ended(process: ForkServerProcess) -> bool:
    await asyncio.to_thread(process.join, DEADLINE)
    return not process.is_alive()


@pytest.mark.parametrize("pipelining", [0, 2])
async def test_a_process_proposes_what_an_agent_beside_the_caller_does(
    pool: Asked, pipelining: int
) -> None:
    blueprint = blueprint_of(pipelining=pipelining)
    remote, local, archive = RemoteAgent(blueprint), LearningAgent(blueprint), Archive()
    for iteration in range(6):
        await pool.answer(KEY, remote, iteration) if not remote.proposable(iteration) else None
        proposed = remote.proposals(iteration)
        assert proposed == local.proposals(iteration)
        first = len(archive)
        archive.extend(
            [make_record(first + i, p.block, reward=float(i % 3)) for i, p in enumerate(proposed)]
        )
        remote.learn_from(archive)
        local.learn_from(archive)


async def test_the_operator_itself_neither_learns_nor_proposes(
    pool: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, local = learned(blueprint_of(), 1)
    expected = local.proposals(1)
    for name in ("learn", "proposals"):
        monkeypatch.delattr(Search, name)
    agent = RemoteAgent(blueprint_of())
    agent.learn_from(archive)
    await pool.answer(KEY, agent, 1)
    assert agent.proposals(1) == expected


async def test_a_new_process_learns_what_the_old_one_knew(
    pool: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "IDLE_PROCESSES", 1)
    blueprint = blueprint_of()
    archive, local = learned(blueprint, 3)
    agents = {("lab", name): RemoteAgent(blueprint) for name in ("first", "second")}
    for _ in range(2):
        for key, agent in agents.items():
            agent.learn_from(archive)
            if not agent.proposable(local.learned):
                await pool.answer(key, agent, local.learned)
            assert agent.proposals(local.learned) == local.proposals(local.learned)
        blocks = [proposal.block for proposal in local.proposals(local.learned)]
        first = len(archive)
        archive.extend([make_record(first + i, b, reward=1.0) for i, b in enumerate(blocks)])
        local.learn_from(archive)


async def test_whoever_learns_for_long_delays_no_other_namespace(
    pool: Asked, greedy: Callable[[], RemoteAgent]
) -> None:
    for number in range(AT_ONCE + 2):
        pool.begin(("greedy", str(number)), greedy())
    agent = RemoteAgent(blueprint_of())
    await pool.answer(KEY, agent, 0)
    assert len(agent.proposals(0)) == 4
    assert pool.working_since(("greedy", "0")), "these are still learning"
    assert pool.working_since(KEY) is None


async def test_the_loop_goes_on_while_agents_learn(
    pool: Asked, greedy: Callable[[], RemoteAgent]
) -> None:
    for number in range(AT_ONCE):
        pool.begin(("greedy", str(number)), greedy())
    await pool.answer(KEY, RemoteAgent(blueprint_of()), 0)
    longest = 0.0
    for _ in range(50):
        begun = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - begun)
    assert longest < 1.0


async def test_a_process_that_is_killed_is_reported_with_its_signal(
    pool: Asked, greedy: Callable[[], RemoteAgent]
) -> None:
    agent = RemoteAgent(blueprint_of())
    await pool.answer(KEY, agent, 0)
    victim = pool.process_of(KEY)._process
    agent.learn_from(learned(blueprint_of(), 1)[0])
    os.kill(victim.pid or 0, signal.SIGKILL)
    await pool.answer(KEY, agent, 1)
    with pytest.raises(AgentEnded, match=r"SIGKILL\. Memory may have run out"):
        agent.raise_failure()


async def test_a_history_of_another_search_is_reported(pool: Asked) -> None:
    agent = RemoteAgent(blueprint_of())
    archive = Archive()
    archive.extend([make_record(number + 1) for number in range(4)])
    agent.learn_from(archive)
    await pool.answer(KEY, agent, 1)
    with pytest.raises(HistoryUnreadable, match="not one of this search"):
        agent.raise_failure()


async def test_a_forgotten_search_ends_its_process(
    pool: Asked, greedy: Callable[[], RemoteAgent]
) -> None:
    first = RemoteAgent(blueprint_of())
    await pool.answer(KEY, first, 0)
    idle = pool.process_of(KEY)._process
    pool.forget(KEY)
    assert await ended(idle)
    pool.begin(KEY, greedy())
    pool.forget(KEY)
    assert pool.working_since(KEY) is None


async def test_another_agent_of_a_search_takes_the_place_of_the_first(
    pool: Asked, greedy: Callable[[], RemoteAgent]
) -> None:
    pool.begin(KEY, greedy())
    agent = RemoteAgent(blueprint_of())
    await pool.answer(KEY, agent, 0)
    assert len(agent.proposals(0)) == 4


async def test_processes_are_the_first_to_go_when_memory_runs_out(pool: Asked) -> None:
    await pool.answer(KEY, RemoteAgent(blueprint_of()), 0)
    pid = pool.process_of(KEY)._process.pid or 0
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0)
    assert out_of_memory_score(pid) == 1000


def out_of_memory_score(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


async def test_a_process_that_computes_for_long_yields_to_the_others(
    greedy: Callable[[], RemoteAgent],
) -> None:
    process = await AgentProcess.start(blueprint_of(**GREEDY))
    asked = asyncio.create_task(process.ask(greedy().request(0)))
    pid = process._process.pid or 0
    # The tests themselves may run at the highest niceness already.
    niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS_OF_LONG, HIGHEST_NICENESS)
    until = time.monotonic() + DEADLINE
    while os.getpriority(os.PRIO_PROCESS, pid) < niceness:
        assert not asked.done(), asked.result()
        assert time.monotonic() < until, f"{pid} does not yield"
        await asyncio.sleep(0.05)
    process.kill()
    with pytest.raises(AgentEnded):
        await asked


async def test_processes_do_not_run_the_program_of_the_operator_again(
    pool: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default each would import it: kopf and all, two seconds of processor time."""
    program, trace = ModuleType("__main__"), tmp_path / "was-run"
    (tmp_path / "program.py").write_text(f"open({str(trace)!r}, 'w')")
    program.__file__ = str(tmp_path / "program.py")
    monkeypatch.setitem(sys.modules, "__main__", program)
    keys = [("lab", name) for name in ("first", "second", "third")]
    await asyncio.gather(*(pool.answer(key, RemoteAgent(blueprint_of()), 0) for key in keys))
    assert sys.modules["__main__"] is program
    assert not trace.exists()


async def test_a_process_ends_with_the_operator() -> None:
    process = await AgentProcess.start(blueprint_of())
    process._connection.close()
    assert await ended(process._process)
    assert process._process.exitcode == 0
