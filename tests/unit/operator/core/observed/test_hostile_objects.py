"""Jobs and Pods with any value in any field: each is read, or known as one that cannot be read."""

from collections.abc import Callable
from typing import Any

import pytest
from hostile_values import HOSTILE, changed, hostile, paths_of
from hypothesis import example, given
from hypothesis import strategies as st
from operator_builders import NOW, A, B, make_proposal, make_search, make_settings

from blockqnn_api import names
from blockqnn_api.errors import ObjectUnreadable
from blockqnn_api.object_fields import Fields
from blockqnn_api.objects import SearchObject, write_time
from blockqnn_operator.core.jobs.trial import trial_job
from blockqnn_operator.core.jobs.trial_group import job_of
from blockqnn_operator.core.observed.unreadable import UnreadableObject
from blockqnn_operator.core.planning.open_item import Stage
from blockqnn_operator.core.planning.open_trials import OpenTrial
from blockqnn_operator.shell.kubernetes.cache import CachedObject, ObjectCache

Json = dict[str, Any]
SEARCH, SETTINGS = make_search(), make_settings(failurePolicy={"trialTimeout": "10m"})
ADDED = {"creationTimestamp": write_time(NOW), "resourceVersion": "7", "uid": "1"}


def stored(manifest: Json, **annotations: str) -> Json:
    """A Job as the API server holds it, with every field that the operator reads."""
    metadata = manifest["metadata"]
    annotations = {**metadata["annotations"], names.RESULT_ANNOTATION: "{}", **annotations}
    ended = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "Late."}
    return {
        **manifest,
        "metadata": {**metadata, **ADDED, "annotations": annotations},
        "status": {
            "conditions": [{**ended, "lastTransitionTime": write_time(NOW)}],
            **{"active": 1, "terminating": 0, "failed": 2},
        },
    }


def group() -> Json:
    trials = [
        OpenTrial(proposal=make_proposal(n, b), stage=Stage.UNSTARTED) for n, b in enumerate((A, B))
    ]
    return stored(job_of(SEARCH, SETTINGS, trials))


TRIAL = stored(trial_job(SEARCH, SETTINGS, make_proposal(), attempt=1, failures=0), **{"x": "y"})
GROUP = group()
POD: Json = {
    "metadata": {
        **ADDED,
        "name": "digits-t00000-a0-x2x2x",
        "namespace": "lab",
        "labels": {
            names.SEARCH_LABEL: "digits",
            names.COMPONENT_LABEL: names.TRIAL_COMPONENT,
            names.JOB_NAME_LABEL: "digits-t00000-a0",
        },
    },
    "status": {
        "reason": "Evicted",
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": write_time(NOW)},
            {"type": "DisruptionTarget", "status": "True", "reason": "Drain", "message": "Gone."},
        ],
        "containerStatuses": [
            {
                "name": "trainer",
                "state": {
                    "terminated": {
                        "exitCode": 1,
                        "reason": "Error",
                        "message": "No.",
                        "startedAt": write_time(NOW),
                        "finishedAt": write_time(NOW),
                    }
                },
            }
        ],
    },
}


def check(seen: CachedObject | None) -> None:
    """Use what was read as the cache does, and see that a complaint names a field."""
    if seen is None:
        return
    cache = ObjectCache(lambda _key: None)
    cache.changed(None, seen)
    what = seen.what
    assert what.name
    str(what).encode()
    if isinstance(what, UnreadableObject):
        assert list(cache.unreadable(seen.key)) == [what]
        assert str(what).startswith(f"{seen.kind} {seen.name} cannot be read: ")
        assert len(str(what)) < 500
        assert "Error:" not in what.problem, "a fault of the reader itself"


@given(hostile(TRIAL) | hostile(GROUP))
@example(changed(TRIAL, ("metadata", "annotations", names.FAILURES_ANNOTATION), "abc"))
def test_any_job_is_read_or_told_of(body: Json) -> None:
    check(CachedObject.job(body))


@given(hostile(POD))
def test_any_pod_is_read_or_told_of(body: Json) -> None:
    check(CachedObject.pod(body))


@given(st.sampled_from(HOSTILE))
def test_what_is_no_object_at_all_is_ignored(value: Any) -> None:
    for read in (CachedObject.job, CachedObject.pod):
        for body in (value, {"metadata": value}, {"metadata": {"labels": value}}):
            assert read(body) is None


def test_each_value_that_is_read_of_a_job_is_checked() -> None:
    """Of a wrong type each is named by its path; none is taken as it is."""
    of_the_job = [("spec", "suspend"), ("status", "failed"), ("status", "active")]
    annotations = (names.ATTEMPT_ANNOTATION, names.FAILURES_ANNOTATION)
    for path in [*of_the_job, *(("metadata", "annotations", name) for name in annotations)]:
        seen = CachedObject.job(changed(TRIAL, path, "²"))
        assert seen is not None
        assert isinstance(seen.what, UnreadableObject)
        assert path[-1] in seen.what.problem
        assert seen.what.is_of(SEARCH.uid)


SEARCH_BODY: Json = {
    "metadata": {**ADDED, "name": "digits", "namespace": "lab", "generation": 1},
    "spec": {"dataset": {"name": "digits"}},
    "status": {"phase": "Running"},
}


def complaint(read: Callable[[], Any]) -> str:
    """The words of a value that cannot be read; empty when it can."""
    try:
        read()
    except ObjectUnreadable as error:
        return str(error)
    return ""


@given(hostile(SEARCH_BODY))
def test_any_search_is_read_unless_it_has_no_name(body: Json) -> None:
    if words := complaint(lambda: SearchObject.read(body)):
        assert words.startswith("metadata")
        return
    search = SearchObject.read(body)
    assert isinstance(search.spec, dict)
    assert isinstance(search.status, dict)
    assert write_time(search.created_at)


@given(st.sampled_from(HOSTILE), st.sampled_from(["count", "time", "text", "flag", "parts"]))
def test_a_field_is_of_its_type_or_named(value: Any, kind: str) -> None:
    read = getattr(Fields({"a": value}, ("metadata",)), kind)
    if words := complaint(lambda: read("a")):
        assert words.startswith("metadata.a")
        words.encode()
    elif kind == "count":
        assert type(read("a")) is int
        assert 0 <= read("a") < 2**31
    elif kind == "text":
        read("a").encode()


@pytest.mark.parametrize("path", list(paths_of(POD["status"])))
def test_the_status_of_a_pod_is_read_field_by_field(path: tuple[str | int, ...]) -> None:
    seen = CachedObject.pod(changed(POD, ("status", *path), 17))
    assert seen is not None
