"""A copy of a collection of the API server, kept up to date by one list and one watch.

The pattern of client-go's informers. Kopf's indices would do the same, but while Kopf lists, each
object that it indexes wakes those before it: 2.6 seconds with 1,000 Jobs and Pods, 13 with 2,000
(measured with Kopf 1.45), on every start of an operator with a large search. They also keep what
was deleted while a watch was away.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from blockqnn.errors import BlockQNNError
from blockqnn_api.errors import ObjectUnreadable
from blockqnn_api.object_fields import Fields
from blockqnn_operator.errors import AnswerUnreadable, ClusterUnavailable
from blockqnn_operator.shell.kubernetes.answers import Json
from blockqnn_operator.shell.kubernetes.backoff import delay_after
from blockqnn_operator.shell.kubernetes.client import Cluster

FIRST_BACKOFF = 0.2
"""Seconds before a collection is asked for again after a failure; doubled by each one after it."""

LONGEST_BACKOFF = 10.0
"""Seconds that the back-off never exceeds: a search stands still for as long."""

RELIST_SECONDS = 600.0
"""Seconds after which a collection is listed again when its watch ends, however well that goes. A
watch from a version that the API server has never had, after its data were restored, is silent."""

T = TypeVar("T")

Name = tuple[str, str]
"""Namespace and name of an object."""

logger = logging.getLogger(__name__)


class Informer(Generic[T]):
    """Keeps the objects of a collection, and reports each change.

    Args:
        cluster: the API server.
        path: the path of the collection, in one namespace or in all.
        selector: the label selector of the objects that matter.
        read: reads what matters of an object from its JSON; None when nothing does.
        changed: called with the previous and the present state of an object; None for no state.
        restored: called when the API server has gone back to an earlier version.
        clock: tells the seconds that have passed, from any origin.
    """

    def __init__(
        self,
        cluster: Cluster,
        path: str,
        selector: str,
        read: Callable[[Json], T | None],
        changed: Callable[[T | None, T | None], None],
        restored: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.synced = asyncio.Event()
        """Set when everything that was there at the start is known."""
        self._cluster, self._path, self._selector = cluster, path, selector
        self._read, self._changed = read, changed
        self._restored, self._clock = restored, clock
        self._latest = ""
        """The latest version that was listed or heard of."""
        self._listed_at = 0.0
        self._known: dict[Name, T] = {}

    async def run(self) -> None:
        """Keep the copy until cancelled, however often the API server goes away."""
        is_current, failures = False, 0
        while True:
            try:
                is_current = is_current and await self._is_current()
                if not is_current:
                    self._latest = await self._list()
                    is_current = True
                    self.synced.set()
                path, selector = self._path, self._selector
                async for event in self._cluster.watch(path, selector, self._latest):
                    self._latest, failures = self._take(event), 0
            except Exception as error:
                # An API server that is away only interrupts the watch. All else is mostly 410: it
                # does not remember what came after that version; or it is no event at all.
                is_away = isinstance(error, ClusterUnavailable)
                is_current = is_current and is_away and not isinstance(error, AnswerUnreadable)
                failures = await self._back_off(failures, error)

    async def _is_current(self) -> bool:
        """Return whether a watch can go on: the API server is no older than the latest version."""
        if self._clock() - self._listed_at >= RELIST_SECONDS:
            return False
        return not _is_older(await self._cluster.collection_version(self._path), self._latest)

    async def _list(self) -> str:
        """List the present objects, and return the version of the collection."""
        gone, version = set(self._known), ""
        async for page in self._cluster.pages(self._path, self._selector):
            version = _version(page)
            for body in page["items"]:
                gone.discard(self._put(body))
        for name in gone:
            self._remove(name)
        self._listed_at = self._clock()
        if _is_older(version, self._latest):
            logger.warning(
                "watching %s: the API server is at version %s after %s: it was restored.",
                *(self._path, version, self._latest),
            )
            self._restored()
        return version

    def _take(self, event: Json) -> str:
        """Apply an event of the watch, and return the version that it brings."""
        kind, body = event["type"], event["object"]
        if kind == "DELETED":
            # Its last state, which the watch may not have reported before.
            name = self._put(body)
            if name is not None:
                self._remove(name)
        elif kind != "BOOKMARK":
            self._put(body)
        return _version(body)

    def _put(self, body: Json) -> Name | None:
        """Take the present state of an object; return its name, None where it has none."""
        try:
            name = _name(body)
        except ObjectUnreadable as error:
            logger.warning("watching %s: an object is ignored: %s.", self._path, error)
            return None
        now = self._read(body)
        before = self._known.pop(name, None)
        if now is not None:
            self._known[name] = now
        if now != before:
            self._changed(before, now)
        return name

    def _remove(self, name: Name) -> None:
        before = self._known.pop(name, None)
        if before is not None:
            self._changed(before, None)

    async def _back_off(self, failures: int, error: Exception) -> int:
        delay = delay_after(failures + 1, FIRST_BACKOFF, LONGEST_BACKOFF)
        # The first failure is nothing: every API server ends watches now and then.
        level = logging.WARNING if failures else logging.DEBUG
        is_expected = isinstance(error, BlockQNNError)
        if not is_expected:
            level = logging.ERROR
        logger.log(
            level,
            "watching %s: %s Trying again in %.1f s.",
            self._path,
            error,
            delay,
            exc_info=not is_expected,
        )
        await asyncio.sleep(delay)
        return failures + 1


def _name(body: Json) -> Name:
    metadata = Fields(body).part("metadata")
    return metadata.text("namespace"), metadata.text("name", None)


def _is_older(version: str, latest: str) -> bool:
    """Return whether a version is of an earlier time; versions that are no numbers may be."""
    if not (version.isdecimal() and latest.isdecimal()):
        return version != latest and bool(latest)
    return int(version[:30]) < int(latest[:30])


def _version(body: Json) -> str:
    """Return the resource version of an object or a list."""
    try:
        return Fields(body).part("metadata").text("resourceVersion", None)
    except ObjectUnreadable as error:
        raise AnswerUnreadable(f"An answer has no version: {error}.") from None


Key = tuple[str, str]
"""Namespace and name of a search."""
