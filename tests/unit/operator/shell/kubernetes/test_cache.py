"""The operator's cache of watched objects, and when it looks again."""

from typing import Any

import pytest
from operator_builders import make_search

from blockqnn_api import names
from blockqnn_operator.shell.kubernetes.cache import CachedObject, ObjectCache
from blockqnn_operator.shell.kubernetes.informer import Key

TEAM: Key = ("team", "search")
OTHER: Key = ("team", "other")


def job(
    version: int, key: Key = TEAM, component: str = names.TRIAL_COMPONENT, **more: Any
) -> CachedObject:
    """A Job of a search as a watch tells of it."""
    labels = {
        names.SEARCH_LABEL: key[1],
        names.COMPONENT_LABEL: component,
        names.TRIAL_LABEL: "3",
        names.FINALIST_LABEL: "3",
        names.SEED_LABEL: "0",
        names.TARGET_LABEL: "search",
    }
    metadata = {
        "namespace": key[0],
        "name": f"job-of-a-{component}",
        "resourceVersion": str(version),
        "labels": labels,
        "annotations": {names.ATTEMPT_ANNOTATION: "0"},
        "ownerReferences": [{"controller": True, "uid": "1"}],
    }
    seen = CachedObject.job({"metadata": metadata, "spec": {}, "status": {}, **more})
    assert seen is not None
    return seen


def pod(version: int, phase: str, key: Key = TEAM) -> CachedObject:
    labels = {
        names.SEARCH_LABEL: key[1],
        names.COMPONENT_LABEL: names.TRIAL_COMPONENT,
        names.JOB_NAME_LABEL: "job",
    }
    metadata = {
        "namespace": key[0],
        "name": "pod",
        "resourceVersion": str(version),
        "labels": labels,
        "creationTimestamp": "2024-05-01T12:00:00Z",
    }
    seen = CachedObject.pod({"metadata": metadata, "status": {"reason": phase}})
    assert seen is not None
    return seen


@pytest.fixture
def heard() -> list[Key]:
    return []


@pytest.fixture
def watched(heard: list[Key]) -> ObjectCache:
    return ObjectCache(heard.append)


def test_jobs_are_found_by_search_and_kind(watched: ObjectCache) -> None:
    trial, finalist = job(1), job(2, component=names.FINALIST_COMPONENT)
    preparation = job(3, component=names.PREPARATION_COMPONENT)
    for seen in (trial, finalist, preparation, job(4, OTHER), pod(5, "Started")):
        watched.changed(None, seen)
    assert watched.jobs(TEAM) == [(1, trial.what)]
    assert watched.finalists(TEAM) == [(2, finalist.what)]
    assert list(watched.preparations(TEAM)) == [preparation.what]
    assert [version for version, _ in watched.jobs(OTHER)] == [4]
    assert len(list(watched.pods(TEAM))) == 1
    assert not list(watched.pods(OTHER))


def test_a_search_is_looked_at_when_something_changed_that_a_decision_may_rest_on(
    watched: ObjectCache, heard: list[Key]
) -> None:
    watched.changed(None, pod(1, "Started"))
    watched.changed(pod(1, "Started"), pod(2, "Evicted"))
    watched.changed(pod(2, "Evicted"), None)
    assert heard == [TEAM] * 3


def test_a_job_of_which_only_the_version_changed_is_remembered_and_wakes_nobody(
    watched: ObjectCache, heard: list[Key]
) -> None:
    watched.changed(None, job(1))
    watched.changed(job(1), job(2))
    assert [version for version, _ in watched.jobs(TEAM)] == [2]
    assert heard == [TEAM]


def test_a_job_that_was_given_to_another_search_is_the_others_from_then_on(
    watched: ObjectCache, heard: list[Key]
) -> None:
    watched.changed(None, job(1))
    watched.changed(job(1), job(2, OTHER))
    assert not watched.jobs(TEAM)
    assert watched.jobs(OTHER)
    assert set(heard) == {TEAM, OTHER}


def test_nothing_is_left_of_deleted_jobs(watched: ObjectCache) -> None:
    watched.changed(None, job(1))
    watched.changed(job(1), None)
    assert not watched.jobs(TEAM)


def test_searches_are_known_until_they_are_gone(watched: ObjectCache, heard: list[Key]) -> None:
    search = make_search({})
    watched.remember(TEAM, search)
    assert watched.search(TEAM) is search
    assert watched.known() == (TEAM,)
    watched.remember(TEAM, None)
    assert watched.search(TEAM) is None
    assert not watched.known()
    assert heard == [TEAM, TEAM]
