"""One finalist from its specification to its result. Importing this imports torch."""

import os
import time
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event
from typing import Literal, Protocol

import torch

from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FinalistResult, FinalistSpec
from blockqnn.contract.message import Outcome
from blockqnn_trainer.errors import Infeasible, InvalidTrial, VolumeUnusable
from blockqnn_trainer.finalists.checkpoint import Checkpoint, CheckpointStore, State, fingerprint
from blockqnn_trainer.finalists.data_loader import open_feed
from blockqnn_trainer.finalists.evaluation import evaluate
from blockqnn_trainer.finalists.feed_protocol import Feed
from blockqnn_trainer.finalists.finish import finish
from blockqnn_trainer.finalists.group import Group, Others, free_port, join
from blockqnn_trainer.finalists.network import build_finalist
from blockqnn_trainer.finalists.progress import Progress
from blockqnn_trainer.finalists.training import Stopped, Training
from blockqnn_trainer.network.network import Network, check_batch_size, count_macs, count_parameters
from blockqnn_trainer.process.machine import process_age, thread_count
from blockqnn_trainer.process.memory_errors import memory_errors_named


class TrainingHost(Protocol):
    """The interface of the process that a finalist runs in."""

    stop: Event
    """Set to make the training stop."""

    def note(self) -> None:
        """Receive the notice that the progress has changed."""

    def other_ended(self, error: Exception | None, message: str) -> None:
        """Receive the notice that another process of the training ended too early."""


def process_count(spec: FinalistSpec) -> int:
    """Return the number of processes that train together.

    Raises:
        InvalidTrial: when more are asked for than there are GPUs.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    size = spec.processes or max(1, gpus)
    if gpus and size > gpus:
        raise InvalidTrial(
            f"processes is {size}, but this Pod has {gpus} GPU(s); request as many GPUs."
        )
    return size


def lead(
    spec: FinalistSpec, folder: Path, progress: Progress, host: TrainingHost, threads: int
) -> FinalistResult:
    """Train a finalist, together with the processes that this one starts.

    Args:
        spec: the finalist.
        folder: its directory.
        progress: updated all the time, so that it can be reported at any moment.
        host: the process.
        threads: the number of threads for all processes together.

    Returns:
        A verdict: Succeeded or Infeasible.

    Raises:
        InvalidInput: when the dataset, the network or the volume cannot be used as they are.
        Stopped: when the training was asked to stop, and has left a checkpoint.
    """
    size = process_count(spec)
    port = free_port() if size > 1 else 0
    Others(spec, size, port, follow, host.other_ended)
    group = join(0, size, port)
    share = _share_threads(threads, size)
    progress.processes = size
    progress.device = _name(group.device)
    store = CheckpointStore(folder, spec.checkpoints.keep, lambda text: print(text, flush=True))
    observer = _Observer(spec, progress, host, store)
    try:
        with memory_errors_named():
            training, network, feed = _prepare(spec, group, store, share, progress)
            progress.curve, progress.resumed = training.state.curve, training.state.resumed
            with progress.leaving_checkpoints():
                _announce(spec, feed, progress, training.state)
                training.run(spec.checkpoints.every, observer)
                with progress.timed("evaluate"):
                    batch_size = spec.training.batch_size
                    measured = evaluate(
                        network, feed, batch_size, torch.float32, group, observer.stop_if_asked
                    )
    except Infeasible as error:
        return progress.result(Outcome.INFEASIBLE, error.reason, str(error))
    result = finish(spec, network, feed, measured, folder, progress)
    try:
        store.clear()
    except VolumeUnusable as error:  # they only take room, and the model is complete
        print(error, flush=True)
    return result


def follow(spec: FinalistSpec, group: Group) -> None:
    """Take part in a training that another process leads."""
    folder = Path(spec.volume) / spec.folder
    store = CheckpointStore(folder, spec.checkpoints.keep, lambda _text: None)
    progress = Progress(spec, "0" * 16)
    with memory_errors_named():
        share = _share_threads(thread_count(os.environ), group.size)
        training, network, feed = _prepare(spec, group, store, share, progress)
        training.run(spec.checkpoints.every, _Silent(progress))
        evaluate(network, feed, spec.training.batch_size, torch.float32, group)


def _share_threads(threads: int, size: int) -> int:
    """Let torch, and the decoding of images, use this process's share of the threads."""
    share = max(1, threads // size)
    torch.set_num_threads(share)
    return share


def _prepare(
    spec: FinalistSpec, group: Group, store: CheckpointStore, threads: int, progress: Progress
) -> tuple[Training, Network, Feed]:
    with progress.timed("data"):
        feed = open_feed(
            spec.dataset,
            spec.training.augmentation,
            spec.seed,
            spec.split_seed,
            group.device,
            threads,
        )
    with progress.timed("build"):
        check_batch_size(spec.network, feed.input_shape, spec.training.batch_size)
        block = Block.parse(spec.block)
        network = build_finalist(block, spec.network, feed.input_shape, feed.classes, spec.seed)
        progress.parameters = count_parameters(network)
        progress.macs = count_macs(network, feed.input_shape)
        network = network.to(group.device)
        trained = fingerprint(spec)
        checkpoint = store.newest(trained)
        training = Training(spec.training, spec.seed, trained, network, feed, group)
        progress.damaged = len(store.damaged)
        if checkpoint is not None:
            training.resume(checkpoint)
            progress.damaged += checkpoint.state.damaged
            progress.earlier = checkpoint.state.seconds
    return training, network, feed


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _announce(spec: FinalistSpec, feed: Feed, progress: Progress, state: State) -> None:
    size = "x".join(str(length) for length in feed.input_shape)
    print(
        f"finalist {spec.folder} of {spec.search}: block {spec.block}, seed {spec.seed}, "
        f"{progress.parameters:,} parameters, {progress.macs:,} MACs, on {progress.device} with "
        f"{progress.processes} process(es)"
    )
    print(
        f"{spec.dataset.name}: {feed.training_images:,} images to train on and "
        f"{feed.test_images:,} to measure on, {size}, {feed.classes} classes",
        flush=True,
    )
    if state.resumed:
        print(f"continuing after epoch {state.epoch}, step {state.step}", flush=True)


class _Observer:
    """Logs each epoch and keeps checkpoints."""

    def __init__(
        self,
        spec: FinalistSpec,
        progress: Progress,
        host: TrainingHost,
        store: CheckpointStore,
    ) -> None:
        self._epochs = spec.training.epochs
        self._progress, self._host, self._store = progress, host, store
        self._began = time.monotonic()

    def timed(
        self, stage: Literal["train", "evaluate", "checkpoint"]
    ) -> AbstractContextManager[None]:
        return self._progress.timed(stage)

    def epoch_ended(self, state: State, loss: float) -> None:
        self._progress.curve = state.curve
        self._host.note()
        now = time.monotonic()
        print(
            f"epoch {state.epoch}/{self._epochs}: loss {loss:.4f}, accuracy {state.curve[-1]:.4f}, "
            f"{now - self._began:.2f} s",
            flush=True,
        )
        self._began = now

    def keep(self, checkpoint: Checkpoint) -> None:
        progress = self._progress
        lived = round(progress.earlier + process_age(), 3)
        updates = {"damaged": progress.damaged, "seconds": lived}
        state = checkpoint.state.model_copy(update=updates)
        self._store.write(Checkpoint(state, checkpoint.tensors))

    def stopping(self) -> bool:
        return self._host.stop.is_set()

    def stop_if_asked(self) -> None:
        """Stop where the last checkpoint is up to date."""
        if self.stopping():
            raise Stopped


class _Silent:
    """The observer of all processes but the first: it reports nothing."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def timed(
        self, stage: Literal["train", "evaluate", "checkpoint"]
    ) -> AbstractContextManager[None]:
        return self._progress.timed(stage)

    def epoch_ended(self, state: State, loss: float) -> None:
        pass

    def keep(self, checkpoint: Checkpoint) -> None:
        pass

    def stopping(self) -> bool:
        return False
