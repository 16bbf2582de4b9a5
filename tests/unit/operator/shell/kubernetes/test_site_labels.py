"""Labels of a site are on everything that is created, and change nothing else."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_builders import make_search, make_spec, make_state

from blockqnn_api.history.shards import ShardWrite, config_map
from blockqnn_operator.core.jobs.trial import trial_job
from blockqnn_operator.shell.kubernetes.client import Cluster
from blockqnn_operator.shell.kubernetes.site_labels import Labels, read_label, with_labels

LABELS = {"example.com/team": "vision", "cost-centre": "4711"}


def manifests() -> list[dict[str, Any]]:
    """A Job of a trial, and a ConfigMap of its history."""
    search, state = make_search(make_spec()), make_state()
    job = trial_job(search, state.settings, state.agent.proposals(0)[0])
    return [job, config_map(search, ShardWrite(0, "{}\n", None))]


class Recording(Cluster):
    """An API server that keeps what it is sent."""

    def __init__(self, labels: Labels) -> None:
        super().__init__(None, lambda _verb, _code: None)
        self.labels = labels
        self.bodies: list[Any] = []

    async def _request(
        self, _method: str, _path: str, *, body: Mapping[str, Any] | None = None, **_more: Any
    ) -> dict[str, Any]:
        self.bodies.append(body)
        return {}


@pytest.mark.parametrize("manifest", manifests(), ids=lambda body: body["kind"])
async def test_what_is_created_or_replaced_has_them(manifest: dict[str, Any]) -> None:
    server = Recording(LABELS)
    await server.create("/path", manifest)
    await server.replace("/path", manifest)
    for body in server.bodies:
        assert LABELS.items() <= body["metadata"]["labels"].items()
        assert manifest["metadata"]["labels"].items() <= body["metadata"]["labels"].items()
        if body["kind"] == "Job":
            assert LABELS.items() <= body["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("manifest", manifests(), ids=lambda body: body["kind"])
def test_an_objects_own_labels_win(manifest: dict[str, Any]) -> None:
    for key in manifest["metadata"]["labels"]:
        assert with_labels(manifest, {key: "other"}) == manifest


@pytest.mark.parametrize("manifest", manifests(), ids=lambda body: body["kind"])
def test_without_labels_nothing_changes(manifest: dict[str, Any]) -> None:
    assert with_labels(manifest, {}) == manifest


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("team=vision", ("team", "vision")),
        ("example.com/cost.centre_1=", ("example.com/cost.centre_1", "")),
        ("a=b-c", ("a", "b-c")),
    ],
)
def test_labels_are_read(text: str, label: tuple[str, str]) -> None:
    assert read_label(text) == label


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("team", "write KEY=VALUE"),
        ("=vision", "write KEY=VALUE"),
        ("a=b=c", "write KEY=VALUE"),
        ("-team=vision", "write KEY=VALUE"),
        ("team=two words", "write KEY=VALUE"),
        (f"{'a' * 64}=b", "write KEY=VALUE"),
        (f"{'a' * 254}/b=c", "write KEY=VALUE"),
        ("blockqnn.dev/search=digits", "a reserved prefix"),
        ("app.kubernetes.io/component=trial", "a reserved prefix"),
        ("kueue.x-k8s.io/queue-name=mine", "a reserved prefix"),
    ],
)
def test_what_is_no_label_of_a_site_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_label(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        key, value = read_label(text)
    except ValueError:
        return
    assert f"{key}={value}" == text
