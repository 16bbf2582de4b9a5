"""Requests to end the processes of a pod."""

from __future__ import annotations

import asyncio


class Stop:
    """A request to end a pod's processes, which may become more urgent but is never withdrawn."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self.kill_at: float | None = None
        """Time of the kill, by the event loop's clock; None before a request."""

    @property
    def requested(self) -> bool:
        """Return whether the pod has to end."""
        return self.kill_at is not None

    def request(self, grace: float) -> None:
        """Ask for the end within `grace` seconds; an earlier request may only be shortened."""
        at = asyncio.get_running_loop().time() + grace
        if self.kill_at is None or at < self.kill_at:
            self.kill_at = at
            # Those who wait on the old event wake up; new ones wait for the next change.
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    async def changed(self) -> None:
        """Wait until the request is made, or made more urgent."""
        await self._changed.wait()

    async def wait(self, seconds: float) -> bool:
        """Wait until the end is asked for, or for some seconds; tell which it was."""
        if self.requested:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self.changed()
        except TimeoutError:
            return False
        return True
