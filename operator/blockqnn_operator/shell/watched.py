"""What the watches have told of: searches from Kopf, their Jobs and Pods from informers."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from blockqnn_operator.api import names
from blockqnn_operator.core.finalists.observation import FinalistJob
from blockqnn_operator.core.observation import (
    PreparationJob,
    SearchObject,
    TrialJob,
    TrialPod,
    version_of,
)
from blockqnn_operator.shell.cluster import Cluster, Json
from blockqnn_operator.shell.informer import Informer
from blockqnn_operator.shell.observe import GonePods
from blockqnn_operator.shell.slots import Key

_READERS: Mapping[str, Callable[[Json], Any]] = {
    names.TRIAL_COMPONENT: TrialJob.read,
    names.PREPARATION_COMPONENT: PreparationJob.read,
    names.FINALIST_COMPONENT: FinalistJob.read,
}

SELECTOR = f"{names.SEARCH_LABEL},{names.COMPONENT_LABEL} in ({','.join(_READERS)})"
"""Selects the Jobs and Pods of all searches, so that no others are sent."""

T = TypeVar("T", TrialJob, PreparationJob, FinalistJob, TrialPod)


@dataclass(frozen=True, slots=True)
class Seen:
    """A Job or Pod of a search, as a watch told of it."""

    key: Key
    """The search."""
    name: str
    version: int
    """Its resource version."""
    what: TrialJob | PreparationJob | FinalistJob | TrialPod
    """What decisions need of it."""

    @staticmethod
    def job(body: Json) -> "Seen | None":
        """Read a Job that is selected from its JSON; None when it is none of ours."""
        read = _READERS[body["metadata"]["labels"][names.COMPONENT_LABEL]]
        return Seen._of(body, read(body))

    @staticmethod
    def pod(body: Json) -> "Seen | None":
        """Read a Pod that is selected from its JSON; None when it is none of ours."""
        return Seen._of(body, TrialPod.read(body))

    @staticmethod
    def _of(body: Json, what: Any) -> "Seen | None":
        if what is None:
            return None
        metadata = body["metadata"]
        key = metadata.get("namespace", ""), metadata["labels"][names.SEARCH_LABEL]
        return Seen(key, metadata["name"], version_of(body), what)


class Watched:
    """The objects that the watches have told of, by search.

    Args:
        heard: called with a search of which something was heard that a decision may rest on.
    """

    def __init__(self, heard: Callable[[Key], None]) -> None:
        self._heard = heard
        self._searches: dict[Key, SearchObject] = {}
        self._gone: dict[Key, GonePods] = {}
        self._seen: dict[Key, dict[tuple[type, str], Seen]] = {}

    def remember(self, key: Key, search: SearchObject | None) -> None:
        """Take note of a search as it is now; None when it is gone."""
        if search is None:
            self._searches.pop(key, None)
            self._gone.pop(key, None)
        else:
            self._searches[key] = search
        self._heard(key)

    def changed(self, before: Seen | None, now: Seen | None) -> None:
        """Take note of what was known of a Job or Pod, and of what is known now."""
        if before is not None and (now is None or now.key != before.key):
            self._drop(before)
        if now is not None:
            self._seen.setdefault(now.key, {})[type(now.what), now.name] = now
        # What differs by its version only changes no decision.
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

    def _of(self, key: Key, kind: type[T]) -> list[tuple[int, T]]:
        seen = self._seen.get(key, {}).values()
        return [(one.version, one.what) for one in seen if isinstance(one.what, kind)]

    def _drop(self, seen: Seen) -> None:
        of_search = self._seen[seen.key]
        del of_search[type(seen.what), seen.name]
        if not of_search:
            del self._seen[seen.key]
        if isinstance(seen.what, TrialPod) and seen.key in self._searches:
            self._gone.setdefault(seen.key, GonePods()).add(seen.what)


class Watches:
    """The watches over the Jobs and Pods of searches.

    Args:
        cluster: the API server.
        namespaces: those to watch; none for all.
        watched: told of what the watches bring.
    """

    def __init__(self, cluster: Cluster, namespaces: Sequence[str], watched: Watched) -> None:
        self._informers = [
            Informer(cluster, path, SELECTOR, read, watched.changed)
            for within in ([f"/namespaces/{name}" for name in namespaces] or [""])
            for path, read in (
                (f"/apis/batch/v1{within}/jobs", Seen.job),
                (f"/api/v1{within}/pods", Seen.pod),
            )
        ]

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._informers:
                group.create_task(informer.run())

    async def synced(self) -> None:
        """Wait until all that was there at the start is known."""
        for informer in self._informers:
            await informer.synced.wait()
