"""Least time of a step that the memory limits.

These networks compute little on much data, so that the memory limits them and not the processor.
Each operator of a step reads its inputs and writes its outputs: counted in bytes, and divided by
the rate at which this machine copies, that is how long the step takes if all else is for nothing.
A machine whose caches hold a layer's values can be quicker than that.
"""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from blockqnn.block.nsc import Block
from blockqnn.contract.trial import TrialSpec
from blockqnn_trainer.datasets.split import Split
from blockqnn_trainer.network.network import build_network
from blockqnn_trainer.training.adam import Adam
from blockqnn_trainer.training.precision import choose_dtype
from blockqnn_trainer.training.steps import TrainingStep

COPIED = 256 * 2**20
"""Bytes of the copy that is timed: several times the caches of the machines that there are."""

COPIES = 9
"""Number of timings; the quickest counts, since the rate is that of an undisturbed machine."""

FUSED = ("relu", "threshold_backward", "add", "sub", "mul", "div", "copy", "to_copy")
"""Operators that a kernel written for the purpose does on the way, as it does batch norm, while it
reads or writes what its neighbours must read or write anyway."""

SELECTING = ("index", "gather", "index_select")
"""Operators that read as much of their first input as they write, and not all of it."""


class Bytes(NamedTuple):
    """Bytes that a training step moves."""

    separate: int
    """With each operator by itself, as eager execution and its recordings have it."""
    fused: int
    """With ReLU, batch norm and additions done on the way."""


def step_bytes(spec: TrialSpec, split: Split) -> Bytes:
    """Count what the step of a trial moves, on a full batch: forward, backward and optimizer."""
    device = split.training.labels.device
    network = build_network(
        Block.parse(spec.block),
        spec.network,
        split.input_shape,
        split.classes,
        generator=torch.Generator().manual_seed(spec.seed),
    ).to(device)
    dtype = choose_dtype(spec.training.precision, device)
    step = TrainingStep(network, split.training, Adam(network, spec.training.optimizer), dtype)
    step.begin(spec.training.optimizer.learning_rate)
    batch = torch.arange(min(spec.training.batch_size, len(split.training)), device=device)
    # The first step makes what the later ones use again.
    step(batch)
    with _Counting() as counting:
        step(batch)
    return Bytes(counting.separate, counting.fused)


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what each operator reads and writes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.separate = self.fused = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        """Run an operator and count it."""
        options = options or {}
        result = function(*arguments, **options)
        moved = _moved(function, arguments, options, result)
        self.separate += moved
        name = function.overloadpacket.__name__.strip("_")
        if name not in FUSED and "batch_norm" not in name:
            self.fused += moved
        return result


def _moved(function: Any, arguments: Any, options: Any, result: Any) -> int:
    schema, name = function._schema, function.overloadpacket.__name__
    if function.is_view or "empty" in name:
        return 0
    given = [*arguments, *options.values()]
    written = sum(map(_size, _tensors(result)))
    read = sum(map(_size, _tensors(given)))
    if name in SELECTING:
        read = written + sum(map(_size, _tensors(given[1:])))
    # What is changed in place is written too, and may be no part of the result.
    changed = [
        given[place]
        for place, argument in enumerate(schema.arguments[: len(given)])
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    in_place = sum(map(_size, _tensors(changed)))
    returned = {id(tensor) for tensor in _tensors(result)} & {id(t) for t in _tensors(changed)}
    return int(read + written + (0 if returned else in_place))


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)


def _size(tensor: Tensor) -> int:
    # An expanded tensor has more elements than it has memory.
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def copy_rate(device: torch.device) -> float:
    """Measure how many bytes a second are moved by a copy, read and written ones together."""
    source = torch.ones(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    quickest = float("inf")
    for _ in range(COPIES):
        began = time.perf_counter()
        target.copy_(source)
        if device.type == "cuda":
            torch.cuda.synchronize()
        quickest = min(quickest, time.perf_counter() - began)
    return 2 * COPIED / quickest
