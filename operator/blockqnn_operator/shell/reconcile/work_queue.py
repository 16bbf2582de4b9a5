"""A work queue: each key is handled by one worker at a time, and never twice in vain.

As in controller-runtime: adding a key that is queued already changes nothing; a key that is added
while it is handled is handled once more afterwards; after errors a key comes back with growing
delays; a key may ask to be handled again after a time. In addition, a key that is added all the
time is handled at a steady pace.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from blockqnn.errors import BlockQNNError
from blockqnn_operator.shell.kubernetes.backoff import delay_after

K = TypeVar("K", bound=Hashable)
logger = logging.getLogger(__name__)


class WorkQueue(Generic[K]):
    """De-duplicated keys, a few workers, back-off on error, and timers.

    Args:
        handle: handles a key; returns the seconds until it must be handled again, or None.
        workers: the number of keys that are handled at a time.
        pace: the shortest time, in seconds, between the beginnings of two handlings of a key that
            is added; a time that a key itself asks for is kept.
    """

    def __init__(
        self, handle: Callable[[K], Awaitable[float | None]], workers: int, pace: float = 0.0
    ) -> None:
        self._handle = handle
        self._workers = workers
        self._pace = pace
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._queued: set[K] = set()
        self._active: set[K] = set()
        self._resting: set[K] = set()
        """Handled too recently to be handled again."""
        self._again: set[K] = set()
        """Added while active or resting."""
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    @property
    def depth(self) -> int:
        """Number of keys that wait for a worker."""
        return len(self._queued)

    def add(self, key: K) -> None:
        """Have a key handled soon."""
        if key in self._resting:
            self._again.add(key)
        else:
            self._add_now(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Have a key handled after a time; of several timers of a key the earliest counts."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= due:
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._due, key)

    def forget(self, key: K) -> None:
        """Forget the failures and the timer of a key."""
        self._failures.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def run(self) -> None:
        """Handle keys until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._work())
        finally:
            for key in list(self._timers):
                self.forget(key)

    def _add_now(self, key: K) -> None:
        if key in self._active:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.put_nowait(key)

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self._add_now(key)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            key = await self._ready.get()
            self._queued.discard(key)
            self._again.discard(key)
            self._active.add(key)
            begun = loop.time()
            try:
                await self._handle_once(key)
            finally:
                self._active.discard(key)
                self._resting.add(key)
                rest = begun + self._pace - loop.time()
                if rest > 0:
                    loop.call_later(rest, self._rested, key)
                else:
                    self._rested(key)

    def _rested(self, key: K) -> None:
        self._resting.discard(key)
        if key in self._again:
            self._again.discard(key)
            self._add_now(key)

    async def _handle_once(self, key: K) -> None:
        try:
            again_after = await self._handle(key)
        except Exception as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay = delay_after(failures)
            expected = isinstance(error, BlockQNNError)
            logger.log(
                logging.WARNING if expected else logging.ERROR,
                "%s: %s Trying again in %.1f s.",
                "/".join(key) if isinstance(key, tuple) else key,
                error,
                delay,
                exc_info=not expected,
            )
            self.add_after(key, delay)
        else:
            self._failures.pop(key, None)
            if again_after is not None:
                self.add_after(key, again_after)
