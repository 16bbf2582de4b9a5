"""The early-stop training: what it reaches, that it repeats, when it gives up."""

import math
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from itertools import pairwise

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from blockqnn.block.nsc import Block
from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.training import Optimizer, StoppingRule, TrainingSpec
from blockqnn.network.spec import NetworkSpec
from blockqnn_trainer.datasets.split import Images, Split, load
from blockqnn_trainer.errors import NeverLearned, NotFinite
from blockqnn_trainer.network.network import Network, build_network
from blockqnn_trainer.training.adam import Adam
from blockqnn_trainer.training.early_stop import batch_bounds, train

CPU = torch.device("cpu")
SHORTCUT = Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,5,0,1,3)(5,7,0,0,0)")

torch.set_num_threads(1)


class Record:
    """Remembers what a training tells."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, float, float]] = []
        self.rates: list[float] = []
        self.stages: list[str] = []
        self.stops: list[int] = []

    def timed(self, stage: str) -> AbstractContextManager[None]:
        self.stages.append(stage)
        return nullcontext()

    def epoch_ended(self, epoch: int, loss: float, accuracy: float) -> None:
        self.epochs.append((epoch, loss, accuracy))

    def restarted(self, learning_rate: float) -> None:
        self.rates.append(learning_rate)

    def stopped(self, epoch: int) -> None:
        self.stops.append(epoch)


def training(epochs: int = 3, batch_size: int = 64, **optimizer: float) -> TrainingSpec:
    adam = {"learning_rate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, **optimizer}
    return TrainingSpec.model_validate(
        {
            "epochs": epochs,
            "batch_size": batch_size,
            "precision": "auto",
            "optimizer": {"name": "Adam", **adam},
            "schedule": {"factor": 0.2, "every": 2},
            "restarts": {"maximum": 3, "factor": 0.4},
        }
    )


@pytest.fixture(scope="module")
def digits() -> Split:
    spec = DatasetSpec.model_validate(
        {"name": "digits", "path": "/none", "validation": {"source": "train", "fraction": 0.2}}
    )
    return load(spec, 1, CPU)


def network_of(split: Split, generator: torch.Generator, *filters: int) -> Network:
    spec = NetworkSpec(filters=filters, repeats=1, output_projection=True)
    return build_network(SHORTCUT, spec, split.input_shape, split.classes, generator=generator)


def run(split: Split, spec: TrainingSpec, seed: int, record: Record) -> tuple[float, Network]:
    generator = torch.Generator().manual_seed(seed)
    network = network_of(split, generator, 8, 16)
    return train(network, split, spec, generator, record), network


def bits(network: Network) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in network.state_dict().values()]


def test_digits_are_learned_and_the_same_seed_gives_the_same_bits(digits: Split) -> None:
    record, again, other = Record(), Record(), Record()
    accuracy, network = run(digits, training(), 5, record)
    repeated, twin = run(digits, training(), 5, again)
    # 3 epochs reach 0.96 to 0.98 with seeds 0 to 9; a linear classifier needs many more for 0.96.
    assert accuracy > 0.93
    assert accuracy == record.epochs[-1][2]
    assert [epoch for epoch, _, _ in record.epochs] == [1, 2, 3]
    assert record.epochs[0][1] > record.epochs[1][1] > record.epochs[2][1]
    assert record.stages == ["train", "evaluate"] * 3
    assert not record.rates
    assert again.epochs == record.epochs
    assert repeated == accuracy
    assert bits(twin) == bits(network)
    run(digits, training(epochs=1), 6, other)
    assert other.epochs[0] != record.epochs[0]


def test_a_training_that_a_rule_finds_too_poor_ends_with_what_it_would_reach(
    digits: Split,
) -> None:
    complete, stopped = Record(), Record()
    run(digits, training(), 5, complete)
    second = complete.epochs[1][2]
    rules = [
        StoppingRule(epoch=1, below=0.0, intercept=0, slope=1),
        StoppingRule(epoch=2, below=1.0, intercept=0.1, slope=0.5),
    ]
    generator = torch.Generator().manual_seed(5)
    network = network_of(digits, generator, 8, 16)
    accuracy = train(network, digits, training(), generator, stopped, rules)
    assert stopped.epochs == complete.epochs[:2]
    assert stopped.stops == [2]
    assert accuracy == pytest.approx(0.1 + 0.5 * second)


def test_the_reported_accuracy_is_that_of_the_network_on_the_held_out_images(digits: Split) -> None:
    accuracy, network = run(digits, training(epochs=1), 0, Record())
    images, labels = digits.validation.batch(torch.arange(len(digits.validation)))
    right = (network.eval()(images).argmax(1) == labels).sum().item()
    assert accuracy == right / len(labels)


def test_an_epoch_reads_nothing_back_from_the_device_before_it_ends(
    digits: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reading would let a GPU run dry, at every batch."""
    read: list[str] = []

    def counted(name: str) -> None:
        original = getattr(torch.Tensor, name)

        def reading(*arguments: object, **options: object) -> object:
            read.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(torch.Tensor, name, reading)

    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__int__", "__float__"):
        counted(name)
    run(digits, training(epochs=2, batch_size=64), 5, Record())
    # For each of 2 epochs of 23 and 6 batches: the loss, the accuracy, whether all is finite.
    assert read == ["item"] * 3 * 2


@given(st.integers(1, 2000), st.integers(1, 300))
def test_batches_cover_every_image_once(images: int, batch_size: int) -> None:
    bounds = batch_bounds(images, batch_size)
    sizes = [end - start for start, end in bounds]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == images
    assert all(end == start for (_, end), (start, _) in pairwise(bounds))
    assert all(size == batch_size for size in sizes[:-1])
    assert 1 <= sizes[-1] <= batch_size + 1
    if batch_size > 1 and images > 1:
        assert sizes[-1] > 1


def test_the_last_partial_batch_of_the_papers_counts() -> None:
    sizes = [end - start for start, end in batch_bounds(50_000, 256)]
    assert len(sizes) == 196
    assert sizes[-1] == 80


def test_a_single_image_that_is_left_is_trained_on_with_the_batch_before() -> None:
    # 8x8 images and 4 stages: one pixel is left, of which a batch of one has no variance.
    split = images_of([0, 1] * 8 + [0], [0, 1], size=8)
    generator = torch.Generator().manual_seed(0)
    record = Record()
    with suppress(NeverLearned):
        train(network_of(split, generator, 2, 2, 2, 2), split, training(1, 8), generator, record)
    assert math.isfinite(record.epochs[0][1])


def images_of(training_labels: list[int], validation_labels: list[int], size: int = 4) -> Split:
    """Noise around a grey that tells the label."""
    random = numpy.random.default_rng(0)

    def part(labels: list[int]) -> Images:
        noise = random.integers(0, 50, (len(labels), size, size, 1))
        grey = numpy.array(labels).reshape(-1, 1, 1, 1) * 150
        return Images(
            torch.from_numpy((noise + grey).astype(numpy.uint8)),
            torch.tensor(labels),
            torch.tensor([100.0]),
            torch.tensor([75.0]),
        )

    classes = max(training_labels + validation_labels) + 1
    return Split(part(training_labels), part(validation_labels), classes)


def test_training_restarts_at_lower_rates_and_then_the_block_has_never_learned() -> None:
    # All that can be learned is class 0, and that is wrong for every validation image.
    split = images_of([0] * 256, [0] * 8)
    split.validation.labels.fill_(1)
    record = Record()
    with pytest.raises(NeverLearned) as given_up:
        run(replace(split, classes=2), training(5, 8, learning_rate=0.1), 0, record)
    assert record.rates == pytest.approx([0.04, 0.016, 0.0064])
    assert [epoch for epoch, _, _ in record.epochs] == [1, 1, 1, 1]
    # New weights and a new order each time.
    assert len({loss for _, loss, _ in record.epochs}) == 4
    assert str(given_up.value) == (
        "The first epoch ends with the validation accuracy 0.0000, no better than chance (0.5000), "
        "tried 4 times, the last time with the learning rate 0.0064."
    )


def test_a_restart_that_learns_goes_on_at_its_lower_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    step = Adam.step

    def step_noted(self: Adam, learning_rate: float) -> None:
        if learning_rate not in rates:
            rates.append(learning_rate)
        step(self, learning_rate)
        # From 0.01, nothing is learned: as if each step threw the weights far off.
        for parameter in self._parameters:
            parameter.data.mul_(learning_rate < 0.01)

    monkeypatch.setattr(Adam, "step", step_noted)
    split = images_of([0, 1] * 128, [1] * 8)
    record = Record()
    accuracy, _ = run(split, training(epochs=5, batch_size=8, learning_rate=0.02), 0, record)
    assert accuracy == record.epochs[-1][2] > 0.5
    assert record.rates == pytest.approx([0.008])
    assert [epoch for epoch, _, _ in record.epochs] == [1, 1, 2, 3, 4, 5]
    # The schedule: times 0.2 every 2 epochs, from the rate of the restart.
    assert rates == pytest.approx([0.02, 0.008, 0.0016, 0.00032])


def test_a_loss_that_is_not_finite_ends_as_such() -> None:
    split = images_of([0, 1] * 16, [0, 1] * 4)
    broken = Images(
        split.training.pixels, split.training.labels, torch.tensor([math.nan]), torch.ones(1)
    )
    record = Record()
    with pytest.raises(NotFinite) as ended:
        run(Split(broken, split.validation, 2), training(), 0, record)
    assert len(record.rates) == 3
    assert str(ended.value) == (
        "The loss or a logit is not finite in the first epoch, tried 4 times, the last time with "
        "the learning rate 0.00064."
    )


def test_a_loss_that_is_not_finite_later_is_no_reason_to_restart(digits: Split) -> None:
    class Spoiling(Record):
        def epoch_ended(self, epoch: int, loss: float, accuracy: float) -> None:
            super().epoch_ended(epoch, loss, accuracy)
            if epoch == 2:
                network.classifier.bias.data.fill_(math.inf)

    record = Spoiling()
    generator = torch.Generator().manual_seed(0)
    network = network_of(digits, generator, 4)
    with pytest.raises(NotFinite, match=r"in epoch 3 of 9, at the initial learning rate 0\.01"):
        train(network, digits, training(9, 256), generator, record)
    assert not record.rates


def test_adam_is_the_algorithm_of_kingma_and_ba() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 2))
    module = module.to(memory_format=torch.channels_last)
    spec = Optimizer(name="Adam", learning_rate=0.1, beta1=0.8, beta2=0.9, epsilon=1e-3)
    adam = Adam(module, spec)
    expected = [parameter.detach().double() for parameter in module.parameters()]
    means = [torch.zeros_like(value) for value in expected]
    squares = [torch.zeros_like(value) for value in expected]
    for step in range(1, 6):
        functional.cross_entropy(
            module(torch.randn(5, 3, 6, 6)), torch.tensor([0, 1, 1, 0, 1])
        ).backward()  # type: ignore[no-untyped-call]
        rate = 0.1 / step
        for value, mean, square, parameter in zip(
            expected, means, squares, module.parameters(), strict=True
        ):
            assert parameter.grad is not None
            gradient = parameter.grad.double()
            mean.mul_(0.8).add_(gradient, alpha=0.2)
            square.mul_(0.9).add_(gradient.square(), alpha=0.1)
            unbiased = (square / (1 - 0.9**step)).sqrt() + 1e-3
            value.sub_(rate * mean / (1 - 0.8**step) / unbiased)
        adam.step(rate)
        adam.forget_gradients()
        for value, parameter in zip(expected, module.parameters(), strict=True):
            assert parameter.grad is None
            assert torch.allclose(parameter.double(), value, atol=1e-6)
