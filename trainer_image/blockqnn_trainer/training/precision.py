"""The numbers that a training computes with: float32, or bfloat16 where that loses nothing.

With bfloat16, convolutions, the linear layer and what lies between them compute in it. Weights,
gradients of weights, Adam's moments, and the weights and statistics of batch norm stay float32, and
the loss is computed in it: bfloat16 has 8 significant bits, in which a step of Adam vanishes.
"""

from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def choose_dtype(asked: Precision, device: torch.device) -> torch.dtype:
    """Choose the number format in which a training on a device computes.

    Args:
        asked: ``auto`` is bfloat16 on a GPU with units for it (NVIDIA's since 2020), where it
            halves the memory traffic that bounds these networks, and else float32.
        device: the device of the network.

    Returns:
        ``torch.float32`` or ``torch.bfloat16``.
    """
    if asked == "auto":
        return torch.bfloat16 if _computes_bfloat16(device) else torch.float32
    return torch.bfloat16 if asked == "bfloat16" else torch.float32


def _computes_bfloat16(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def require_exact_float32() -> None:
    """Keep a GPU's float32 from being TensorFloat32, which has 11 significant bits instead of 24.

    By default torch allows that for convolutions, and not for matrices.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def autocast(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """A context in which a network computes in `dtype`; the weights keep theirs."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)
