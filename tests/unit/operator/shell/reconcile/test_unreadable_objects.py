"""A search one of whose Jobs or Pods somebody has spoilt: it says so, and all else goes on."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from agents_nearby import AgentsNearby
from hostile_values import changed, hostile
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_server import Server
from operator_world import Json
from prometheus_client import CollectorRegistry
from search_simulation import serial, spec_of
from search_under_faults import KEY, UP_TO_DATE, Disturbed, Pass, Process, quick_passes

from blockqnn_api import names
from blockqnn_operator.shell.kubernetes.cache import CachedObject, ObjectCache
from blockqnn_operator.shell.metrics.operator import Metrics
from blockqnn_operator.shell.reconcile.controller import Controller
from blockqnn_operator.shell.reconcile.slots import Slots

LOOK = Pass(UP_TO_DATE, ())


@pytest.fixture(autouse=True, scope="module")
def _quick_passes() -> Iterator[None]:
    with quick_passes():
        yield


class WatchingProcess(Process):
    """An operator's process that reads what it watches as the real one does."""

    def __init__(self, server: Server) -> None:
        self.spoilt: Json = {}
        """Objects that the watch reports instead of those of the same names."""
        super().__init__(server)
        self.controller = Controller(
            server,
            lambda _key: self._search(),
            lambda key: self.cache().jobs(key),
            lambda key: self.cache().pods(key),
            lambda _key: (),
            lambda _key: (),
            Metrics(lambda: (), lambda: 0, CollectorRegistry()),
            Slots(None, lambda _key: None),
            self.cleanup,
            lambda: [KEY],
            AgentsNearby(),
            clock=self._now,
            unreadable=lambda key: self.cache().unreadable(key),
        )

    def cache(self) -> ObjectCache:
        """The objects that are known now."""
        cache = ObjectCache(lambda _key: None)
        for read, bodies in (
            (CachedObject.job, self.watches.jobs()),
            (CachedObject.pod, self.watches.pods()),
        ):
            for body in bodies:
                body = self.spoilt.get(body["metadata"]["name"], labelled(body))
                cache.changed(None, read(body))
        return cache


def labelled(pod: Json) -> Json:
    """A Pod with the label by which the watches select; the world's have none."""
    metadata = pod["metadata"]
    labels = {names.SEARCH_LABEL: KEY[1], **metadata["labels"]}
    return {**pod, "metadata": {**metadata, "namespace": KEY[0], "labels": labels}}


class Watched(Disturbed):
    """A search whose objects may be spoilt."""

    process = WatchingProcess

    def spoil(self, body: Json) -> None:
        """Let the watch report this state of an object."""
        self.processes[0].spoilt = {body["metadata"]["name"]: body}  # type: ignore[attr-defined]

    @property
    def degraded(self) -> Json:
        return next(c for c in self.server.status["conditions"] if c["type"] == "Degraded")


def begun(parallelism: int = 3) -> Watched:
    run = Watched(spec_of(seed=1, parallelism=parallelism))
    for step in (LOOK, 0, LOOK, 1, LOOK):
        run.step(step)
    return run


def a_job(run: Watched) -> Json:
    """A Job that has not ended."""
    return run.server.world.jobs[run.server.world.running[0]]


def test_a_spoilt_annotation_is_a_condition_and_the_search_goes_on_once_it_is_mended() -> None:
    run = begun()
    body = a_job(run)
    name = body["metadata"]["name"]
    run.spoil(changed(body, ("metadata", "annotations", names.FAILURES_ANNOTATION), "abc"))
    before = set(run.server.world.jobs)
    for number in range(40):
        run.step(number)
        run.step(LOOK)
    assert run.degraded["status"] == "True"
    assert run.degraded["reason"] == "ObjectUnreadable"
    assert run.degraded["message"].startswith(
        f"Job {name} cannot be read: metadata.annotations[blockqnn.dev/failures] is 'abc', not "
    )
    assert set(run.server.world.jobs) - before, "other trials go on"
    assert name in run.server.world.jobs, "what cannot be read is not touched"
    attempts = [job for job in run.server.world.created if job.startswith(name.rpartition("-a")[0])]
    assert attempts == [name], "and its trial is not started anew"
    run.spoil({"metadata": {"name": "none"}})
    assert run.finish().server.world.records == serial(1)


@given(st.data())
@settings(max_examples=15)
def test_whatever_is_in_a_job_or_a_pod_the_search_has_a_status(
    data: Any,
) -> None:
    run = begun()
    pods = map(labelled, run.server.world.pods.values())
    body = data.draw(st.sampled_from([a_job(run), *pods]))
    spoilt = data.draw(hostile(body))
    metadata = spoilt["metadata"]
    if not isinstance(metadata, dict) or metadata.get("name") != body["metadata"]["name"]:
        return
    run.spoil(spoilt)
    for number in range(3):
        run.step(number)
        run.step(LOOK)
    assert run.server.status["phase"] in ("Running", "Complete", "Failed")
    assert run.server.status["conditions"]


def test_a_search_whose_spec_is_none_is_told_so() -> None:
    run = Watched(spec_of(seed=1, parallelism=3))
    run.server.search = replace(run.server.search, spec={}, unreadable="spec is a list, not a map")
    run.step(LOOK)
    assert run.server.status["phase"] == "Failed"
    assert run.server.status["message"].startswith("The search cannot be read: spec is a list")
