"""Processes that train, and what they have trained already.

A process of the pool keeps to one processor, and ends with the process that started it, however
that one ends.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from typing import Generic, Protocol, TypeVar

import torch

from blockqnn.block.graph import canonical_hash
from blockqnn.block.nsc import Block


class Training(Protocol):
    """Record of one training of a block."""

    @property
    def hash(self) -> str:
        """The canonical hash of the block."""

    @property
    def seed(self) -> int:
        """The seed that it was trained with."""

    @property
    def summary(self) -> str:
        """The training in a few words, for whoever watches."""


Trained = TypeVar("Trained", bound=Training)


@contextmanager
def open_pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Start processes that each train on one processor; after an error nothing more is begun."""
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _start)
    try:
        yield pool
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def _start() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    """Wait until the parent has ended, then end this process: nobody would store what it trains."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


class Trainings(Generic[Trained]):
    """Trains what is not known yet; threads may ask at the same time."""

    def __init__(
        self, pool: Executor, known: Iterable[Trained], store: Callable[[Trained], None]
    ) -> None:
        """Prepare trainings.

        Args:
            pool: runs them.
            known: those that were done before.
            store: keeps a training that has ended; called by one thread at a time.
        """
        self._pool = pool
        self._store = store
        self._lock = threading.Lock()
        self._futures: dict[tuple[str, int], Future[Trained]] = {}
        for training in known:
            done: Future[Trained] = Future()
            done.set_result(training)
            self._futures[training.hash, training.seed] = done
        self._count = len(self._futures)
        self._began = time.monotonic()

    def ask(self, block: Block, seed: int, train: Callable[[], Trained]) -> Future[Trained]:
        """Return the training of a block with a seed, when it is there.

        Args:
            block: the block.
            seed: of the weights and of the order of the images.
            train: trains that block with that seed, in another process; called if need be.
        """
        key = canonical_hash(block), seed
        with self._lock:
            if key in self._futures:
                return self._futures[key]
            future = self._futures[key] = self._pool.submit(train)
        # Not under the lock: where the training has ended already, this keeps it at once.
        future.add_done_callback(self._keep)
        return future

    def _keep(self, future: Future[Trained]) -> None:
        if future.cancelled() or future.exception():
            return
        training = future.result()
        with self._lock:
            self._store(training)
            self._count += 1
            minutes = (time.monotonic() - self._began) / 60
            told = f"{self._count} trainings after {minutes:.1f} min: {training.summary}"
        print(told, file=sys.stderr, flush=True)
