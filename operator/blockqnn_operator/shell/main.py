"""The operator's process: ``blockqnn-operator``."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Iterable, Sequence

import kopf
from prometheus_client import CollectorRegistry

from blockqnn_operator import __version__
from blockqnn_operator.errors import ClusterUnavailable, OperatorError
from blockqnn_operator.shell.cluster import ApiError, Cluster
from blockqnn_operator.shell.controller import Controller
from blockqnn_operator.shell.handlers import RESYNC_SECONDS, Watched, register
from blockqnn_operator.shell.metrics import Measured, Metrics
from blockqnn_operator.shell.queue import FIRST_BACKOFF, LONGEST_BACKOFF, WorkQueue
from blockqnn_operator.shell.settings import operator_settings
from blockqnn_operator.shell.slots import Key, Slots

WORKERS = 4
"""Searches that are reconciled at the same time; one pass takes milliseconds of processor time."""

logger = logging.getLogger("blockqnn_operator")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until a signal ends it; returns the exit status."""
    options = _parser().parse_args(arguments)
    _configure_logging(options.log_level)
    try:
        asyncio.run(_run(options))
    except OperatorError as error:
        logger.error("%s", error)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="blockqnn-operator",
        description="Runs the BlockSearches of a Kubernetes cluster. Credentials come from the "
        "service account inside a Pod, elsewhere from KUBECONFIG.",
    )
    parser.add_argument(
        "-n",
        "--namespace",
        action="append",
        default=[],
        help="watch this namespace only; may be repeated (default: all namespaces)",
    )
    parser.add_argument(
        "--liveness",
        metavar="URL",
        help="serve the liveness probe there, such as http://0.0.0.0:8080/healthz",
    )
    parser.add_argument(
        "--metrics-port",
        type=int,
        metavar="PORT",
        help="serve metrics for Prometheus on this port, at /metrics",
    )
    parser.add_argument(
        "--max-jobs-in-flight",
        type=_positive,
        metavar="N",
        help="run at most N trials at a time, all searches together, shared fairly among them "
        "(default: as many as the searches' parallelism allows)",
    )
    parser.add_argument(
        "--log-level",
        default="INFO",
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        help="the least important messages to print (default: INFO)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of Jobs; give 1 or more")
    return int(text)


def _configure_logging(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s %(levelname)-7s %(message)s"
    )
    # Kopf says much about its own workings; what concerns the user is in our messages.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))
    for chatty in ("aiohttp", "asyncio", "kubernetes"):
        logging.getLogger(chatty).setLevel(logging.ERROR)


async def _run(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    operator = Operator(options)
    cluster = await Cluster.connect(operator.metrics.requested)
    try:
        if await _until_reachable(cluster, stop):
            await operator.run(cluster, stop)
    finally:
        await cluster.close()


async def _until_reachable(cluster: Cluster, stop: asyncio.Event) -> bool:
    """Wait until the API server answers; False when the process is asked to stop before."""
    delay = FIRST_BACKOFF
    while not stop.is_set():
        try:
            version = await cluster.version()
        except (ClusterUnavailable, ApiError) as error:
            logger.warning("%s Trying again in %.1f s.", error, delay)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), delay)
            delay = min(delay * 2, LONGEST_BACKOFF)
        else:
            logger.info(
                "blockqnn-operator %s serves %s (Kubernetes %s)",
                __version__,
                cluster.server,
                version,
            )
            return True
    return False


class Operator:
    """The parts of the process, and how they are wired.

    Args:
        options: the command line: ``namespace``, ``liveness``, ``metrics_port``,
            ``max_jobs_in_flight``.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._watched = Watched()
        self._controller: Controller | None = None
        self._queue: WorkQueue[Key] = WorkQueue(self._reconcile, WORKERS)
        self.metrics = Metrics(self._measured, lambda: self._queue.depth, CollectorRegistry())

    async def run(self, cluster: Cluster, stop: asyncio.Event) -> None:
        """Serve searches until told to stop.

        Raises:
            Exception: whatever ended one of the process's tasks before.
        """
        watched = self._watched
        self._controller = Controller(
            cluster,
            watched.search,
            watched.jobs,
            watched.pods,
            self.metrics,
            Slots(self._options.max_jobs_in_flight, self._queue.add),
            watched.known,
        )
        if self._options.metrics_port is not None:
            self.metrics.serve(self._options.metrics_port)
        stopping = asyncio.Event()
        kopf_task = asyncio.create_task(self._watch(stopping), name="kopf")
        others = [
            asyncio.create_task(self._queue.run(), name="queue"),
            asyncio.create_task(self._resync(), name="resync"),
            asyncio.create_task(stop.wait(), name="stop"),
        ]
        await asyncio.wait([kopf_task, *others], return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        for task in others:
            task.cancel()
        for result in await asyncio.gather(kopf_task, *others, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    async def _watch(self, stopping: asyncio.Event) -> None:
        registry = kopf.OperatorRegistry()
        register(registry, self._watched, self._queue)
        _register_login(registry)
        namespaces = tuple(self._options.namespace)
        await kopf.operator(
            registry=registry,
            settings=operator_settings(),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
            liveness_endpoint=self._options.liveness,
            stop_flag=stopping,
        )

    async def _reconcile(self, key: Key) -> float | None:
        return await self._controller.reconcile(key) if self._controller else None

    def _measured(self) -> Iterable[Measured]:
        return self._controller.measured() if self._controller else ()

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            for key in self._watched.known():
                self._queue.add(key)


def _register_login(registry: kopf.OperatorRegistry) -> None:
    @kopf.on.login(registry=registry)
    def login(**kwargs: object) -> kopf.ConnectionInfo | None:
        return kopf.login_via_client(**kwargs)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
