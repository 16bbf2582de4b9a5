"""Checks of a Pod's spec and volumes against the fields that Kubernetes has."""

import re
from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kubernetes.client import models

from blockqnn_api.pod_fields import DEEPEST, MOST_VALUES, PodFields, check_extent, check_metadata
from blockqnn_api.resources import PodFinding
from blockqnn_api.spelling import nearest

FIELDS = PodFields(models)

PATH = ("spec", "trial", "podTemplate", "spec")


def sentences(spec: Any, *, fails: bool | None = None) -> list[str]:
    findings = list(FIELDS.check_spec(spec, ()))
    return [
        f"{'.'.join(map(str, finding.path))} {finding.message}"
        for finding in findings
        if fails is None or finding.fails == fails
    ]


SCALARS = {
    "str": st.sampled_from(["a", "b1", "1"]),
    "int": st.integers(0, 100),
    "bool": st.booleans(),
    "datetime": st.just("2026-01-01T00:00:00Z"),
}


@st.composite
def values(draw: st.DrawFn, kind: str, depth: int = 0) -> Any:
    """Draw a value of a type of the models, in which each field is given or not."""
    generic = re.fullmatch(r"(List|Dict)\[(?:str, )?(.+)\]", kind)
    if generic:
        inner = values(generic[2], depth + 1)
        if generic[1] == "List":
            return draw(st.lists(inner, max_size=2))
        return draw(st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2))
    model = getattr(models, kind, None)
    if model is None:
        return draw(SCALARS.get(kind, st.sampled_from([1, "a"])))
    attributes = sorted(model.openapi_types)
    chosen = draw(st.lists(st.sampled_from(attributes), max_size=4, unique=True))
    body = {
        model.attribute_map[attribute]: draw(values(model.openapi_types[attribute], depth + 1))
        for attribute in (chosen if depth < 8 else ())
    }
    # What the API server demands of each container and of its resources is checked elsewhere.
    if kind in ("V1Container", "V1EphemeralContainer"):
        body |= {"name": "trainer", "image": "a"}
    if "resources" in body:
        body["resources"] = {"limits": {"cpu": 1, "example.com/tpu": "2"}, "requests": {"cpu": "1"}}
        body["resources"]["requests"]["example.com/tpu"] = 2
    if kind == "V1EmptyDirVolumeSource" and "sizeLimit" in body:
        body["sizeLimit"] = "2Gi"
    if kind == "V1ResourceFieldSelector" and "divisor" in body:
        body["divisor"] = "1m"
    if kind == "V1PodSpec" and "overhead" in body:
        body["overhead"] = {"cpu": "1m"}
    return body


POD_SPECS = values("V1PodSpec")
MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@given(POD_SPECS)
@MANY
def test_a_spec_of_fields_and_types_that_kubernetes_has_is_accepted(spec: Any) -> None:
    assert not sentences(spec)


def misspelt(name: str, position: int, change: str) -> str:
    position %= len(name)
    letters = {
        "drop": "",
        "double": name[position] * 2,
        "other": "z",
        "case": name[position].swapcase(),
    }
    return name[:position] + letters[change] + name[position + 1 :]


@given(
    st.sampled_from([
        (kind, field)
        for kind in ("V1PodSpec", "V1Container", "V1Volume", "V1Toleration", "V1EnvVar")
        for field in getattr(models, kind).attribute_map.values()
    ]),
    st.integers(0, 99),
    st.sampled_from(["drop", "double", "other", "case"]),
)  # fmt: skip
@MANY
def test_a_misspelt_field_is_a_problem_that_names_the_field(
    where: tuple[str, str], position: int, change: str
) -> None:
    kind, field = where
    fields = set(getattr(models, kind).attribute_map.values())
    name = misspelt(field, position, change)
    assume(len(field) > 4 and name not in fields)
    item = {"name": "trainer", name: "x"}
    spec = {
        "V1PodSpec": {name: "x"},
        "V1Container": {"containers": [item]},
        "V1Volume": {"volumes": [item]},
        "V1Toleration": {"tolerations": [{name: "x"}]},
        "V1EnvVar": {"containers": [{"name": "trainer", "env": [item]}]},
    }[kind]
    problems = [text for text in sentences(spec, fails=True) if f".{name} " in f".{text}"]
    assert len(problems) == 1
    assert "is not a field; did you mean " in problems[0]
    # Two fields may be equally near, such as `stdin` and `stdinOnce`.
    assert re.search(r"did you mean (\w+)\?", problems[0])[1] in fields  # type: ignore[index]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["containers", "name", "env", "resources", "limits", "volumes", "a"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=15,
)


@given(ANYTHING)
@settings(max_examples=300, deadline=None)
def test_any_value_is_answered(value: Any) -> None:
    for finding in (
        *FIELDS.check_spec(value, PATH),
        *FIELDS.check_volume(value, PATH),
        *check_extent(value, PATH),
    ):
        assert finding.path[:4] == PATH
        assert finding.message
        assert len(finding.message) < 400


def strictly_accepted(spec: Mapping[str, Any]) -> bool:
    """Ask the schema of Kubernetes itself, which knows no rules beyond it."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}
    try:
        kubernetes_validate.validate(pod, "1.37", strict=True)
    except kubernetes_validate.ValidationError:
        return False
    return True


BASE = {"containers": [{"name": "trainer", "image": "a"}]}

TYPED = [
    ({"nodeSelector": {"a": True}}, "nodeSelector.a is true; it must be a string; quote it"),
    ({"tolerations": {"key": "x"}}, "tolerations is a map; it must be a list"),
    ({"hostNetwork": "yes"}, "hostNetwork is 'yes'; it must be true or false"),
    ({"priority": "high"}, "priority is 'high'; it must be a whole number"),
    ({"priority": 1.5}, "priority is 1.5; it must be a whole number"),
    ({"affinity": []}, "affinity is a list; it must be a map"),
    (
        {"containers": [{"name": "trainer", "image": "a", "env": [{"name": "A", "value": 1}]}]},
        "containers.0.env.0.value is 1; it must be a string; quote it",
    ),
    (
        {"volumes": [{"name": "a", "persistantVolumeClaim": {"claimName": "b"}}]},
        "volumes.0.persistantVolumeClaim is not a field; did you mean persistentVolumeClaim?",
    ),
]


@pytest.mark.parametrize(("fields", "problem"), TYPED)
def test_a_value_of_another_type_is_a_problem(fields: dict[str, Any], problem: str) -> None:
    assert sentences(fields, fails=True) == [problem]
    assert strictly_accepted(BASE)
    assert not strictly_accepted(BASE | fields)


def test_a_field_that_is_like_no_other_is_a_warning() -> None:
    """A cluster may be newer than the library whose models are asked."""
    assert not sentences({"quux": {}}, fails=True)
    assert "quux is not a field that Kubernetes is known to have" in sentences({"quux": {}})[0]


CONTAINERS = [
    ([{"name": "trainr"}], True, "own without an image; did you mean trainer?"),
    ([{"name": "Trainer"}], True, "own without an image; did you mean trainer?"),
    ([{"name": "sidecar"}], True, "a container of its own without an image; give it one"),
    ([{"env": []}], True, "name is missing; the container that trains is called trainer"),
    ([{"name": "trainr", "image": "a"}], False, "beside the trainer's; did you mean trainer?"),
]


@pytest.mark.parametrize(("containers", "fails", "problem"), CONTAINERS)
def test_a_container_that_was_meant_to_be_the_trainer_is_told(
    containers: list[Any], fails: bool, problem: str
) -> None:
    (sentence,) = sentences({"containers": containers}, fails=fails)
    assert problem in sentence
    assert not sentences({"containers": containers}, fails=not fails)


def test_a_sidecar_and_an_init_container_with_images_are_accepted() -> None:
    others = [{"name": "sidecar", "image": "a"}]
    assert not sentences({"containers": others, "initContainers": others})


def test_a_volume_is_one_source() -> None:
    assert not list(FIELDS.check_volume({"persistentVolumeClaim": {"claimName": "a"}}, ()))
    assert not list(FIELDS.check_volume({"emptyDir": {"sizeLimit": "1Gi"}}, ()))
    (finding,) = FIELDS.check_volume({"emptyDir": {"sizeLimit": "1Gib"}}, ())
    assert finding == PodFinding(
        ("emptyDir", "sizeLimit"), "is '1Gib'; it must be a quantity such as 500m, 2 or 4Gi"
    )
    (finding,) = FIELDS.check_volume({"name": "a"}, ())
    assert "is given by the operator" in finding.message


@given(st.integers(1, 5_000), st.booleans())
def test_depth_is_bounded_without_a_stack(depth: int, listed: bool) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [value] if listed else {"a": value}
    findings = list(check_extent(value, PATH))
    assert bool(findings) == (depth + 1 > DEEPEST)


def test_size_is_bounded() -> None:
    assert not list(check_extent([1] * (MOST_VALUES - 1), PATH))
    (finding,) = check_extent([1] * MOST_VALUES, PATH)
    assert "has more than 10,000 values" in finding.message


@given(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=8))
def test_a_suggestion_is_one_of_the_names(name: str, names: list[str]) -> None:
    assert nearest(name, names) in (None, *names)
    assert nearest(name, [*names, name]) is not None


def test_a_map_may_replace_the_operators_and_do_nothing_else() -> None:
    assert not sentences({"securityContext": {"$patch": "replace", "runAsNonRoot": True}})
    (problem,) = sentences({"securityContext": {"$patch": "delete"}}, fails=True)
    assert problem == "securityContext.$patch is 'delete'; it can only be replace"


def test_an_empty_field_is_a_warning_since_kubectl_apply_drops_it() -> None:
    (warning,) = sentences({"securityContext": {"runAsUser": None}}, fails=False)
    assert warning.startswith("securityContext.runAsUser is empty, and kubectl apply leaves")
    assert not sentences({"securityContext": {"runAsUser": None}}, fails=True)


DOMAIN = r"[a-z0-9]([-a-z0-9]{0,5}[a-z0-9])?(\.[a-z0-9]{1,9})?"
LABEL = r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]"


@given(
    st.from_regex(
        rf"([a-z0-9]([-a-z0-9]{{0,5}}[a-z0-9])?(\.[a-z0-9]{{1,9}})?/)?{LABEL}", fullmatch=True
    ),
    st.from_regex(rf"({LABEL})?", fullmatch=True),
)
def test_labels_that_kubernetes_takes_are_accepted(name: str, value: str) -> None:
    assert not list(check_metadata({"labels": {name: value}, "annotations": {name: "\x1b"}}, ()))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"labels": {"a b": "c"}}, "is no name of Kubernetes"),
        ({"labels": {"": "c"}}, "is no name of Kubernetes"),
        ({"annotations": {"/a": "c"}}, "is no name of Kubernetes"),
        ({"annotations": {"A.example/a": "c"}}, "is no name of Kubernetes"),
        ({"labels": {"a" * 64: "c"}}, "is no name of Kubernetes"),
        ({"labels": {"a": "b c"}}, "is 'b c'; it must be at most 63 letters"),
        ({"labels": {"a": "b" * 64}}, "it must be at most 63 letters"),
        ({"labels": {"a": "b\n"}}, "it must be at most 63 letters"),
    ],
)
def test_labels_that_no_object_can_have_are_told(metadata: Any, message: str) -> None:
    (finding,) = check_metadata(metadata, ())
    assert message in finding.message
    assert finding.fails


@given(ANYTHING)
def test_metadata_of_any_form_is_answered(value: Any) -> None:
    assert all(finding.fails for finding in check_metadata(value, ()))
