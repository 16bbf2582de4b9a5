"""Accuracy of a network on the test images, at the first guess and within five."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from blockqnn_trainer.finalists.augmentation import normalise
from blockqnn_trainer.finalists.feed_protocol import Feed
from blockqnn_trainer.finalists.group import Group
from blockqnn_trainer.training.precision import autocast, require_exact_float32

GUESSES = 5
"""Number of guesses for the second accuracy, which is usual for ImageNet."""


class Accuracies(NamedTuple):
    """Shares of the test images, 0 to 1."""

    top1: float
    top5: float | None
    """None if there are too few classes to be wrong five times."""


class Count:
    """Counts images that are classified correctly, on their device."""

    def __init__(self, classes: int, device: torch.device) -> None:
        self._five = classes > GUESSES
        self._right = torch.zeros(2, dtype=torch.int64, device=device)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: N x classes logits, N labels."""
        self._right[0] += (logits.argmax(1) == labels).sum()
        if self._five:
            self._right[1] += (logits.topk(GUESSES, 1).indices == labels[:, None]).sum()

    def result(self, images: int, group: Group | None = None) -> Accuracies:
        """Return the shares of all images, over all processes. Waits for the device."""
        if group is not None:
            group.add_up(self._right)
        top1, top5 = (int(right) / images for right in self._right.tolist())
        return Accuracies(top1, top5 if self._five else None)


def evaluate(
    network: nn.Module,
    feed: Feed,
    batch_size: int,
    dtype: torch.dtype,
    group: Group,
    between: Callable[[], None] = lambda: None,
) -> Accuracies:
    """Measure a network on all test images, together with the other processes.

    Args:
        network: maps normalised images to logits; on the device of the group.
        feed: the images.
        batch_size: the number of images in a batch, over all processes.
        dtype: the number format of the network; float32 is without TensorFloat32.
        group: the processes.
        between: called before each batch.
    """
    if dtype == torch.float32:
        require_exact_float32()
    network.eval()
    count = Count(feed.classes, group.device)
    mean, deviation = feed.mean.to(group.device), feed.deviation.to(group.device)
    batches = torch.split(torch.arange(feed.test_images), batch_size)
    shares = [share for share in map(group.share, batches) if len(share)]
    for pixels, labels in feed.test_batches(shares):
        between()
        with torch.inference_mode(), autocast(dtype, group.device):
            count.add(network(normalise(pixels, mean, deviation)), labels)
    return count.result(feed.test_images, group)
