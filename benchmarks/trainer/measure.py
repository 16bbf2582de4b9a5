"""The measurements: epochs within this process, whole trials as processes, arms taking turns.

The arms of a block run one after another within a second or so and are compared with one another
only, so that a machine which is busy with something else slows all of them.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

import torch

from benchmarks.trainer.plain import PlainSplit, PlainTraining
from benchmarks.trainer.techniques import Without
from blockqnn.block.nsc import Block
from blockqnn.contract.trial import TrialResult, TrialSpec
from blockqnn_trainer.datasets.split import Split
from blockqnn_trainer.errors import Infeasible
from blockqnn_trainer.network.network import build_network
from blockqnn_trainer.training.early_stop import train

EPOCHS = 4
"""Of a steady measurement, without the first, in which workers start and graphs are recorded."""


class Epoch(NamedTuple):
    """Time of an epoch of training."""

    seconds: float
    """Of the wall clock."""
    processor_seconds: float
    """Of this process, without its workers, which other programs do not lengthen much."""


def _middle(epochs: list[Epoch]) -> Epoch:
    return Epoch(
        median(epoch.seconds for epoch in epochs),
        median(epoch.processor_seconds for epoch in epochs),
    )


class _Clock:
    """Notes how long each epoch trains."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []

    @contextmanager
    def timed(self, stage: Literal["train", "evaluate"]) -> Iterator[None]:
        began, used = time.perf_counter(), time.process_time()
        yield
        if stage == "train":
            self.epochs.append(Epoch(time.perf_counter() - began, time.process_time() - used))

    def epoch_ended(self, epoch: int, loss: float, accuracy: float) -> None:
        """Nothing: only time matters here."""

    def restarted(self, learning_rate: float) -> None:
        self.epochs.clear()

    def stopped(self, epoch: int) -> None:
        """Do nothing: no rule stops these trainings."""


def steady(spec: TrialSpec, split: Split, without: Without) -> Epoch:
    """Return the time of an epoch of the trainer, once it runs."""
    clock = _Clock()
    short = spec.training.model_copy(update={"epochs": EPOCHS})
    generator = torch.Generator().manual_seed(spec.seed)
    with without():
        network = build_network(
            Block.parse(spec.block),
            spec.network,
            split.input_shape,
            split.classes,
            generator=generator,
        ).to(split.training.labels.device)
        try:
            train(network, split, short, generator, clock)
        except Infeasible:
            # A block that does not learn is timed like any other, by its last first epoch.
            return clock.epochs[-1]
    return _middle(clock.epochs[1:])


def steady_plainly(spec: TrialSpec, split: PlainSplit, workers: int, device: torch.device) -> Epoch:
    """Return the time of an epoch of the plain loop, once it runs."""
    generator = torch.Generator().manual_seed(spec.seed)
    rate = spec.training.optimizer.learning_rate
    run = PlainTraining(spec, split, generator, workers, rate, device)
    epochs = []
    for _ in range(EPOCHS):
        began, used = time.perf_counter(), time.process_time()
        run.train_epoch()
        epochs.append(Epoch(time.perf_counter() - began, time.process_time() - used))
    return _middle(epochs[1:])


class Whole(NamedTuple):
    """A whole trial as a process."""

    seconds: float
    """From before the process is started until it has ended."""
    processor_seconds: float
    """Of the process and its workers, which other programs on the machine do not lengthen much."""
    accuracy: float
    """0 where the block never learned."""


def whole(spec: TrialSpec, folder: Path) -> Whole:
    """Run a trial as the container of a trial does."""
    answer = folder / "answer.json"
    environment = {"TERMINATION_MESSAGE_PATH": str(answer)}
    program = ["-m", "blockqnn_trainer", "run", "--trial"]
    seconds, processor_seconds, _ = _run(program, spec, folder, [], environment)
    result = TrialResult.read(answer.read_text())
    return Whole(seconds, processor_seconds, result.accuracy or 0.0)


def whole_plainly(spec: TrialSpec, folder: Path, workers: int) -> Whole:
    """Run a trial as a plain program."""
    program = ["-m", "benchmarks.trainer.plain"]
    seconds, processor_seconds, out = _run(program, spec, folder, [str(workers)], {})
    return Whole(seconds, processor_seconds, json.loads(out.splitlines()[-1])["accuracy"])


def _run(
    program: list[str], spec: TrialSpec, folder: Path, rest: list[str], environment: dict[str, str]
) -> tuple[float, float, str]:
    trial = folder / "trial.json"
    trial.write_text(spec.model_dump_json())
    # Compiled bytecode is what an image has.
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    used, began = _processor_seconds(), time.perf_counter()
    completed = subprocess.run(
        [sys.executable, *program, str(trial), *rest],
        env={**inherited, **threads, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - began, _processor_seconds() - used, completed.stdout


def _processor_seconds() -> float:
    """Return the use of the processes that have ended, and of their children."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
