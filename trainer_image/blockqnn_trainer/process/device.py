"""The device of a training. Importing this imports torch."""

import torch


def device_name(device: torch.device) -> str:
    """Return the name of a device, as results have it: `cpu`, or the accelerator's."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
