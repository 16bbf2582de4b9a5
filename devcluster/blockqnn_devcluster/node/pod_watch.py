"""Follow the pods that are bound to this node, through every kind of broken watch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from .api import Api, ApiError, Object

FIRST_RETRY = 0.1
LAST_RETRY = 5.0
"""Seconds before the next attempt to reach the server: doubled from the first to the last."""

logger = logging.getLogger(__name__)


class PodWatch:
    """Tells `changed` of every pod of the node, and `removed` of each that is gone."""

    def __init__(
        self,
        api: Api,
        node: str,
        changed: Callable[[Object], None],
        removed: Callable[[str], None],
    ) -> None:
        self._api = api
        self._selector = f"spec.nodeName={node}"
        self._changed = changed
        self._removed = removed
        self._known: set[str] = set()

    async def run(self) -> None:
        """Follow the pods for ever."""
        delay = FIRST_RETRY
        while True:
            try:
                version = await self._list()
                delay = FIRST_RETRY
                await self._follow(version)
            except ApiError as error:
                if error.status == 410:
                    # The usual end of an old watch: the list that follows makes up for it.
                    continue
                logger.warning("pods: %s; next attempt in %.1f s", error, delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, LAST_RETRY)

    async def _list(self) -> str:
        answer = await self._api.get("/api/v1/pods", fieldSelector=self._selector)
        pods = answer["items"]
        for gone in self._known - {pod["metadata"]["uid"] for pod in pods}:
            self._forget(gone)
        for pod in pods:
            self._learn(pod)
        return str(answer["metadata"]["resourceVersion"])

    async def _follow(self, version: str) -> None:
        while True:
            events = self._api.watch("/api/v1/pods", version, fieldSelector=self._selector)
            async for event in events:
                pod = event["object"]
                version = pod["metadata"]["resourceVersion"]
                if event["type"] in ("ADDED", "MODIFIED"):
                    self._learn(pod)
                elif event["type"] == "DELETED":
                    self._forget(pod["metadata"]["uid"])

    def _learn(self, pod: Object) -> None:
        self._known.add(pod["metadata"]["uid"])
        self._changed(pod)

    def _forget(self, uid: str) -> None:
        self._known.discard(uid)
        self._removed(uid)
