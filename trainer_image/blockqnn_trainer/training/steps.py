"""One batch of a training or of an evaluation, on one device, without waiting for it.

A step reads the indices of its images from a tensor, works on tensors that stay where they are, and
adds its results to sums on the device. So it can be recorded once and repeated
(:mod:`blockqnn_trainer.training.cuda_graphs`), and nothing is read back before an epoch ends.
"""

import torch
from torch import Tensor
from torch.nn import functional

from blockqnn_trainer.datasets.split import Images
from blockqnn_trainer.network.network import Network
from blockqnn_trainer.training.adam import Adam
from blockqnn_trainer.training.precision import autocast


class TrainingStep:
    """Gathers a batch, and moves the weights by its gradient."""

    def __init__(self, network: Network, images: Images, adam: Adam, dtype: torch.dtype) -> None:
        self._network = network
        self._images = images
        self._adam = adam
        self._dtype = dtype
        self._device = images.labels.device
        self._rate: float | Tensor = 0.0
        if self._device.type == "cuda":
            self._rate = torch.zeros((), device=self._device)
        self._total = torch.zeros((), device=self._device)

    def begin(self, learning_rate: float) -> None:
        """Set the learning rate of the steps to come, and the sum of losses to 0."""
        self._network.train()
        self._total.zero_()
        # A recorded step reads the rate where it was when it was recorded.
        if isinstance(self._rate, Tensor):
            self._rate.fill_(learning_rate)
        else:
            self._rate = learning_rate

    def __call__(self, chosen: Tensor) -> None:
        """Train on a batch: int64 indices of training images, on the device."""
        pixels, labels = self._images.batch(chosen)
        try:
            with autocast(self._dtype, self._device):
                loss = functional.cross_entropy(self._network(pixels), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            self._adam.step(self._rate)
        finally:
            # Left behind by a recording that failed, they would be added to.
            self._adam.forget_gradients()
        self._total += loss.detach() * len(chosen)

    def mean_loss(self) -> float:
        """Return the mean loss of the images since :meth:`begin`, all of them once. Waits."""
        return self._total.item() / len(self._images)


class EvaluationStep:
    """Gathers a batch, and counts its images that are classified correctly."""

    def __init__(self, network: Network, images: Images, dtype: torch.dtype) -> None:
        self._network = network
        self._images = images
        self._dtype = dtype
        self._device = images.labels.device
        self._right = torch.zeros((), dtype=torch.int64, device=self._device)
        self._finite = torch.ones((), dtype=torch.bool, device=self._device)

    def begin(self) -> None:
        """Set the counts to 0, and the network to evaluation."""
        self._network.eval()
        self._right.zero_()
        self._finite.fill_(True)

    def __call__(self, chosen: Tensor) -> None:
        """Evaluate a batch: int64 indices of validation images, on the device."""
        pixels, labels = self._images.batch(chosen)
        with torch.inference_mode(), autocast(self._dtype, self._device):
            logits = self._network(pixels)
            self._right += (logits.argmax(1) == labels).sum()
            self._finite &= logits.isfinite().all()

    def accuracy(self) -> float:
        """Return the share of the images classified correctly since :meth:`begin`. Waits."""
        return self._right.item() / len(self._images)

    def finite(self) -> bool:
        """Return whether all logits since :meth:`begin` are finite numbers. Waits."""
        return bool(self._finite.item())
