"""Accelerators of a container, counted by the resources that are known to be whole devices.

The names are those of the vendors' device plugins. Whatever else has `gpu` in its name is a share
of a device, such as its memory or cores, or is not known; `trial.accelerators` says the number
then.
"""

import re
from collections.abc import Mapping

DEVICES = (
    r"nvidia\.com/gpu(\.shared)?",
    r"nvidia\.com/mig-[\w.]+",
    r"amd\.com/gpu",
    r"gpu\.intel\.com/(i915|xe)",
    r"habana\.ai/gaudi",
    r"google\.com/tpu",
    r"cloud-tpus\.google\.com/[\w.-]+",
    r"aws\.amazon\.com/neuron(device)?",
    r"huawei\.com/Ascend\w+",
    r"cambricon\.com/(vmlu|mlu\w*)",
    r"hygon\.com/dcu(num)?",
    r"iluvatar\.(ai|com)/v?gpu",
    r"metax-tech\.com/gpu",
    r"mthreads\.com/v?gpu",
    r"enflame\.com/v?gcu",
    r"kunlunxin\.com/v?xpu",
)
"""Patterns of resources that count whole devices, or the parts that a device plugin hands out."""

_COUNT = re.compile(r"[0-9]{1,7}")

_DEVICE = re.compile("|".join(DEVICES))


def count_accelerators(limits: Mapping[str, object]) -> int:
    """Count the devices among the limits of a container; what is not known counts as none.

    Args:
        limits: ``resources.limits`` of the container; an extended resource is a whole number.
    """
    return sum(
        int(str(amount))
        for name, amount in limits.items()
        if _DEVICE.fullmatch(name) and _COUNT.fullmatch(str(amount))
    )
