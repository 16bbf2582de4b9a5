"""What Kopf watches for the operator, and what each change sets off: a table of contents.

Only indices and plain event handlers: they leave no annotation, finalizer or status of Kopf's own
on any object. Deciding is left to the reconcile; a handler only says which search to look at. All
are asynchronous: Kopf runs any other kind in threads.
"""

from collections.abc import Iterable
from typing import Any

import kopf

from blockqnn_operator.api import names
from blockqnn_operator.core.finalists.observation import FinalistJob
from blockqnn_operator.core.observation import PreparationJob, SearchObject, TrialJob, TrialPod
from blockqnn_operator.shell.observe import GonePods, watched_finalist, watched_job
from blockqnn_operator.shell.queue import WorkQueue
from blockqnn_operator.shell.slots import Key

RESYNC_SECONDS = 300
"""How often every search is looked at although nothing was heard of it: a safety net under the
watches, rare enough to cost nothing."""

_COMPONENTS = (names.TRIAL_COMPONENT, names.PREPARATION_COMPONENT, names.FINALIST_COMPONENT)


def _is_ours(value: str | None, **_: Any) -> bool:
    return value in _COMPONENTS


_OURS: dict[str, Any] = {names.SEARCH_LABEL: kopf.PRESENT, names.COMPONENT_LABEL: _is_ours}
_TRIALS: dict[str, Any] = {**_OURS, names.COMPONENT_LABEL: names.TRIAL_COMPONENT}
_PREPARATIONS: dict[str, Any] = {**_OURS, names.COMPONENT_LABEL: names.PREPARATION_COMPONENT}
_FINALISTS: dict[str, Any] = {**_OURS, names.COMPONENT_LABEL: names.FINALIST_COMPONENT}


_Indexed = dict[Key, Any] | None


class Watched:
    """The objects that Kopf's watches have told of."""

    def __init__(self) -> None:
        self._searches: dict[Key, SearchObject] = {}
        self._gone: dict[Key, GonePods] = {}
        self._jobs: kopf.Index[Key, Any] | None = None
        self._pods: kopf.Index[Key, Any] | None = None
        self._preparations: kopf.Index[Key, Any] | None = None
        self._finalists: kopf.Index[Key, Any] | None = None

    def adopt(self, indices: dict[str, Any]) -> None:
        """Take hold of the indices, which Kopf hands to every handler."""
        self._jobs, self._pods = indices["trial_jobs"], indices["pods"]
        self._preparations = indices["preparation_jobs"]
        self._finalists = indices["finalist_jobs"]

    def remember(self, key: Key, search: SearchObject | None) -> None:
        """Take note of a search as it is now; None when it is gone."""
        if search is None:
            self._searches.pop(key, None)
            self._gone.pop(key, None)
        else:
            self._searches[key] = search

    def known(self) -> Iterable[Key]:
        """Return the keys of all searches."""
        return tuple(self._searches)

    def search(self, key: Key) -> SearchObject | None:
        """Return a search; None when it is gone."""
        return self._searches.get(key)

    def jobs(self, key: Key) -> Iterable[tuple[int, TrialJob]]:
        """Return the resource versions and Jobs of a search's trials."""
        return tuple(self._jobs.get(key, ())) if self._jobs else ()

    def pods(self, key: Key) -> Iterable[TrialPod]:
        """Return the Pods of a search's Jobs, and those that were deleted and still matter."""
        there = tuple(self._pods.get(key, ())) if self._pods else ()
        gone = self._gone.get(key)
        return there + gone.of(job for _, job in self.jobs(key)) if gone else there

    def bury(self, key: Key, pod: TrialPod | None) -> None:
        """Take note of a Pod that does not exist any more."""
        if pod is not None and key in self._searches:
            self._gone.setdefault(key, GonePods()).add(pod)

    def preparations(self, key: Key) -> Iterable[PreparationJob]:
        """Return the Jobs that make a search's images ready."""
        return tuple(self._preparations.get(key, ())) if self._preparations else ()

    def finalists(self, key: Key) -> Iterable[tuple[int, FinalistJob]]:
        """Return the resource versions and Jobs of a search's finalists."""
        return tuple(self._finalists.get(key, ())) if self._finalists else ()


def register(registry: kopf.OperatorRegistry, watched: Watched, queue: WorkQueue[Key]) -> None:
    """Register everything that the operator watches."""
    _register_indices(registry)

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def search_changed(event: Any, body: Any, **indices: Any) -> None:
        search = SearchObject.read(body)
        key = (search.namespace, search.name)
        watched.adopt(indices)
        gone = event["type"] == "DELETED"
        watched.remember(key, None if gone else search)
        if gone:
            queue.forget(key)
        queue.add(key)

    @kopf.on.event("batch", "v1", "jobs", labels=_OURS, registry=registry)
    async def job_changed(namespace: str | None, labels: Any, **_: Any) -> None:
        queue.add(_key(namespace, labels))

    @kopf.on.event("", "v1", "pods", labels=_OURS, registry=registry)
    async def pod_changed(
        event: Any, body: Any, namespace: str | None, labels: Any, **_: Any
    ) -> None:
        if event["type"] == "DELETED":
            watched.bury(_key(namespace, labels), TrialPod.read(body))
        queue.add(_key(namespace, labels))


def _register_indices(registry: kopf.OperatorRegistry) -> None:
    @kopf.index("batch", "v1", "jobs", id="trial_jobs", labels=_TRIALS, registry=registry)
    async def trial_jobs(
        body: Any, namespace: str | None, labels: Any, **_: Any
    ) -> dict[Key, Any] | None:
        job = watched_job(body)
        return None if job is None else {_key(namespace, labels): job}

    @kopf.index(
        "batch", "v1", "jobs", id="preparation_jobs", labels=_PREPARATIONS, registry=registry
    )
    async def preparation_jobs(
        body: Any, namespace: str | None, labels: Any, **_: Any
    ) -> dict[Key, Any] | None:
        job = PreparationJob.read(body)
        return None if job is None else {_key(namespace, labels): job}

    @kopf.index("batch", "v1", "jobs", id="finalist_jobs", labels=_FINALISTS, registry=registry)
    async def finalist_jobs(
        body: Any, namespace: str | None, labels: Any, **_: Any
    ) -> dict[Key, Any] | None:
        job = watched_finalist(body)
        return None if job is None else {_key(namespace, labels): job}

    @kopf.index("", "v1", "pods", id="pods", labels=_OURS, registry=registry)
    async def pods(
        body: Any, namespace: str | None, labels: Any, **_: Any
    ) -> dict[Key, Any] | None:
        pod = TrialPod.read(body)
        return None if pod is None else {_key(namespace, labels): pod}


def _key(namespace: str | None, labels: Any) -> Key:
    return namespace or "", labels[names.SEARCH_LABEL]
