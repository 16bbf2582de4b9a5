"""Requests that the API server refuses, and faults of the operator: the search says which."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_builders import make_search
from operator_server import Server
from operator_world import Json, World
from search_simulation import serial, spec_of
from search_under_faults import UP_TO_DATE, Disturbed, Pass, quick_passes

from blockqnn_operator.shell.kubernetes.answers import Answer
from blockqnn_operator.shell.kubernetes.client import ApiError, _refusal
from blockqnn_operator.shell.reconcile import controller

LOOK = Pass(UP_TO_DATE, ())


@pytest.fixture(autouse=True, scope="module")
def _quick_passes() -> Iterator[None]:
    with quick_passes():
        yield


class Refused(NamedTuple):
    """A kind of request, as the API server sees it, and as the search should name it."""

    method: str
    kind: str
    words: str


KINDS = [
    Refused("POST", "configmaps", "create ConfigMap digits-history-0000"),
    Refused("PUT", "configmaps", "replace ConfigMap digits-history-0"),
    Refused("PATCH", "jobs", "change Job digits-t0000"),
    Refused("DELETE", "jobs", "delete Job"),
    Refused("PATCH", "blocksearches", "change the status of BlockSearch digits"),
]
WORDS = "admission webhook no.example.com denied the request"


class RefusingServer(Server):
    """An API server that refuses a kind of request."""

    refused: Refused | None = None
    code = 403
    times = 10**6
    words = WORDS

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        refused = self.refused
        if refused and method == refused.method and f"/{refused.kind}" in path and self.times > 0:
            self.times -= 1
            await asyncio.sleep(0)
            name = f"/{body['metadata']['name']}" if method == "POST" and body else ""
            raise _refusal(method, path + name, self.code, {"message": self.words})
        return await super()._request(
            method, path, query=query, body=body, content_type=content_type
        )


class Refusals(Disturbed):
    """A search some of whose requests are refused."""

    server: RefusingServer

    def __init__(self, refused: Refused | None, code: int = 403, times: int = 10**6) -> None:
        super().__init__(spec_of(seed=1, parallelism=3))
        self.server = RefusingServer(make_search(spec_of(seed=1, parallelism=3)), World())
        self.server.check = self.check_world
        self.server.refused, self.server.code, self.server.times = refused, code, times
        self.processes = [self.process(self.server)]

    def look(self, look: Pass, operator: int = 0) -> None:
        with suppress(ApiError):
            super().look(look, operator)

    def go_on(self, steps: int) -> None:
        for number in range(steps):
            self.step(LOOK)
            self.step(number)
        self.step(LOOK)

    @property
    def degraded(self) -> Json:
        conditions = self.server.status.get("conditions", ())
        return next((c for c in conditions if c["type"] == "Degraded"), {})


@given(st.sampled_from(KINDS[:4]), st.sampled_from([400, 403, 405, 413, 422]))
@settings(max_examples=8)
def test_each_refusal_is_a_condition_until_it_is_over(refused: Refused, code: int) -> None:
    run = Refusals(refused, code)
    for number in range(60):
        run.step(number)
        run.step(LOOK)
        if run.degraded.get("reason") == "RequestRefused":
            break
    assert run.degraded["status"] == "True"
    assert run.degraded["reason"] == "RequestRefused"
    assert f"The API server refuses to {refused.words}" in run.degraded["message"]
    assert WORDS in run.degraded["message"]
    run.server.refused = None
    run.go_on(2)
    assert run.degraded["reason"] != "RequestRefused"


@pytest.mark.parametrize("refused", KINDS[:4], ids=[refused.words for refused in KINDS[:4]])
def test_nothing_is_lost_by_a_refusal(refused: Refused) -> None:
    run = Refusals(refused)
    run.go_on(20)
    run.server.refused = None
    assert run.finish().server.world.records == serial(1)


def test_a_status_that_is_refused_once_is_told_in_the_next_one() -> None:
    run = Refusals(KINDS[4], 422, times=1)
    run.step(LOOK)
    assert run.degraded["reason"] == "RequestRefused"
    assert KINDS[4].words in run.degraded["message"]


def test_a_status_that_is_always_refused_is_an_event() -> None:
    run = Refusals(KINDS[4], 422)
    run.go_on(5)
    assert not run.server.status
    assert run.server.reasons.count("RequestRefused") == 1
    assert run.server.world.created, "the search itself goes on"


def test_a_quota_of_config_maps_is_told_although_there_is_no_status_yet() -> None:
    run = Refusals(KINDS[0])
    run.server.words = "exceeded quota: few"
    run.step(LOOK)
    assert run.degraded["reason"] == "QuotaExceeded"
    assert run.degraded["message"] == (
        "Waiting for quota to create ConfigMap digits-history-0000: exceeded quota: few"
    )


def test_a_server_that_is_busy_is_told_when_it_stays_so() -> None:
    run = Refusals(KINDS[0], 503)
    run.step(LOOK)
    assert not run.server.status
    run.go_on(2)
    assert run.degraded["reason"] == "RequestRefused"


class StrictServer(Server):
    """An API server that refuses fields it does not know if asked to, and warns about others."""

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        is_strict = (query or {}).get("fieldValidation") == "Strict"
        if method == "POST" and path.endswith("/jobs") and is_strict and body:
            unknown = set(body["spec"]["template"]["spec"]) & {"tolerationz"}
            for name in unknown:
                words = f'strict decoding error: unknown field "spec.template.spec.{name}"'
                raise _refusal(method, path, 400, {"message": words})
        answer = Answer(
            await super()._request(method, path, query=query, body=body, content_type=content_type)
        )
        answer.warnings = ("spec.a: deprecated since v1.99",) if path.endswith("/jobs") else ()
        return answer


def on_a_strict_server(**changes: Any) -> Refusals:
    run = Refusals(None)
    search = make_search(spec_of(seed=1, parallelism=3, **changes))
    run.server = StrictServer(search, World())  # type: ignore[assignment]
    run.processes = [run.process(run.server)]
    return run


def test_a_misspelt_field_of_the_pod_template_is_refused_with_its_name() -> None:
    template = {"spec": {"tolerationz": [{"key": "x"}]}}
    run = on_a_strict_server(trial={"podTemplate": template})
    run.go_on(2)
    assert run.degraded["reason"] == "JobRefused"
    assert 'unknown field "spec.template.spec.tolerationz"' in run.degraded["message"]
    assert not run.server.world.created


def test_a_warning_of_the_api_server_is_an_event_once() -> None:
    run = on_a_strict_server()
    run.go_on(6)
    assert len(run.server.world.created) > 2
    assert run.server.reasons.count("ApiServerWarning") == 1


@given(st.sampled_from([OverflowError("x" * 5000), KeyError("\n"), RecursionError(), ValueError()]))
@settings(max_examples=4)
def test_a_fault_of_the_operator_is_a_condition_and_is_tried_again(error: Exception) -> None:
    run = Refusals(None)
    run.go_on(3)

    def fail(*_: Any) -> Any:
        raise error

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(controller, "plan", fail)
        with pytest.raises(type(error)):
            run.processes[0].reconcile(UP_TO_DATE, {})
    assert run.degraded["reason"] == "InternalError"
    assert type(error).__name__ in run.degraded["message"]
    assert "Traceback" not in run.degraded["message"]
    assert "\n" not in run.degraded["message"]
    run.step(LOOK)
    assert run.degraded["reason"] != "InternalError"
    assert run.finish().server.world.records == serial(1)
