"""The early-stop training of the papers (CVPR 2018, section 4.2).

Adam, a learning rate that falls by a factor every few epochs, no augmentation, every image once an
epoch, the last partial batch included. When the first epoch ends no better than chance, training
starts again from new weights at a lower rate.

Nothing waits for the device inside an epoch: the loss is summed there and read once at its end.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from blockqnn.contract.training import StoppingRule, TrainingSpec
from blockqnn_trainer.datasets.split import Split
from blockqnn_trainer.errors import Infeasible, NeverLearned, NotFinite
from blockqnn_trainer.network.network import Network, initialise
from blockqnn_trainer.training.adam import Adam
from blockqnn_trainer.training.cuda_graphs import Step, repeated
from blockqnn_trainer.training.precision import choose_dtype, require_exact_float32
from blockqnn_trainer.training.steps import EvaluationStep, TrainingStep


class Observer(Protocol):
    """Observer of the progress of a training."""

    def timed(self, stage: Literal["train", "evaluate"]) -> AbstractContextManager[None]:
        """Account the time of a ``with`` block to a stage."""

    def epoch_ended(self, epoch: int, loss: float, accuracy: float) -> None:
        """Receive an epoch, counted from 1: its mean loss and the validation accuracy after it."""

    def restarted(self, learning_rate: float) -> None:
        """Receive the notice that training starts again, at this rate."""

    def stopped(self, epoch: int) -> None:
        """Receive the notice that training stops itself after an epoch, counted from 1."""


@dataclass(frozen=True, slots=True)
class _Epoch:
    """Results of an epoch."""

    loss: float
    """The mean over the training images."""
    accuracy: float
    """The share of validation images classified rightly after it."""
    finite: bool
    """True if the loss, and the logits of all validation images, are finite numbers."""


def train(
    network: Network,
    split: Split,
    spec: TrainingSpec,
    generator: torch.Generator,
    observer: Observer,
    rules: Sequence[StoppingRule] = (),
) -> float:
    """Train a network from its present weights.

    The same weights, images, specification and state of the generator give the same bits on a CPU
    with the same number of threads.

    Args:
        network: freshly initialised, on the device of the images.
        split: the images.
        spec: the settings of the training.
        generator: on the CPU; draws the order of the images, and the weights of restarts.
        observer: notified of every epoch and restart, and of an end before the last epoch.
        rules: the conditions to end before the last epoch.

    Returns:
        The validation accuracy after the last epoch, 0 to 1; extrapolated where a rule ended it.

    Raises:
        NeverLearned: when the first epoch ended no better than chance at every learning rate.
        NotFinite: when the loss or a logit became infinite or not a number, after the first epoch.
            In the first epoch this counts as no better than chance: it restarts while allowed.
    """
    rate = spec.optimizer.learning_rate
    chance = 1 / split.classes
    for restart in range(spec.restarts.maximum + 1):
        if restart:
            rate *= spec.restarts.factor
            initialise(network, generator)
            observer.restarted(rate)
        run = _Run(network, split, spec, rate, generator, observer, rules)
        first = run.epoch(0)
        if first.finite and first.accuracy > chance:
            return run.finish(first)
    raise _defeat(first, chance, spec.restarts.maximum + 1, rate)


def _defeat(first: _Epoch, chance: float, trainings: int, rate: float) -> Infeasible:
    tried = f"tried {trainings} times, the last time with the learning rate {rate:g}"
    if not first.finite:
        return NotFinite(f"The loss or a logit is not finite in the first epoch, {tried}.")
    return NeverLearned(
        f"The first epoch ends with the validation accuracy {first.accuracy:.4f}, no better than "
        f"chance ({chance:.4f}), {tried}."
    )


def batch_bounds(images: int, batch_size: int) -> list[tuple[int, int]]:
    """Divide an epoch's images into batches: the start and the end of each.

    The last batch has the remaining images; dropping it would train on fewer images than the
    papers, 195 steps of 256 images instead of 196 on 50,000. A single remaining image joins the
    batch before, because batch norm has no variance of a single value where the image has shrunk
    to one pixel.
    """
    starts = list(range(0, images, batch_size))
    if len(starts) > 1 and batch_size > 1 and images - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], images], strict=True))


class _Run:
    """One training from fresh weights, at one initial learning rate."""

    def __init__(
        self,
        network: Network,
        split: Split,
        spec: TrainingSpec,
        rate: float,
        generator: torch.Generator,
        observer: Observer,
        rules: Sequence[StoppingRule],
    ) -> None:
        self._rules = {rule.epoch: rule for rule in rules}
        device = split.training.labels.device
        dtype = choose_dtype(spec.precision, device)
        if dtype == torch.float32:
            require_exact_float32()
        self._spec = spec
        self._rate = rate
        self._generator = generator
        self._observer = observer
        self._images = len(split.training)
        self._training = TrainingStep(network, split.training, Adam(network, spec.optimizer), dtype)
        self._evaluation = EvaluationStep(network, split.validation, dtype)
        self._train_batch = repeated(self._training, device)
        self._evaluate_batch = repeated(self._evaluation, device)
        # A batch that fits while training fits in evaluation; a larger one need not.
        self._held_out = torch.arange(len(split.validation), device=device)

    def finish(self, first: _Epoch) -> float:
        """Train the epochs after the first; return the accuracy of the last."""
        last = first
        for number in range(1, self._spec.epochs):
            rule = self._rules.get(number)
            if rule is not None and last.accuracy < rule.below:
                self._observer.stopped(number)
                return min(max(rule.intercept + rule.slope * last.accuracy, 0.0), 1.0)
            last = self.epoch(number)
            if not last.finite:
                raise NotFinite(
                    f"The loss or a logit is not finite in epoch {number + 1} of "
                    f"{self._spec.epochs}, at the initial learning rate {self._rate:g}."
                )
        return last.accuracy

    def epoch(self, number: int) -> _Epoch:
        """Train and evaluate one epoch, counted from 0."""
        schedule = self._spec.schedule
        rate = self._rate * schedule.factor ** (number // schedule.every)
        with self._observer.timed("train"):
            loss = self._train(rate)
        with self._observer.timed("evaluate"):
            accuracy, finite = self._evaluate()
        self._observer.epoch_ended(number + 1, loss, accuracy)
        return _Epoch(loss, accuracy, finite and math.isfinite(loss))

    def _train(self, rate: float) -> float:
        self._training.begin(rate)
        # Drawn on the CPU, so that a seed means the same order on every device: 0.5 ms an epoch of
        # 45,000 images. The images themselves are gathered on the device.
        order = torch.randperm(self._images, generator=self._generator)
        self._go_through(order.to(self._held_out.device), self._train_batch)
        return self._training.mean_loss()

    def _evaluate(self) -> tuple[float, bool]:
        self._evaluation.begin()
        self._go_through(self._held_out, self._evaluate_batch)
        return self._evaluation.accuracy(), self._evaluation.finite()

    def _go_through(self, order: Tensor, step: Step) -> None:
        for start, end in batch_bounds(len(order), self._spec.batch_size):
            step(order[start:end])
