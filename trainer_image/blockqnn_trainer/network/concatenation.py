"""Concatenation of channels whose gradients are dense in a processor's memory.

The gradient of ``torch.cat`` is cut into views of the joint gradient. In channels-last order such a
view is a few channels of every pixel with gaps between, and batch norm, which reads it next, leaves
its vectorised path on a processor: its backward pass took four times as long in blocks with many
loose ends (widths 8 to 32, 2026-11-30). One copy of each view costs less. A GPU is given the views,
since no measurement says otherwise.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor


class _Concatenation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *values: Tensor) -> Tensor:
        ctx.widths = [value.shape[1] for value in values]
        return torch.cat(values, dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        (gradient,) = gradients
        views = torch.split(gradient, ctx.widths, dim=1)
        if gradient.device.type != "cpu":
            return tuple(views)
        return tuple(view.contiguous(memory_format=torch.channels_last) for view in views)


def concatenate(values: Sequence[Tensor]) -> Tensor:
    """Concatenate N x C x H x W values along their channels.

    Same numbers as ``torch.cat``, forward and backward; on a processor each gradient is dense, in
    channels-last order.
    """
    return cast(Tensor, _Concatenation.apply(*values))
