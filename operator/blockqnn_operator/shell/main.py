"""The operator's process: ``blockqnn-operator``."""

import argparse
import asyncio
import contextlib
import dataclasses
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterable, Sequence

import kopf
from prometheus_client import CollectorRegistry

from blockqnn_api import names
from blockqnn_api.errors import OperatorError
from blockqnn_api.objects import SearchObject
from blockqnn_operator import __version__
from blockqnn_operator.errors import ClusterUnavailable, ResourceUndefined, WatchesEnded
from blockqnn_operator.shell.agents.pool import AgentPool
from blockqnn_operator.shell.agents.process import prepare
from blockqnn_operator.shell.kubernetes.backoff import delay_after
from blockqnn_operator.shell.kubernetes.cache import Informers, ObjectCache
from blockqnn_operator.shell.kubernetes.client import ApiError, Cluster
from blockqnn_operator.shell.kubernetes.informer import Key
from blockqnn_operator.shell.kubernetes.kopf_connection import Listed, open_session
from blockqnn_operator.shell.kubernetes.kopf_handlers import register
from blockqnn_operator.shell.kubernetes.kopf_settings import operator_settings
from blockqnn_operator.shell.listening import listen_all
from blockqnn_operator.shell.metrics.operator import Metrics
from blockqnn_operator.shell.metrics.search import Measured
from blockqnn_operator.shell.options import parser
from blockqnn_operator.shell.probes import Probes
from blockqnn_operator.shell.reconcile.cleanup import JobCleanup
from blockqnn_operator.shell.reconcile.controller import Controller
from blockqnn_operator.shell.reconcile.refusals import NOT_FOUND
from blockqnn_operator.shell.reconcile.slots import Slots
from blockqnn_operator.shell.reconcile.work_queue import WorkQueue

WORKERS = 4
"""Searches that are reconciled at the same time; one pass takes milliseconds of processor time."""

GARBAGE = 5_000
"""Objects that are created and not freed between two searches for reference cycles: about a
hundred events of Jobs and Pods."""

PACE = 0.1
"""Seconds between the beginnings of two passes over a busy search: every trial brings a dozen
events, and a pass over hundreds of open trials takes 10 ms of processor time."""

logger = logging.getLogger("blockqnn_operator")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until a signal ends it; returns the exit status."""
    options = parser().parse_args(arguments)
    _configure_logging(options.log_level)
    _collect_garbage_rarely()
    try:
        asyncio.run(_run(options))
    except OperatorError as error:
        logger.error("%s", error)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 0


def _configure_logging(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s %(levelname)-7s %(message)s"
    )
    # Kopf logs much about its own work; our messages have what concerns the user.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))
    for chatty in ("aiohttp", "asyncio", "kubernetes"):
        logging.getLogger(chatty).setLevel(logging.ERROR)


def _collect_garbage_rarely() -> None:
    """Look for reference cycles less often, and never among what was imported.

    By Python's defaults that took a third of the operator's processor time with 500 Jobs in flight.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, 10, 10)


async def _run(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    ports = {"--probe-port": options.probe_port, "--metrics-port": options.metrics_port}
    listeners = listen_all(ports, options.listen_address)
    operator = Operator(options)
    operator.metrics.serve(listeners["--metrics-port"])
    cluster = await Cluster.connect(operator.metrics.requested, options.api_concurrency)
    cluster.labels = dict(options.label)
    probes = Probes(cluster.version)
    try:
        await probes.serve(listeners["--probe-port"])
        if await _until_served(cluster, stop):
            await operator.run(cluster, stop, probes.started)
    finally:
        await probes.close()
        await cluster.close()


async def _until_served(cluster: Cluster, stop: asyncio.Event) -> bool:
    """Wait until the API server answers and serves BlockSearches.

    Returns:
        False when the process is asked to stop before.
    """
    failures = 0
    while not stop.is_set():
        try:
            version = await cluster.version()
            await _check_defined(cluster)
        except (ClusterUnavailable, ApiError, ResourceUndefined) as error:
            failures += 1
            delay = delay_after(failures)
            logger.warning("%s Trying again in %.1f s.", error, delay)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), delay)
        else:
            logger.info(
                "blockqnn-operator %s serves %s (Kubernetes %s)",
                __version__,
                cluster.server,
                version,
            )
            return True
    return False


async def _check_defined(cluster: Cluster) -> None:
    try:
        served = await cluster.get(f"/apis/{names.API_VERSION}")
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
        served = {"resources": []}
    if not any(resource["name"] == names.PLURAL for resource in served["resources"]):
        raise ResourceUndefined(
            f"{cluster.server} does not know the resource {names.PLURAL}.{names.GROUP}: install "
            "its CustomResourceDefinition, from the chart or from crds/."
        )


class Operator:
    """The parts of the process, and how they are wired.

    Args:
        options: the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._controller: Controller | None = None
        self._cleanup: JobCleanup | None = None
        self._queue: WorkQueue[Key] = WorkQueue(self._reconcile, WORKERS, PACE)
        self._watched = ObjectCache(self._queue.add)
        self._leftovers: WorkQueue[Key] = WorkQueue(self._tidy, WORKERS)
        self.metrics = Metrics(self._measured, lambda: self._queue.depth, CollectorRegistry())

    async def run(self, cluster: Cluster, stop: asyncio.Event, started: asyncio.Event) -> None:
        """Serve searches until told to stop.

        Args:
            cluster: the API server.
            stop: ends the process once it is set.
            started: is set when the watches have started.

        Raises:
            WatchesEnded: when Kopf gave up, such as after the resource's definition was deleted.
            Exception: the error that ended another task of the process before.
        """
        watched = self._watched
        self._cleanup = JobCleanup(self._leftovers.add, news=self._queue.add)
        await asyncio.to_thread(prepare)
        agents = AgentPool(lambda key: self._queue.add_after(key, 0.0), cluster.clock.now)
        self._controller = Controller(
            cluster,
            watched.search,
            watched.jobs,
            watched.pods,
            watched.preparations,
            watched.finalists,
            self.metrics,
            Slots(self._options.max_jobs_in_flight, self._queue.add),
            self._cleanup,
            watched.known,
            agents,
            self._options.trainer_image,
            cluster.clock.now,
            unreadable=watched.unreadable,
        )
        stopping = asyncio.Event()
        watches = Informers(cluster, self._options.namespace, watched, self._restored)
        kopf_task = asyncio.create_task(self._watch_searches(stopping, cluster.proxy), name="kopf")
        others = [
            asyncio.create_task(watches.run(), name="watches"),
            asyncio.create_task(self._work(watches, started), name="queue"),
            asyncio.create_task(self._leftovers.run(), name="leftovers"),
            asyncio.create_task(self._resync(), name="resync"),
            asyncio.create_task(stop.wait(), name="stop"),
        ]
        await asyncio.wait([kopf_task, *others], return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        for task in others:
            task.cancel()
        results = await asyncio.gather(kopf_task, *others, return_exceptions=True)
        await agents.close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _work(self, watches: Informers, started: asyncio.Event) -> None:
        # A Job that no watch has reported yet would look like one that was deleted.
        await watches.synced()
        started.set()
        await self._queue.run()

    def _search_changed(self, key: Key, search: SearchObject | None) -> None:
        if search is None:
            self._queue.forget(key)
        self._watched.remember(key, search)

    def _restored(self) -> None:
        """Look at every search anew: the API server has gone back to an earlier version."""
        if self._controller:
            self._controller.restored()
        for key in self._watched.known():
            self._queue.add(key)

    def _listed(self, namespace: str, keys: set[Key]) -> None:
        """Forget the searches that are gone, though no watch has reported their deletion."""
        for key in self._watched.known():
            if key not in keys and namespace in ("", key[0]):
                self._search_changed(key, None)

    async def _watch_searches(self, stopping: asyncio.Event, proxy: str | None) -> None:
        registry = kopf.OperatorRegistry()
        register(registry, self._search_changed)
        sessions: list[kopf.AiohttpSession] = []
        _register_login(registry, self._listed, sessions, proxy)
        namespaces = tuple(self._options.namespace)
        try:
            await kopf.operator(
                registry=registry,
                settings=operator_settings(),
                # Kopf would ask who runs it, and a Pod's user need not have a name.
                identity=socket.gethostname(),  # type: ignore[arg-type]
                standalone=True,
                clusterwide=not namespaces,
                namespaces=namespaces,
                stop_flag=stopping,
            )
        except Exception as error:
            raise WatchesEnded(
                f"The API server ended a watch permanently: {error}. Restart the operator; a "
                "Deployment does so automatically."
            ) from error
        finally:
            for session in sessions:
                await session.aiohttp_session.close()

    async def _reconcile(self, key: Key) -> float | None:
        return await self._controller.reconcile(key) if self._controller else None

    async def _tidy(self, key: Key) -> float | None:
        return await self._cleanup.carry_out(key) if self._cleanup else None

    def _measured(self) -> Iterable[Measured]:
        return self._controller.measured() if self._controller else ()

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(self._options.resync_seconds)
            for key in self._watched.known():
                self._queue.add(key)


def _register_login(
    registry: kopf.OperatorRegistry,
    listed: Listed,
    sessions: list[kopf.AiohttpSession],
    proxy: str | None,
) -> None:
    @kopf.on.login(registry=registry)
    async def login(**kwargs: object) -> kopf.AiohttpSession | None:
        info = kopf.login_via_client(**kwargs)  # type: ignore[arg-type]
        if info is None:
            return None
        # Kopf leaves out the proxy that the credentials' client would use.
        sessions.append(open_session(dataclasses.replace(info, proxy_url=proxy), listed))
        return sessions[-1]


if __name__ == "__main__":
    sys.exit(main())
