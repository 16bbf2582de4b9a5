"""One trial from its specification to its result. Importing this imports torch."""

import gc
from collections.abc import Callable
from functools import lru_cache

import torch

from blockqnn.block.nsc import Block
from blockqnn.contract.message import Outcome
from blockqnn.contract.trial import TrialResult, TrialSpec
from blockqnn.network.cost import network_macs, network_parameters
from blockqnn_trainer.datasets.arrays import size_text
from blockqnn_trainer.datasets.split import Split, check_shape, load
from blockqnn_trainer.errors import Infeasible, OutOfMemory, OverConstraint
from blockqnn_trainer.network.network import (
    Network,
    build_network,
    check_batch_size,
    check_image_size,
    count_macs,
    count_parameters,
)
from blockqnn_trainer.process import machine
from blockqnn_trainer.process.device import device_name
from blockqnn_trainer.process.memory_errors import memory_errors_named
from blockqnn_trainer.run.progress import TrialProgress
from blockqnn_trainer.training.early_stop import train
from blockqnn_trainer.training.epoch_log import EpochLog


def run_trial(
    spec: TrialSpec, block: Block, progress: TrialProgress, note: Callable[[], None]
) -> TrialResult:
    """Train the network of a block as a specification says.

    One line for each epoch goes to standard output.

    Args:
        spec: the trial.
        block: the block of `spec`, read.
        progress: updated all the time, so that it can be reported at any moment.
        note: called whenever an epoch has added to it.

    Returns:
        A verdict about the block: Succeeded or Infeasible.

    Raises:
        InvalidInput: when the dataset or the network cannot be used as they are.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    progress.device = device_name(device)
    with progress.timed("data"):
        split = _load_once(spec.dataset, spec.split_seed, device)
    check_image_size(spec.network, split.input_shape)
    check_batch_size(spec.network, split.input_shape, spec.training.batch_size)
    check_shape(spec.dataset, split)
    generator = torch.Generator().manual_seed(spec.seed)
    try:
        _check_constraints(spec, block, split)
        with memory_errors_named():
            network = _build(spec, block, split, generator, device, progress)
            _announce(spec, split, progress)
            observer = _Log(progress, spec.training.epochs, note)
            rules = spec.stopping or ()
            accuracy = train(network, split, spec.training, generator, observer, rules)
    except Infeasible as error:
        return progress.result(Outcome.INFEASIBLE, error.reason, str(error))
    reason = "Completed" if progress.stopped_after is None else "StoppedEarly"
    return progress.result(
        Outcome.SUCCEEDED, reason, accuracy=accuracy, stopped_after=progress.stopped_after
    )


def forget_the_last() -> None:
    """Free the memory that the trial before has left in this process."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


_load_once = lru_cache(maxsize=1)(load)
"""All trials of a process read the same images."""


def limit_memory() -> None:
    """Make a network fail that is too large for the memory, unless it is on a GPU."""
    if not torch.cuda.is_available():
        machine.limit_memory(machine.memory_limit())


def _build(
    spec: TrialSpec,
    block: Block,
    split: Split,
    generator: torch.Generator,
    device: torch.device,
    progress: TrialProgress,
) -> Network:
    _check_memory(network_parameters(block, spec.network, split.input_shape, split.classes), device)
    with progress.timed("build"):
        network = build_network(
            block, spec.network, split.input_shape, split.classes, generator=generator
        )
        progress.measured["parameters"] = count_parameters(network)
        network = network.to(device)
        progress.measured["macs"] = count_macs(network, split.input_shape)
    return network


def _check_constraints(spec: TrialSpec, block: Block, split: Split) -> None:
    """Refuse a network that costs more than a search with these constraints proposes."""
    if spec.constraints is None:
        return
    parameters = network_parameters(block, spec.network, split.input_shape, split.classes)
    macs = network_macs(block, spec.network, split.input_shape, split.classes)
    if not spec.constraints.allow(parameters, macs):
        raise OverConstraint(
            f"The network has {parameters:,} parameters and takes {macs:,} multiply-accumulates, "
            "more than space.constraints of the search allow."
        )


_BYTES_PER_PARAMETER = 16
"""float32: the weight, its gradient, and Adam's two moments."""


def _check_memory(parameters: int, device: torch.device) -> None:
    """Refuse at once a network that cannot fit, before minutes go into drawing its weights."""
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    else:
        memory = machine.memory_limit()
    needed = parameters * _BYTES_PER_PARAMETER
    if needed > memory:
        raise OutOfMemory(
            f"The network has {parameters:,} parameters; they, their gradients and Adam's moments "
            f"need {needed / 1e9:,.1f} GB of memory, but there are {memory / 1e9:,.1f} GB."
        )


def _announce(spec: TrialSpec, split: Split, progress: TrialProgress) -> None:
    measured = progress.measured
    threads = f" with {torch.get_num_threads()} thread(s)" if progress.device == "cpu" else ""
    size = size_text(split.training.pixels.shape[1:])
    print(
        f"trial {spec.trial} attempt {spec.attempt} of {spec.search}: block {spec.block}, "
        f"{measured['parameters']:,} parameters, {measured['macs']:,} MACs, "
        f"on {progress.device}{threads}"
    )
    seconds = progress.seconds()
    print(
        f"{spec.dataset.name}: {len(split.training):,} images to train on and "
        f"{len(split.validation):,} held out, {size}, {split.classes} classes; "
        f"start {seconds.start:.2f} s, data {seconds.data:.2f} s, build {seconds.build:.2f} s",
        flush=True,
    )


class _Log(EpochLog):
    """Writes each epoch, restart and early end down."""

    def __init__(self, progress: TrialProgress, epochs: int, note: Callable[[], None]) -> None:
        super().__init__(progress, epochs, note)
        self._trial = progress

    def epoch_ended(self, epoch: int, loss: float, accuracy: float) -> None:
        self.log(epoch, loss, (*self._trial.curve, accuracy))

    def restarted(self, learning_rate: float) -> None:
        self._trial.curve = ()
        self._trial.restarts += 1
        print(
            f"restart {self._trial.restarts}: the first epoch ended no better than chance; "
            f"learning rate {learning_rate:g}",
            flush=True,
        )

    def stopped(self, epoch: int) -> None:
        self._trial.stopped_after = epoch
        print(f"stopped after epoch {epoch}: the block will not be among the best", flush=True)
