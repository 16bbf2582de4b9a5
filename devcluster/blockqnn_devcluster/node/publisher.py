"""Write the status of one pod to the API server: the newest one, as soon as possible."""

from __future__ import annotations

import asyncio
import datetime
import logging

from .api import Api, ApiError, Object
from .pod_status import PodState, pod_status

FIRST_RETRY = 0.1
LAST_RETRY = 5.0
"""Seconds before a failed write is tried again: doubled from the first to the last."""
GONE = (404, 409)
"""The pod is gone, or another one has its name: nobody wants this status."""

logger = logging.getLogger(__name__)


class Publisher:
    """Publishes states in the background until the pod is over; overtaken ones are left out."""

    def __init__(self, api: Api, pod: Object) -> None:
        self._api = api
        metadata = pod["metadata"]
        self._uid = metadata["uid"]
        self._generation = metadata.get("generation") or 1
        self._name = f"{metadata['namespace']}/{metadata['name']}"
        self.path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self._conditions = (pod.get("status") or {}).get("conditions") or []
        self._newest: PodState | None = None
        self._written: PodState | None = None
        self._wake = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())

    def publish(self, state: PodState) -> None:
        """Have the state written soon."""
        self._newest = state
        self._wake.set()

    async def finish(self) -> None:
        """Return when the newest state is written, or nobody wants it any more."""
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    def abandon(self) -> None:
        """Write nothing more: the pod is gone."""
        self._task.cancel()

    async def _run(self) -> None:
        while self._newest is None or not self._newest.over or self._written is not self._newest:
            await self._wake.wait()
            self._wake.clear()
            if self._newest is not None and not await self._write(self._newest):
                return

    async def _write(self, state: PodState) -> bool:
        """Write one state, unless a newer one comes first; tell whether the pod still exists."""
        status = pod_status(
            state, self._conditions, datetime.datetime.now(datetime.UTC), self._generation
        )
        delay = FIRST_RETRY
        while self._newest is state:
            try:
                # The uid is a precondition: another pod of that name must not get this status.
                body = {"metadata": {"uid": self._uid}, "status": status}
                answer = await self._api.patch(f"{self.path}/status", body)
            except ApiError as error:
                if error.status in GONE:
                    return False
                logger.warning("status of pod %s: %s", self._name, error)
                await asyncio.sleep(delay)
                delay = min(2 * delay, LAST_RETRY)
            else:
                self._conditions = answer["status"].get("conditions") or []
                self._written = state
                return True
        return True
