"""Parts of a spec whose fields Kubernetes defines: bounded, whatever is in them."""

from decimal import Decimal
from typing import Any

import pytest
from hostile_values import hostile
from hypothesis import example, given
from hypothesis import strategies as st
from operator_builders import make_spec

from blockqnn_api.errors import InvalidSearch
from blockqnn_api.quantities import LARGEST, number
from blockqnn_api.resolve import resolve
from blockqnn_operator.core.jobs.base import threads


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize("levels", [40, 900, 100_000])
def test_a_pod_template_that_is_nested_too_deeply_is_refused_in_a_sentence(levels: int) -> None:
    template = {"spec": {"zz": nested(levels)}}
    with pytest.raises(InvalidSearch) as refusal:
        resolve(make_spec(trial={"podTemplate": template}))
    assert str(refusal.value).startswith(
        "spec.trial.podTemplate.spec is nested more than 40 levels"
    )


def test_a_pod_template_of_megabytes_is_refused() -> None:
    template = {"spec": {"hostname": "x" * 1_000_000}}
    with pytest.raises(InvalidSearch, match=r"trial.podTemplate.spec: .* at most 131072"):
        resolve(make_spec(trial={"podTemplate": template}))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("2", 2), ("500m", "0.5"), ("8Gi", 2**33), ("1e3", 1000), ("1.5k", 1500), (3, 3)),
        *((".5", "0.5"), ("2E", 2 * 10**18), ("+1", 1), (LARGEST, LARGEST), ("0", 0)),
    ],
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str | int, value: Any) -> None:
    assert number(text) == Decimal(value)


@given(st.text("0123456789.eE+-kKMGim") | st.integers())
@example("9" * 400)
@example("9e99")
def test_a_quantity_has_a_number_that_kubernetes_can_hold(quantity: str | int) -> None:
    try:
        value = number(quantity)
    except ValueError:
        return
    assert 0 <= value <= LARGEST
    (variable,) = threads({"limits": {"cpu": quantity}})
    assert 1 <= int(variable["value"]) <= 1024


@pytest.mark.parametrize("cpu", ["9" * 400, 10**400, "9e99", "lots", -1])
def test_a_quantity_that_is_none_is_refused_with_its_field(cpu: str | int) -> None:
    with pytest.raises(InvalidSearch, match=r"trial\.resources\.limits\.cpu"):
        resolve(make_spec(trial={"resources": {"limits": {"cpu": cpu}}}))


SPEC = make_spec(
    trial={
        "image": "trainer",
        "resources": {"limits": {"cpu": "2"}},
        "podTemplate": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "x"}]},
        },
    },
    failurePolicy={"pendingTimeout": "15m", "trialTimeout": "2h", "retries": 1},
)


@given(hostile(SPEC))
def test_any_spec_is_resolved_or_refused_in_a_sentence(spec: Any) -> None:
    try:
        resolve(spec)
    except InvalidSearch as refusal:
        words = str(refusal)
        assert words.rstrip().endswith("."), words
        assert len(words) < 2000
        words.encode()
