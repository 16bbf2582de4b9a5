"""The complete training of the papers (CVPR 2018, section 4.2): SGD with momentum.

The same specification gives the same bits on a CPU with the same number of threads and processes,
however often the training was interrupted. Nothing waits for the device inside an epoch; the check
for a stop between two steps does not use the device.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.sgd import sgd

from blockqnn.contract.finalist import FinalistTraining, MomentumOptimizer
from blockqnn_trainer.errors import NotFinite
from blockqnn_trainer.finalists.checkpoint import Checkpoint, State
from blockqnn_trainer.finalists.draws import draw_order
from blockqnn_trainer.finalists.evaluation import Accuracies, evaluate
from blockqnn_trainer.finalists.feed_protocol import Feed
from blockqnn_trainer.finalists.group import Group
from blockqnn_trainer.network.network import Network
from blockqnn_trainer.process.job_process import Stopped
from blockqnn_trainer.training.early_stop import batch_bounds
from blockqnn_trainer.training.precision import autocast, choose_dtype, require_exact_float32

Stage = Literal["train", "evaluate", "checkpoint"]


class Observer(Protocol):
    """Observer of the progress of a training, which may end it."""

    def timed(self, stage: Stage) -> AbstractContextManager[None]:
        """Account the time of a ``with`` block to a stage."""

    def epoch_ended(self, state: State, loss: float) -> None:
        """Receive the state after a complete epoch, and its mean loss."""

    def keep(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint."""

    def stopping(self) -> bool:
        """Return whether the training is to stop now, after a last checkpoint."""


def learning_rate(training: FinalistTraining, epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 0."""
    passed = sum(epoch >= milestone for milestone in training.schedule.milestones)
    return training.optimizer.learning_rate * training.schedule.factor**passed


class Momentum:
    """The state of SGD for the parameters of one network, by torch's function."""

    def __init__(self, network: nn.Module, spec: MomentumOptimizer) -> None:
        self._spec = spec
        self._parameters = list(network.parameters())
        self.buffers = [torch.zeros_like(parameter) for parameter in self._parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every parameter by its gradient, and forget the gradients."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        sgd(
            list[Tensor](self._parameters),
            gradients,
            list[Tensor | None](self.buffers),
            weight_decay=self._spec.weight_decay,
            momentum=self._spec.momentum,
            lr=rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            foreach=False,
            fused=True,
        )
        for parameter in self._parameters:
            parameter.grad = None


class Training:
    """One training, from its first step or from a checkpoint to its last epoch."""

    def __init__(
        self,
        spec: FinalistTraining,
        seed: int,
        fingerprint: str,
        network: Network,
        feed: Feed,
        group: Group,
    ) -> None:
        """Prepare a training.

        Args:
            spec: the settings of the training.
            seed: decides the order of the images.
            fingerprint: names the training in its checkpoints.
            network: freshly initialised, on the device of the group.
            feed: the images.
            group: the processes that train together.
        """
        self._spec, self._seed, self._fingerprint = spec, seed, fingerprint
        self._network, self._feed, self._group = network, feed, group
        self._dtype = choose_dtype(spec.precision, group.device)
        if self._dtype == torch.float32:
            require_exact_float32()
        self._momentum = Momentum(network, spec.optimizer)
        self._trained = group.wrap(network)
        # In float64, so that millions of images add up.
        self._loss = torch.zeros((), dtype=torch.float64, device=group.device)
        self._epoch = self._step = self._resumed = 0
        self._curve: tuple[float, ...] = ()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        state = checkpoint.state
        self._epoch, self._step, self._curve = state.epoch, state.step, state.curve
        self._resumed = state.resumed + 1
        with torch.no_grad():
            for name, tensor in self._named():
                tensor.copy_(checkpoint.tensors[name])
            self._loss /= self._group.size

    @property
    def state(self) -> State:
        """Present state of the training."""
        return State(
            fingerprint=self._fingerprint,
            epoch=self._epoch,
            step=self._step,
            curve=self._curve,
            resumed=self._resumed,
        )

    def run(self, every: int, observer: Observer) -> None:
        """Train to the end.

        Args:
            every: the number of epochs between checkpoints; the last epoch has one as well.
            observer: notified of every epoch and asked at every step.

        Raises:
            NotFinite: when a loss became infinite or not a number.
            Stopped: when the observer asked for it; the training has left a checkpoint.
        """
        epochs = self._spec.epochs
        while self._epoch < epochs:
            with observer.timed("train"):
                loss = self._train(observer)
            with observer.timed("evaluate"):
                accuracy = self._evaluate(observer).top1
            self._loss.zero_()
            self._epoch, self._step = self._epoch + 1, 0
            self._curve += (accuracy,)
            observer.epoch_ended(self.state, loss)
            if self._epoch % every == 0 or self._epoch == epochs:
                self._keep(observer)

    def _train(self, observer: Observer) -> float:
        rate = learning_rate(self._spec, self._epoch)
        images = self._feed.training_images
        order = draw_order(images, self._seed, self._epoch)
        bounds = batch_bounds(images, self._spec.batch_size)
        batches = [order[start:end] for start, end in bounds[self._step :]]
        shares = [self._group.share(batch) for batch in batches]
        self._trained.train()
        varied = self._feed.training_batches(self._epoch, shares)
        for (values, labels), batch in zip(varied, batches, strict=True):
            self._stop_if_asked(observer)
            with autocast(self._dtype, self._group.device):
                loss = functional.cross_entropy(self._trained(values), labels, reduction="sum")
            # Gradients are averaged over the processes, whose shares may differ by one image.
            scaled = loss * (self._group.size / len(batch))
            scaled.backward()  # type: ignore[no-untyped-call]
            self._momentum.step(rate)
            self._loss += loss.detach()
            self._step += 1
        return self._mean_loss(images)

    def _mean_loss(self, images: int) -> float:
        total = self._loss.clone()
        self._group.add_up(total)
        loss = total.item() / images
        if not math.isfinite(loss):
            raise NotFinite(
                f"The loss is not finite in epoch {self._epoch + 1} of {self._spec.epochs}, at the "
                f"learning rate {learning_rate(self._spec, self._epoch):g}."
            )
        return loss

    def _evaluate(self, observer: Observer) -> Accuracies:
        def asked() -> None:
            self._stop_if_asked(observer)

        return evaluate(
            self._network, self._feed, self._spec.batch_size, self._dtype, self._group, asked
        )

    def _stop_if_asked(self, observer: Observer) -> None:
        # The others wait for this process in vain; whoever started them ends them.
        if self._group.leads and observer.stopping():
            self._keep(observer)
            raise Stopped

    def _keep(self, observer: Observer) -> None:
        if self._group.leads:
            with observer.timed("checkpoint"):
                tensors = dict(self._named())
                # The others' sums are theirs, and as large; only the log tells of it.
                tensors["loss"] = self._loss * self._group.size
                observer.keep(Checkpoint(self.state, tensors))

    def _named(self) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in self._network.state_dict().items():
            yield f"network.{name}", tensor
        for number, buffer in enumerate(self._momentum.buffers):
            yield f"momentum.{number}", buffer
        yield "loss", self._loss
