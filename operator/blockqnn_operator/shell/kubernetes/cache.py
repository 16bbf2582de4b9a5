"""Cache of what the watches report: searches from Kopf, their Jobs and Pods from informers."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from blockqnn_api import names
from blockqnn_api.errors import ObjectUnreadable
from blockqnn_api.object_fields import Fields
from blockqnn_api.objects import SearchObject, version_of
from blockqnn_operator.core.observed.finalist_job import FinalistJob
from blockqnn_operator.core.observed.pod import TrialPod
from blockqnn_operator.core.observed.preparation_job import PreparationJob
from blockqnn_operator.core.observed.trial_job import TrialJob
from blockqnn_operator.core.observed.unreadable import UnreadableObject, search_of
from blockqnn_operator.shell.kubernetes.answers import Json
from blockqnn_operator.shell.kubernetes.client import Cluster
from blockqnn_operator.shell.kubernetes.informer import Informer, Key
from blockqnn_operator.shell.kubernetes.write_through import GonePods

_READERS: Mapping[str, Callable[[Json], Any]] = {
    names.TRIAL_COMPONENT: TrialJob.read,
    names.PREPARATION_COMPONENT: PreparationJob.read,
    names.FINALIST_COMPONENT: FinalistJob.read,
}

SELECTOR = f"{names.SEARCH_LABEL},{names.COMPONENT_LABEL} in ({','.join(_READERS)})"
"""Selects the Jobs and Pods of all searches, so that no others are sent."""

T = TypeVar("T", TrialJob, PreparationJob, FinalistJob, TrialPod, UnreadableObject)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CachedObject:
    """A Job or Pod of a search, as a watch reported it."""

    key: Key
    """The search."""
    kind: str
    """``Job`` or ``Pod``."""
    name: str
    version: int
    """Its resource version."""
    what: TrialJob | PreparationJob | FinalistJob | TrialPod | UnreadableObject
    """The part of it that decisions need."""

    @staticmethod
    def job(body: Json) -> "CachedObject | None":
        """Read a selected Job from its JSON; None when it is none of ours."""
        return CachedObject._of(body, "Job", _read_job)

    @staticmethod
    def pod(body: Json) -> "CachedObject | None":
        """Read a selected Pod from its JSON; None when it is none of ours."""
        return CachedObject._of(body, "Pod", TrialPod.read)

    @staticmethod
    def _of(body: Json, kind: str, read: Callable[[Json], Any]) -> "CachedObject | None":
        """Read an object; one that cannot be read is known by that, and harms no other."""
        try:
            key = search_of(body)
            what = _read_or_complain(body, kind, read)
        except ObjectUnreadable as error:
            logger.warning("a %s is ignored: %s.", kind, error)
            return None
        name = Fields(body).part("metadata").text("name")
        return None if what is None else CachedObject(key, kind, name, version_of(body), what)


def _read_job(body: Json) -> Any:
    labels = Fields(body).part("metadata").part("labels")
    component = labels.text(names.COMPONENT_LABEL)
    return _READERS[component](body) if component in _READERS else None


def _read_or_complain(body: Json, kind: str, read: Callable[[Json], Any]) -> Any:
    try:
        return read(body)
    except ObjectUnreadable as error:
        problem = str(error)
    except Exception as error:
        # A fault of the reader: it must not end the watch, on which all searches depend.
        logger.exception("a %s cannot be read", kind)
        problem = f"{type(error).__name__}: {error}"
    return UnreadableObject.read(body, kind, problem)


class ObjectCache:
    """The objects that the watches have reported, by search.

    Args:
        heard: called with a search when something changed that a decision may depend on.
    """

    def __init__(self, heard: Callable[[Key], None]) -> None:
        self._heard = heard
        self._searches: dict[Key, SearchObject] = {}
        self._gone: dict[Key, GonePods] = {}
        self._seen: dict[Key, dict[tuple[str, str], CachedObject]] = {}

    def remember(self, key: Key, search: SearchObject | None) -> None:
        """Record a search as it is now; None when it is gone."""
        if search is None:
            self._searches.pop(key, None)
            self._gone.pop(key, None)
        else:
            self._searches[key] = search
        self._heard(key)

    def changed(self, before: CachedObject | None, now: CachedObject | None) -> None:
        """Record a change of a Job or Pod, from its previous to its present state."""
        if before is not None and (now is None or now.key != before.key):
            self._drop(before)
        if now is not None:
            self._seen.setdefault(now.key, {})[now.kind, now.name] = now
        # A new version alone changes no decision.
        if before is None or now is None or (before.key, before.what) != (now.key, now.what):
            for key in {seen.key for seen in (before, now) if seen is not None}:
                self._heard(key)

    def known(self) -> Iterable[Key]:
        """Return the keys of all searches."""
        return tuple(self._searches)

    def search(self, key: Key) -> SearchObject | None:
        """Return a search; None when it is gone."""
        return self._searches.get(key)

    def jobs(self, key: Key) -> Sequence[tuple[int, TrialJob]]:
        """Return the resource versions and Jobs of a search's trials."""
        return self._of(key, TrialJob)

    def pods(self, key: Key) -> Iterable[TrialPod]:
        """Return the Pods of a search's Jobs, and those that were deleted and still matter."""
        there = tuple(pod for _, pod in self._of(key, TrialPod))
        gone = self._gone.get(key)
        return there + gone.of(job for _, job in self.jobs(key)) if gone else there

    def preparations(self, key: Key) -> Iterable[PreparationJob]:
        """Return the Jobs that make a search's images ready."""
        return [job for _, job in self._of(key, PreparationJob)]

    def finalists(self, key: Key) -> Sequence[tuple[int, FinalistJob]]:
        """Return the resource versions and Jobs of a search's finalists."""
        return self._of(key, FinalistJob)

    def unreadable(self, key: Key) -> Iterable[UnreadableObject]:
        """Return the Jobs and Pods of a search that cannot be read."""
        return [seen for _, seen in self._of(key, UnreadableObject)]

    def _of(self, key: Key, kind: type[T]) -> list[tuple[int, T]]:
        seen = self._seen.get(key, {}).values()
        return [(cached.version, cached.what) for cached in seen if isinstance(cached.what, kind)]

    def _drop(self, seen: CachedObject) -> None:
        of_search = self._seen[seen.key]
        del of_search[seen.kind, seen.name]
        if not of_search:
            del self._seen[seen.key]
        if isinstance(seen.what, TrialPod) and seen.key in self._searches:
            self._gone.setdefault(seen.key, GonePods()).add(seen.what)


class Informers:
    """The watches over the Jobs and Pods of searches.

    Args:
        cluster: the API server.
        namespaces: those to watch; none for all.
        watched: receives what the watches report.
        restored: called when the API server has gone back to an earlier version.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespaces: Sequence[str],
        watched: ObjectCache,
        restored: Callable[[], None] = lambda: None,
    ) -> None:
        self._informers = [
            Informer(cluster, path, SELECTOR, read, watched.changed, restored)
            for within in ([f"/namespaces/{name}" for name in namespaces] or [""])
            for path, read in (
                (f"/apis/batch/v1{within}/jobs", CachedObject.job),
                (f"/api/v1{within}/pods", CachedObject.pod),
            )
        ]

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._informers:
                group.create_task(informer.run())

    async def synced(self) -> None:
        """Wait until all objects that existed at the start are known."""
        for informer in self._informers:
            await informer.synced.wait()
