"""Accelerators are counted by known devices; shares of them, and unknown resources, are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockqnn_api.accelerators import count_accelerators

names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
amounts = st.integers(0, 10**6)


@pytest.mark.parametrize(
    "device",
    [
        "nvidia.com/gpu",
        "nvidia.com/gpu.shared",
        "nvidia.com/mig-1g.10gb",
        "amd.com/gpu",
        "gpu.intel.com/i915",
        "habana.ai/gaudi",
        "google.com/tpu",
        "cloud-tpus.google.com/v3",
        "aws.amazon.com/neuron",
        "huawei.com/Ascend910",
    ],
)
@given(amounts)
def test_each_device_counts(device: str, amount: int) -> None:
    assert count_accelerators({device: amount, "cpu": "4"}) == amount
    assert count_accelerators({device: str(amount)}) == amount


@given(amounts, amounts, st.integers(1, 8))
def test_shares_of_a_device_count_none(memory: int, cores: int, devices: int) -> None:
    shares = {"nvidia.com/gpumem": memory, "nvidia.com/gpucores": cores, "amd.com/gpu-memory": 1}
    assert count_accelerators({**shares, "nvidia.com/gpu": devices}) == devices


@given(st.dictionaries(names, amounts), st.dictionaries(names, st.text(max_size=5)))
def test_what_is_not_known_counts_none(counts: dict[str, int], texts: dict[str, str]) -> None:
    unknown = {f"example.com/gpu-{name}": amount for name, amount in counts.items()}
    assert count_accelerators({**unknown, **texts}) == 0


@given(st.text(max_size=6))
def test_an_amount_that_is_no_whole_number_counts_none(amount: str) -> None:
    counted = count_accelerators({"nvidia.com/gpu": amount})
    assert counted == (int(amount) if amount.isascii() and amount.isdecimal() else 0)
