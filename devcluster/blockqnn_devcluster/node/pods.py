"""All pods of the node: which are begun, which are ended, and when each object is deleted."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .api import Api, ApiError, Object
from .pod_files import PodFiles
from .pod_status import lost_status
from .pod_worker import PodWorker, Tools
from .publisher import GONE, Publisher
from .stopping import Stop

RETRY = 1.0
"""Seconds before a failed deletion or status is tried again."""
_OVER = ("Succeeded", "Failed")

logger = logging.getLogger(__name__)


@dataclass
class Entry:
    """One pod that this node has begun."""

    pod: Object
    worker: PodWorker
    files: PodFiles
    stop: Stop
    publisher: Publisher
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the pod is to be deleted, or is."""
    removed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the API server no longer has the pod."""


class Pods:
    """Begins what the API server binds to this node, and ends what it deletes."""

    def __init__(self, api: Api, tools: Tools, logs: Path, scratch: Path, programs: Path) -> None:
        self._api = api
        self._tools = tools
        self._logs = logs
        self._scratch = scratch
        self._programs = programs
        self._count = 0
        self._entries: dict[str, Entry] = {}
        self._others: set[str] = set()
        """Pods that are being marked as failed, or deleted, without ever having run here."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed = asyncio.Event()
        """Set once a task failed for a mistake in this program."""

    def changed(self, pod: Object) -> None:
        """Act on a pod as the API server now has it."""
        uid = pod["metadata"]["uid"]
        deleting = "deletionTimestamp" in pod["metadata"]
        entry = self._entries.get(uid)
        if entry is not None:
            if deleting:
                entry.stop.request(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
                entry.leaving.set()
            return
        status = pod.get("status") or {}
        begun = "startTime" in status and status.get("phase") not in _OVER
        if begun or deleting:
            if uid not in self._others:
                self._others.add(uid)
                self._spawn(self._settle(pod, lost=begun, deleting=deleting))
        elif status.get("phase") not in _OVER:
            self._begin(pod)

    def removed(self, uid: str) -> None:
        """End a pod that the API server no longer has: it was deleted by force."""
        self._others.discard(uid)
        entry = self._entries.get(uid)
        if entry is not None:
            entry.publisher.abandon()
            entry.stop.request(0)
            entry.leaving.set()
            entry.removed.set()

    def find(self, namespace: str, name: str) -> Entry | None:
        """Return the pod of that name that was begun last."""
        for entry in reversed(self._entries.values()):
            metadata = entry.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name):
                return entry
        return None

    async def stop(self, grace: float) -> None:
        """End every process, giving each `grace` seconds; the API server is told nothing."""
        for entry in self._entries.values():
            entry.publisher.abandon()
            entry.stop.request(grace)
            entry.leaving.set()
            entry.removed.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, pod: Object) -> None:
        self._count += 1
        scratch = self._scratch / str(self._count)
        files = PodFiles(pod, self._logs, scratch, self._programs)
        stop, publisher = Stop(), Publisher(self._api, pod)
        worker = PodWorker(pod, self._tools, files, stop, publisher)
        entry = Entry(pod, worker, files, stop, publisher)
        self._entries[pod["metadata"]["uid"]] = entry
        self._spawn(self._live(entry))

    async def _live(self, entry: Entry) -> None:
        metadata = entry.pod["metadata"]
        logger.info("pod %s/%s: begins", metadata["namespace"], metadata["name"])
        await entry.worker.run()
        logger.info("pod %s/%s: over", metadata["namespace"], metadata["name"])
        # Its status first: whoever deletes a pod still wants to know how it ended.
        await entry.publisher.finish()
        await entry.leaving.wait()
        if not entry.removed.is_set():
            await self._delete(entry.pod)
        await entry.removed.wait()
        entry.files.remove_logs()
        del self._entries[metadata["uid"]]

    async def _settle(self, pod: Object, *, lost: bool, deleting: bool) -> None:
        """Bring a pod to its end that has no process here."""
        metadata = pod["metadata"]
        if lost:
            status = lost_status(pod, datetime.datetime.now(datetime.UTC))
            path = f"{_path(pod)}/status"
            body = {"metadata": {"uid": metadata["uid"]}, "status": status}
            await self._insist(lambda: self._api.patch(path, body), path)
        if deleting:
            await self._delete(pod)
        self._others.discard(metadata["uid"])

    async def _delete(self, pod: Object) -> None:
        path = _path(pod)
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": pod["metadata"]["uid"]},
        }
        await self._insist(lambda: self._api.delete(path, body), path)

    async def _insist(self, request: Callable[[], Awaitable[Object]], what: str) -> None:
        """Make a request until the server has taken it, or the pod is gone."""
        while True:
            try:
                await request()
            except ApiError as error:
                if error.status in GONE:
                    return
                logger.warning("%s: %s", what, error)
                await asyncio.sleep(RETRY)
            else:
                return

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # A pod that is neither run nor reported would hang for ever: rather end the node.
            logger.critical("a pod's task failed", exc_info=task.exception())
            self.failed.set()


def _path(pod: Object) -> str:
    metadata = pod["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
