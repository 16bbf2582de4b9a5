"""One finalist from its specification to its result. Importing this imports torch."""

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import torch

from blockqnn.block.nsc import Block
from blockqnn.contract.finalist import FinalistResult, FinalistSpec
from blockqnn.contract.message import Outcome
from blockqnn_trainer.datasets.arrays import size_text
from blockqnn_trainer.errors import Infeasible, InvalidTrial, VolumeUnusable
from blockqnn_trainer.finalists.checkpoint import Checkpoint, CheckpointStore, State, fingerprint
from blockqnn_trainer.finalists.data_loader import open_feed
from blockqnn_trainer.finalists.evaluation import evaluate
from blockqnn_trainer.finalists.feed_protocol import Feed, FeedSpec
from blockqnn_trainer.finalists.finish import finish
from blockqnn_trainer.finalists.group import Ended, Group, Others, free_port, join
from blockqnn_trainer.finalists.network import build_finalist
from blockqnn_trainer.finalists.progress import FinalistProgress
from blockqnn_trainer.finalists.training import Training
from blockqnn_trainer.network.network import Network, check_batch_size, count_macs, count_parameters
from blockqnn_trainer.process.device import device_name
from blockqnn_trainer.process.job_process import JobProcess, Stopped
from blockqnn_trainer.process.machine import process_age, thread_count
from blockqnn_trainer.process.memory_errors import memory_errors_named
from blockqnn_trainer.training.epoch_log import EpochLog


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
    spec: FinalistSpec,
    folder: Path,
    progress: FinalistProgress,
    process: JobProcess[FinalistProgress],
    ended: Ended,
    threads: int,
) -> FinalistResult:
    """Train a finalist, together with the processes that this one starts.

    Args:
        spec: the finalist.
        folder: its directory.
        progress: updated all the time, so that it can be reported at any moment.
        process: asked whether to stop, and notified when the progress has changed.
        ended: called when another process of the training ended too early.
        threads: the number of threads for all processes together.

    Returns:
        A verdict: Succeeded or Infeasible.

    Raises:
        InvalidInput: when the dataset, the network or the volume cannot be used as they are.
        Stopped: when the training was asked to stop, and has left a checkpoint.
    """
    size = process_count(spec)
    port = free_port() if size > 1 else 0
    Others(spec, size, port, follow, ended)
    group = join(0, size, port)
    share = _share_threads(threads, size)
    progress.processes = size
    progress.device = device_name(group.device)
    store = CheckpointStore(folder, spec.checkpoints.keep, lambda text: print(text, flush=True))
    observer = _Observer(spec, progress, process, store)
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
    progress = FinalistProgress(spec, "0" * 16)
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
    spec: FinalistSpec,
    group: Group,
    store: CheckpointStore,
    threads: int,
    progress: FinalistProgress,
) -> tuple[Training, Network, Feed]:
    with progress.timed("data"):
        images = FeedSpec(spec.dataset, spec.training.augmentation, spec.seed, spec.split_seed)
        feed = open_feed(images, group.device, threads)
    with progress.timed("build"):
        check_batch_size(spec.network, feed.input_shape, spec.training.batch_size)
        block = Block.parse(spec.block)
        network = build_finalist(block, spec.network, feed.input_shape, feed.classes, spec.seed)
        progress.measured["parameters"] = count_parameters(network)
        progress.measured["macs"] = count_macs(network, feed.input_shape)
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


def _announce(spec: FinalistSpec, feed: Feed, progress: FinalistProgress, state: State) -> None:
    measured = progress.measured
    print(
        f"finalist {spec.folder} of {spec.search}: block {spec.block}, seed {spec.seed}, "
        f"{measured['parameters']:,} parameters, {measured['macs']:,} MACs, "
        f"on {progress.device} with {progress.processes} process(es)"
    )
    print(
        f"{spec.dataset.name}: {feed.training_images:,} images to train on and "
        f"{feed.test_images:,} to measure on, {size_text(feed.input_shape)}, "
        f"{feed.classes} classes",
        flush=True,
    )
    if state.resumed:
        print(f"continuing after epoch {state.epoch}, step {state.step}", flush=True)


class _Observer(EpochLog):
    """Logs each epoch and keeps checkpoints."""

    def __init__(
        self,
        spec: FinalistSpec,
        progress: FinalistProgress,
        process: JobProcess[FinalistProgress],
        store: CheckpointStore,
    ) -> None:
        super().__init__(progress, spec.training.epochs, process.note)
        self._finalist, self._process, self._store = progress, process, store

    def epoch_ended(self, state: State, loss: float) -> None:
        self.log(state.epoch, loss, state.curve)

    def keep(self, checkpoint: Checkpoint) -> None:
        progress = self._finalist
        lived = round(progress.earlier + process_age(), 3)
        updates = {"damaged": progress.damaged, "seconds": lived}
        state = checkpoint.state.model_copy(update=updates)
        self._store.write(Checkpoint(state, checkpoint.tensors))

    def stopping(self) -> bool:
        return self._process.stop.is_set()

    def stop_if_asked(self) -> None:
        """Stop where the last checkpoint is up to date."""
        if self.stopping():
            raise Stopped


class _Silent:
    """The observer of all processes but the first: it reports nothing."""

    def __init__(self, progress: FinalistProgress) -> None:
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
