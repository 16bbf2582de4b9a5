"""Steps on buffers that stay where they are: what a GPU records, run here without recording."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from blockqnn.block.nsc import Block
from blockqnn.contract.dataset import DatasetSpec
from blockqnn.contract.training import Optimizer
from blockqnn.network.spec import NetworkSpec
from blockqnn_trainer.datasets.split import Split, load
from blockqnn_trainer.network.network import Network, build_network
from blockqnn_trainer.training.adam import Adam
from blockqnn_trainer.training.cuda_graphs import WARM_UP, ReplayedStep, repeated
from blockqnn_trainer.training.early_stop import batch_bounds
from blockqnn_trainer.training.precision import choose_dtype
from blockqnn_trainer.training.steps import EvaluationStep, TrainingStep

CPU = torch.device("cpu")
SHORTCUT = Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,5,0,1,3)(5,7,0,0,0)")
ALL_NEW = Block.parse("(1,12,1,0,0)(2,11,3,1,0)(3,13,0,0,0)(4,5,0,2,3)(5,7,0,0,0)")
"""A bottleneck, a separable convolution of it, and the previous block's input added to that."""
ADAM = Optimizer(name="Adam", learning_rate=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8)

torch.set_num_threads(1)


class Repeating:
    """Stands for CUDA graphs: what it records it runs again, on the same buffers."""

    def __init__(self) -> None:
        self.runs = 0
        self.recorded = 0
        self.replays = 0

    def run(self, work: Callable[[], None]) -> None:
        self.runs += 1
        work()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1

        def replay() -> None:
            self.replays += 1
            work()

        return replay


class Failing(Repeating):
    """Fails while the work is recorded, as a library does that waits for the device."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1
        work_forbidden = "operation not permitted when stream is capturing\nCompile with ..."
        raise RuntimeError(f"CUDA error: {work_forbidden}")


@pytest.fixture(scope="module")
def digits() -> Split:
    spec = DatasetSpec.model_validate(
        {"name": "digits", "path": "/none", "validation": {"source": "train", "fraction": 0.2}}
    )
    return load(spec, 1, CPU)


def network_of(split: Split, block: Block = SHORTCUT) -> Network:
    spec = NetworkSpec(filters=(8, 16), repeats=1, output_projection=True)
    generator = torch.Generator().manual_seed(3)
    return build_network(block, spec, split.input_shape, split.classes, generator=generator)


def go_through(step: Callable[[Tensor], None], images: int, batch_size: int, seed: int) -> None:
    order = torch.randperm(images, generator=torch.Generator().manual_seed(seed))
    for start, end in batch_bounds(images, batch_size):
        step(order[start:end])


def test_each_size_of_batch_is_warmed_up_recorded_once_and_replayed_on_its_buffer() -> None:
    seen: list[tuple[int, list[int]]] = []
    recorder = Repeating()
    step = ReplayedStep(lambda chosen: seen.append((chosen.data_ptr(), chosen.tolist())), recorder)
    batches = [torch.tensor(part) for _ in range(6) for part in ([0, 1, 2], [3, 4, 5], [6])]
    for batch in batches:
        step(batch)
    assert [indices for _, indices in seen] == [batch.tolist() for batch in batches]
    assert len({address for address, _ in seen}) == 2
    assert recorder.runs == 2 * WARM_UP
    assert recorder.recorded == 2
    assert recorder.replays == len(batches) - 2 * WARM_UP


def test_a_step_that_cannot_be_recorded_runs_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[list[int]] = []
    recorder = Failing()
    step = ReplayedStep(lambda chosen: seen.append(chosen.tolist()), recorder)
    for number in range(8):
        step(torch.tensor([number, number]))
    assert seen == [[number, number] for number in range(8)]
    assert recorder.recorded == 1
    assert capsys.readouterr().out == (
        "steps are launched kernel by kernel, since recording failed: CUDA error: operation not "
        "permitted when stream is capturing\n"
    )


def test_an_error_of_the_step_itself_is_not_taken_for_one_of_recording() -> None:
    def fail(chosen: Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        ReplayedStep(fail, Repeating())(torch.tensor([0]))


@pytest.mark.parametrize("block", [SHORTCUT, ALL_NEW], ids=["papers", "others"])
def test_training_on_buffers_with_the_rate_on_the_device_is_the_same_training(
    digits: Split, block: Block
) -> None:
    def train(on_buffers: bool) -> tuple[list[float], nn.Module]:
        network = network_of(digits, block)
        training = TrainingStep(network, digits.training, Adam(network, ADAM), torch.float32)
        step: Callable[[Tensor], None] = training
        if on_buffers:
            training._rate = torch.zeros(())  # as on a GPU
            step = ReplayedStep(training, Repeating())
        losses = []
        for epoch in range(3):
            # As the float32 that the rate is on a device.
            training.begin(torch.tensor(0.01 * 0.5**epoch).item())
            go_through(step, len(digits.training), 100, epoch)
            losses.append(training.mean_loss())
        return losses, network

    losses, network = train(on_buffers=False)
    replayed, twin = train(on_buffers=True)
    assert replayed == losses
    assert all(later < earlier for earlier, later in pairwise(losses))
    for tensor, other in zip(
        network.state_dict().values(), twin.state_dict().values(), strict=True
    ):
        assert tensor.equal(other)


def test_evaluation_on_buffers_counts_the_same(digits: Split) -> None:
    network = network_of(digits)
    plain = EvaluationStep(network, digits.validation, torch.float32)
    other = EvaluationStep(network, digits.validation, torch.float32)
    for _ in range(4):
        plain.begin()
        go_through(plain, len(digits.validation), 50, 0)
        other.begin()
        go_through(ReplayedStep(other, Repeating()), len(digits.validation), 50, 0)
        assert other.accuracy() == plain.accuracy()
        assert other.finite()
    images, labels = digits.validation.batch(torch.arange(len(digits.validation)))
    right = (network.eval()(images).argmax(1) == labels).float().mean().item()
    assert plain.accuracy() == pytest.approx(right, abs=1e-6)


def test_a_failed_recording_leaves_no_gradient_behind(digits: Split) -> None:
    network = network_of(digits)
    training = TrainingStep(network, digits.training, Adam(network, ADAM), torch.float32)
    training.begin(0.01)
    network.classifier.register_forward_hook(_fail)
    with pytest.raises(RuntimeError, match="no room"):
        training(torch.arange(8))
    assert all(parameter.grad is None for parameter in network.parameters())


def _fail(module: nn.Module, inputs: object, output: Tensor) -> None:
    output.register_hook(lambda gradient: _raise())


def _raise() -> Tensor:
    raise RuntimeError("no room")


def test_a_processor_launches_steps_as_they_are() -> None:
    def step(chosen: Tensor) -> None:
        """Do nothing."""

    assert repeated(step, CPU) is step


def test_bfloat16_computes_in_it_and_keeps_weights_and_statistics_in_float32(
    digits: Split,
) -> None:
    network = network_of(digits)
    training = TrainingStep(network, digits.training, Adam(network, ADAM), torch.bfloat16)
    evaluation = EvaluationStep(network, digits.validation, torch.bfloat16)
    computed: list[torch.dtype] = []
    network.stem.register_forward_hook(lambda _module, _inputs, out: computed.append(out.dtype))
    for epoch in range(3):
        training.begin(0.01)
        go_through(training, len(digits.training), 64, epoch)
    evaluation.begin()
    go_through(evaluation, len(digits.validation), 64, 0)
    assert set(computed) == {torch.bfloat16}
    kept = [*network.parameters(), *(b for b in network.buffers() if b.dim())]
    assert {tensor.dtype for tensor in kept} == {torch.float32}
    # With four seeds, bfloat16 reaches 0.88 to 0.94 and float32 0.89 to 0.96; chance is 0.1.
    assert evaluation.accuracy() > 0.8


@pytest.mark.parametrize(
    ("asked", "dtype"),
    [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_a_processor_computes_in_float32_unless_told_otherwise(
    asked: str, dtype: torch.dtype
) -> None:
    assert choose_dtype(asked, CPU) is dtype  # type: ignore[arg-type]


@pytest.mark.parametrize("able", [True, False])
def test_auto_is_bfloat16_on_a_gpu_that_has_it(monkeypatch: pytest.MonkeyPatch, able: bool) -> None:
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: able)
    expected = torch.bfloat16 if able else torch.float32
    assert choose_dtype("auto", torch.device("cuda")) is expected
