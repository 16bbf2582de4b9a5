"""Batch norm over a batch that several processes share.

With statistics of each process's share, the result would depend on the number of processes. Torch
has a layer for GPUs; for processors, where the tests of several processes run, it has none.
"""

from typing import cast

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose mean and variance are those of all processes' images together."""

    def forward(self, value: Tensor) -> Tensor:
        """Normalise N x C x H x W; the processes' N may differ, and be 0."""
        if not self.training:
            return super().forward(value)
        channels = value.shape[1]
        count = value.new_full((1,), value.numel() / channels)
        sums = torch.cat([value.sum((0, 2, 3)), (value * value).sum((0, 2, 3)), count])
        total = all_reduce(sums)  # type: ignore[no-untyped-call]
        number = total[-1]
        mean = total[:channels] / number
        variance = (total[channels:-1] / number - mean * mean).clamp_min(0)
        self._remember(mean.detach(), variance.detach() * (number / (number - 1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        return cast(Tensor, value * scale[:, None, None] + shift[:, None, None])

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def synchronise_batch_norm(network: nn.Module, device: torch.device) -> nn.Module:
    """Make all batch norm of a network use the batch of all processes; it keeps its tensors."""
    if device.type == "cuda":
        convert = nn.SyncBatchNorm.convert_sync_batchnorm
        return cast(nn.Module, convert(network))  # type: ignore[no-untyped-call]
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm
    assert distributed.is_initialized()
    return network
