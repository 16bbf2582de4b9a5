"""Quantities and resources of containers, as the API server reads them."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockqnn_api.quantities import LARGEST, read_quantity
from blockqnn_api.resources import check_quantity, check_resources

UNITS = {
    "": 1, "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "k": 10**3,
    "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18, "Ki": 2**10, "Mi": 2**20,
    "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60, "e3": 10**3, "E-2": Fraction(1, 100),
}  # fmt: skip


@given(st.integers(0, 10**9), st.integers(0, 999), st.sampled_from(sorted(UNITS)))
def test_a_quantity_has_the_value_that_kubernetes_gives_it(
    whole_part: int, thousandths: int, unit: str
) -> None:
    number = whole_part + Fraction(thousandths, 1000)
    assert read_quantity(f"{whole_part}.{thousandths:03}{unit}") == number * UNITS[unit]
    assert read_quantity(f"-{whole_part}.{thousandths:03}{unit}") == -number * UNITS[unit]
    assert read_quantity(whole_part) == whole_part


NONE = [
    "",
    "abc",
    "1 Gi",
    "1gb",
    "1GiB",
    "--1",
    "1e",
    "1.2.3",
    ".",
    "٣",
    "1\n",
    "9" * 65,
    "1e9999",
    "0x1",
]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_quantity_is_a_problem(text: str) -> None:
    (finding,) = check_quantity(text, ("cpu",))
    assert finding.message.endswith("it must be a quantity such as 500m, 2 or 4Gi")


@given(st.none() | st.booleans() | st.text() | st.integers() | st.floats() | st.just([]))
def test_any_value_is_answered(value: Any) -> None:
    findings = list(check_quantity(value, ("cpu",)))
    assert len(findings) <= 1
    assert all(len(finding.message) < 200 for finding in findings)
    amount = read_quantity(value)
    assert bool(findings) == (amount is None or not 0 <= amount <= LARGEST)


RESOURCES = [
    ({"limits": {"gpu": 1}}, True, "limits.gpu is no resource that Kubernetes has; these are cpu"),
    ({"limits": {"Memory": "1Gi"}}, True, "limits.Memory is no resource that Kubernetes has; did"),
    ({"limits": {"nvidia.com/gpu": "500m"}}, True, "limits.nvidia.com/gpu is '500m'; devices a"),
    ({"limits": {"nvidia.com/gpu": 0}}, False, "limits.nvidia.com/gpu is 0, so that trials run"),
    ({"limits": {"cpu": -1}}, True, "limits.cpu is -1; it must be at least 0"),
    ({"limits": {"cpu": "9" * 400}}, True, f"limits.cpu is '{'9' * 56}...; it mus"),
    ({"limits": {"cpu": "9" * 40}}, True, f"limits.cpu is '{'9' * 40}'; no mach"),
    ({"limits": {"cpu": "2M"}}, True, "limits.cpu is '2M'; no machine has as many processors"),
    ({"limits": {"memory": "500m"}}, False, "limits.memory is '500m', less than a MiB; write a un"),
    ({"requests": {"nvidia.com/gpu": 1}}, True, "requests.nvidia.com/gpu must be the same in li"),
    (
        {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}},
        True,
        "requests.cpu is more than the limit; raise the limit or lower the request",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("resources", "fails", "problem"), RESOURCES)
def test_resources_that_no_pod_can_have_are_told(
    resources: dict[str, Any], fails: bool, problem: str
) -> None:
    (finding,) = check_resources(resources, ())
    assert f"{'.'.join(map(str, finding.path))} {finding.message}".startswith(problem)
    assert finding.fails is fails


@pytest.mark.parametrize(
    "resources",
    [
        {"limits": {"nvidia.com/gpu": 1}},
        {"limits": {"nvidia.com/gpu": "2", "cpu": 4, "memory": "16Gi"}, "requests": {"cpu": "0.5"}},
        {"requests": {"cpu": "500m", "ephemeral-storage": "1e9"}},
        {"limits": {"hugepages-2Mi": "4Mi", "cpu": None}},
        {"limits": {}, "requests": None},
        [],
    ],
)
def test_resources_that_a_pod_can_have_are_accepted(resources: Any) -> None:
    assert not list(check_resources(resources, ()))
