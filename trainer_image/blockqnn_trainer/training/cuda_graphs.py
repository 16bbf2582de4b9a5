"""Repetition of a step without launching its kernels one by one.

A step of these networks has hundreds of kernels, each of which a GPU runs in microseconds and the
host launches in as many: a random block of N = 4 and 32/64/128 filters has some 530 a step, so that
launching alone takes 7.5 s of 12 epochs, four times what it takes when the whole step is one CUDA
graph.

A graph has fixed shapes, so each size of batch has its own: the full one, and that of the last
batch of an epoch. Before it is recorded a step runs a few times as it is, on batches that count
like all others: libraries choose kernels and claim memory then, which is not allowed while
recording.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

Step = Callable[[Tensor], None]
"""Works on a batch, given as int64 indices of its images, B."""

WARM_UP = 3
"""Number of runs of a step before it is recorded, as torch's notes on CUDA graphs ask for."""


class Recorder(Protocol):
    """Runs work as it is, and records it."""

    def run(self, work: Callable[[], None]) -> None:
        """Run the work in the host in which it would be recorded."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record the work without running it; return a function that runs it.

        Raises:
            RuntimeError: when the work cannot be recorded.
        """


class ReplayedStep:
    """A step that is recorded for each size of batch and then repeated.

    If recording fails, the step runs unrecorded from then on; one line on standard output says so.
    """

    def __init__(self, step: Step, recorder: Recorder) -> None:
        self._step = step
        self._recorder: Recorder | None = recorder
        self._buffers: dict[int, Tensor] = {}
        self._runs: dict[int, int] = {}
        self._recordings: dict[int, Callable[[], None]] = {}

    def __call__(self, chosen: Tensor) -> None:
        """Work on a batch."""
        if self._recorder is None:
            self._step(chosen)
            return
        size = len(chosen)
        buffer = self._buffers.setdefault(size, torch.empty_like(chosen))
        buffer.copy_(chosen)
        if size not in self._recordings and self._runs.get(size, 0) < WARM_UP:
            self._runs[size] = self._runs.get(size, 0) + 1
            self._recorder.run(lambda: self._step(buffer))
            return
        recording = self._recordings.get(size) or self._record(size, self._recorder)
        recording()

    def _record(self, size: int, recorder: Recorder) -> Callable[[], None]:
        buffer = self._buffers[size]
        try:
            self._recordings[size] = recorder.record(lambda: self._step(buffer))
        except RuntimeError as error:
            # A graph keeps memory of its own; a step that does not fit twice still runs as it is.
            first_line = str(error).partition("\n")[0]
            print(f"steps are launched kernel by kernel, since recording failed: {first_line}")
            self._recorder = None
            self._recordings.clear()
            return lambda: self._step(buffer)
        return self._recordings[size]


class CudaGraphs:
    """Records CUDA graphs that share the memory of their intermediate results.

    They may share it because no two run at the same time, and nothing that one leaves in it is read
    later.
    """

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def run(self, work: Callable[[], None]) -> None:
        """Run the work on the recording stream, so that autograd uses the weights there."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            work()
        torch.cuda.current_stream().wait_stream(self._stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record the work as a CUDA graph; return a function that launches it."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            work()
        return graph.replay


def repeated(step: Step, device: torch.device) -> Step:
    """Make a step cheap to launch on a GPU, where launches are expensive."""
    return ReplayedStep(step, CudaGraphs()) if device.type == "cuda" else step
