"""The work queue: each key by one worker at a time, at a steady pace, and again after an error."""

import asyncio
from collections.abc import Awaitable, Callable

from blockqnn_operator.shell.reconcile.work_queue import WorkQueue

Handle = Callable[[str], Awaitable[float | None]]


class Handled:
    """Notes when a key was handled, in seconds since the first time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.times: list[float] = []
        self.most = self._now = 0
        self._seconds = seconds

    async def __call__(self, _key: str) -> float | None:
        self.times.append(asyncio.get_running_loop().time())
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(self._seconds)
        self._now -= 1
        return None

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]


async def running(queue: WorkQueue[str], use: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.create_task(queue.run())
    await use()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the conditions are about lists
            await asyncio.sleep(0.001)


async def test_a_key_that_is_added_all_the_time_is_handled_at_a_steady_pace() -> None:
    handled = Handled()
    queue = WorkQueue(handled, 2, pace=0.05)

    async def use() -> None:
        while len(handled.times) < 4:
            queue.add("one")
            await asyncio.sleep(0.001)

    await running(queue, use)
    assert min(handled.gaps) >= 0.049


async def test_the_first_addition_after_a_rest_is_handled_at_once() -> None:
    handled = Handled()
    queue = WorkQueue(handled, 1, pace=0.05)

    async def use() -> None:
        queue.add("one")
        await asyncio.sleep(0.1)
        asked = asyncio.get_running_loop().time()
        queue.add("one")
        await until(lambda: len(handled.times) == 2)
        assert handled.times[1] - asked < 0.05

    await running(queue, use)


async def test_what_is_added_while_it_rests_is_not_lost() -> None:
    handled = Handled()
    queue = WorkQueue(handled, 1, pace=0.05)

    async def use() -> None:
        queue.add("one")
        await until(lambda: len(handled.times) == 1)
        queue.add("one")
        queue.add("one")
        await until(lambda: len(handled.times) == 2)
        await asyncio.sleep(0.1)
        assert len(handled.times) == 2

    await running(queue, use)


async def test_a_key_that_asks_for_it_is_handled_again_before_its_rest_is_over() -> None:
    times: list[float] = []

    async def handle(_key: str) -> float | None:
        times.append(asyncio.get_running_loop().time())
        return 0.0 if len(times) == 1 else None

    queue = WorkQueue(handle, 1, pace=60.0)

    async def use() -> None:
        queue.add("one")
        await until(lambda: len(times) == 2)

    await running(queue, use)


async def test_a_key_is_never_handled_twice_at_a_time() -> None:
    handled = Handled(seconds=0.01)
    queue = WorkQueue(handled, 4)

    async def use() -> None:
        while len(handled.times) < 4:
            queue.add("one")
            await asyncio.sleep(0.001)

    await running(queue, use)
    assert handled.most == 1


async def test_keys_do_not_slow_each_other_down() -> None:
    handled = Handled(seconds=0.01)
    queue = WorkQueue(handled, 4, pace=60.0)

    async def use() -> None:
        for key in "abcd":
            queue.add(key)
        await until(lambda: len(handled.times) == 4)
        assert handled.most == 4

    await running(queue, use)


async def test_a_key_that_failed_comes_back() -> None:
    times: list[float] = []

    async def handle(_key: str) -> float | None:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 1:
            raise ValueError("not this time")
        return None

    queue = WorkQueue(handle, 1)

    async def use() -> None:
        queue.add("one")
        await until(lambda: len(times) == 2)

    await running(queue, use)
