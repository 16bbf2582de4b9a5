"""Several processes that train one network together, on the GPUs of one Pod.

The first process, which the container started, is one of them; it starts the others, and they end
when it does. Each works on its share of every batch, gradients are averaged, and batch norm takes
its statistics of the whole batch: so the number of processes changes only the order in which
numbers are added.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import SpawnProcess

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from blockqnn.contract.finalist import FinalistSpec
from blockqnn_trainer.errors import TrainerError
from blockqnn_trainer.finalists.batch_norm import synchronise_batch_norm

_PATIENCE = timedelta(hours=1)
"""Maximum time to wait for other processes: one may read images from a slow volume first."""

_SAID_WHY = 3
"""The exit status of a process that has reported why it ended."""


class Group:
    """The processes that train together, as one of them sees them."""

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self.device = rank, size, device

    @property
    def leads(self) -> bool:
        """True if this is the first process, which writes everything."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """Return this process's part of a batch; may be empty with more processes than images."""
        return batch.tensor_split(self.size)[self.rank]

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return a module that trains a network together with the other processes."""
        if self.size == 1:
            return network
        shared = synchronise_batch_norm(network, self.device)
        # The statistics of batch norm are the same in all processes.
        return DistributedDataParallel(shared, broadcast_buffers=False)

    def add_up(self, values: Tensor) -> None:
        """Replace numbers by their sums over all processes, in place. Waits for them."""
        if self.size > 1:
            distributed.all_reduce(values)


def join(rank: int, size: int, port: int) -> Group:
    """Join the group of processes; return when all have joined."""
    on_gpus = torch.cuda.is_available()
    device = torch.device("cuda", rank) if on_gpus else torch.device("cpu")
    if on_gpus:
        torch.cuda.set_device(device)
    if size > 1:
        # Processes of one Pod meet at its own loopback address; no name is to be looked up.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")
        distributed.init_process_group(
            "nccl" if on_gpus else "gloo",
            init_method=f"tcp://127.0.0.1:{port}",
            rank=rank,
            world_size=size,
            timeout=_PATIENCE,
        )
    return Group(rank, size, device)


def free_port() -> int:
    """Return a free port of the loopback address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


Work = Callable[[FinalistSpec, Group], None]
"""The work of all processes but the first; a function of a module, so that it can be pickled."""

Ended = Callable[[TrainerError | None, str], None]
"""Callback when a process ends too early, with its error, if it is of ours, and a sentence."""


class Others:
    """The processes that this one starts; when one of them fails, all of them must stop."""

    def __init__(self, spec: FinalistSpec, size: int, port: int, work: Work, ended: Ended) -> None:
        context = get_context("spawn")
        self._processes: list[SpawnProcess] = []
        self._pipes: list[connection.Connection] = []
        self._ended = ended
        # Starting a process unblocks SIGTERM in this thread, which then would end the process.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        for rank in range(1, size):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_run, args=(spec, rank, size, port, work, theirs), daemon=True
            )
            process.start()
            theirs.close()
            self._processes.append(process)
            self._pipes.append(ours)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if self._processes:
            threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        running = dict(enumerate(self._processes))
        while running:
            connection.wait([process.sentinel for process in running.values()])
            for number, process in list(running.items()):
                if process.exitcode is None:
                    continue
                del running[number]
                if process.exitcode:
                    self._ended(*self._why(number, process.exitcode))

    def _why(self, number: int, status: int) -> tuple[TrainerError | None, str]:
        error: TrainerError | None = None
        if status == _SAID_WHY:
            with suppress(EOFError):
                error = self._pipes[number].recv()
        ended = f"by signal {-status}" if status < 0 else f"with status {status}"
        # Counted from 1, of which the first process is this one.
        return error, f"Process {number + 2} of the training ended {ended}."


def _run(
    spec: FinalistSpec,
    rank: int,
    size: int,
    port: int,
    work: Work,
    pipe: connection.Connection,
) -> None:
    """Run one of the other processes."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        work(spec, join(rank, size, port))
    except TrainerError as error:
        pipe.send(error)
        pipe.close()
        os._exit(_SAID_WHY)
    # What it has sent may not have been read yet; it ends with the first process.
    threading.Event().wait()


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
