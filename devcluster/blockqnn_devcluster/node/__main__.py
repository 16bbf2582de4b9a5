"""`python -m blockqnn_devcluster.node`: the node's own process, started by the cluster's."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import sysconfig
import tempfile
from pathlib import Path

from ..layout import ClusterDirectory
from ..processes import ProcessFamily
from .acceptance import NOT_ENFORCED
from .api import Api
from .log_server import serve_logs
from .pod_watch import PodWatch
from .pod_worker import Tools
from .pods import Pods
from .registration import keep_alive, measure, register

GRACE_AT_END = 2.0
"""Seconds that containers get when the whole cluster ends: nobody waits for their results."""

logger = logging.getLogger("blockqnn_devcluster.node")


def main() -> int:
    """Run the node until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m blockqnn_devcluster.node")
    parser.add_argument("--name", required=True, help="name of the Node object")
    parser.add_argument("--directory", required=True, type=Path, help="the cluster's directory")
    parser.add_argument("--server", required=True, help="URL of the API server")
    parser.add_argument("--cpus", type=int, help="CPUs to announce (default: all)")
    parser.add_argument("--held", type=int, help="descriptor to keep open until all is gone")
    options = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    held = () if options.held is None else (options.held,)
    # Short, so that a socket in a pod's TMPDIR stays within its limit of about 100 bytes.
    with (
        tempfile.TemporaryDirectory(prefix="bqn-", ignore_cleanup_errors=True) as scratch,
        ProcessFamily(held) as family,
    ):
        family.remove_at_end(Path(scratch))
        layout = ClusterDirectory(options.directory)
        return asyncio.run(
            _run(options.name, layout, options.server, options.cpus, family, Path(scratch))
        )


async def _run(
    name: str,
    layout: ClusterDirectory,
    server: str,
    cpus: int | None,
    family: ProcessFamily,
    scratch: Path,
) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    logger.info("not enforced here: %s", "; ".join(NOT_ENFORCED))
    api = await Api.connect(server, layout.certificates)
    programs = Path(sysconfig.get_path("scripts"))
    pods = Pods(api, Tools(family), layout.logs / "pods", scratch, programs)
    log_server, port = await serve_logs(pods, layout.certificates)
    machine = measure(name, cpus, port, layout.path)

    async def serve() -> None:
        await register(api, machine)
        logger.info("registered as %s, logs on port %d", name, port)
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_alive(api, machine))
            group.create_task(PodWatch(api, name, pods.changed, pods.removed).run())

    tasks = [asyncio.ensure_future(work) for work in (serve(), stopped.wait(), pods.failed.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await pods.stop(GRACE_AT_END)
    await log_server.cleanup()
    await api.close()
    if stopped.is_set():
        return 0
    if tasks[0].done() and not tasks[0].cancelled() and tasks[0].exception() is not None:
        logger.critical("the node failed", exc_info=tasks[0].exception())
    return 1


if __name__ == "__main__":
    sys.exit(main())
