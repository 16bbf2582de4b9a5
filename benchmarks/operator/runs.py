"""The measurements: each with a cluster of its own, whose only nodes are simulated."""

import asyncio
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.operator import bare
from benchmarks.operator.api import Api
from benchmarks.operator.fixtures import NODES, Json, complete_stage, paced, random_search, search
from benchmarks.operator.measure import Timeline, follow, searches_path, watch
from benchmarks.operator.process import OperatorProcess, counted_by_server, used_by_cluster
from benchmarks.operator.report import Scale, Slots
from blockqnn_devcluster import DevCluster
from blockqnn_devcluster.simulated import SimulatedNodes
from blockqnn_operator.shell.kubernetes.client import jobs_path

ROOT = Path(__file__).resolve().parents[2]

USER = "blockqnn-operator"
"""Whom the operator runs as, with the rights of operator/role.yaml and no others."""

SLOTS = 16
"""Trials at a time where the use of slots is measured, and half an iteration."""

SHORTEST, LONGEST = 4.0, 16.0
"""Seconds of a trial that takes its time: the slowest of an iteration takes four times as long as
the quickest."""

PACED_PARALLELISM = 96
"""Trials at a time where reactions are measured: about ten results a second, under which the
control plane is busy and does not fall behind."""


@dataclass(frozen=True)
class Setting:
    """Settings that all sizes share."""

    parallelism: int
    bare_trials: int
    paced_trials: int
    log: Path | None
    """Path of the operator's log."""


async def measure_scale(sizes: Sequence[int], setting: Setting) -> list[Scale]:
    """Run a search of each size, and the bare loop before and after each, on one control plane."""
    scales = []
    with simulated_cluster() as cluster:
        async with Api(cluster.kubeconfig) as api:
            before = await _bare(api, cluster, 0, setting)
            for number, size in enumerate(sizes, 1):
                last = number == len(sizes)
                restart = _middle(size, setting.parallelism) if last else None
                scale = await _search(api, cluster, size, setting, restart)
                after = await _bare(api, cluster, number, setting)
                scale.bare = (before, after)
                scales.append(scale)
                before = after
    return scales


def _middle(size: int, parallelism: int) -> int | None:
    """Return after how many results Jobs are left to be created; None when that is not sure."""
    return size // 2 if size >= 3 * parallelism else None


async def measure_slots(iterations: int) -> list[Slots]:
    """Run searches whose trials take their time, side by side, and see how full their slots are."""
    size = 2 * SLOTS
    trials = size * iterations
    learned = {"epsilonSchedule": [{"epsilon": 0.5, "iterations": iterations}], "batchSize": size}
    searches = {
        "random phase (epsilon 1)": random_search("random", trials, SLOTS),
        "learned phase, pipelining 0": search("piped-0", trials, SLOTS, **learned),
        "learned phase, pipelining 1": search("piped-1", trials, SLOTS, pipelining=1, **learned),
    }

    async def run(api: Api, manifest: Json) -> Timeline:
        manifest["spec"] = _merged(manifest["spec"], paced())
        name = manifest["metadata"]["name"]
        path = searches_path("slots")
        return await watch(api, "slots", name, lambda: api.request("POST", path, manifest))

    with simulated_cluster() as cluster:
        async with Api(cluster.kubeconfig) as api:
            operator = _operator(cluster, "slots", None)
            _progress(f"use of slots: {len(searches)} searches of {trials} trials side by side")
            operator.start()
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = {
                        name: group.create_task(run(api, manifest))
                        for name, manifest in searches.items()
                    }
            finally:
                operator.kill()
    lines = {name: task.result() for name, task in tasks.items()}
    return [
        Slots(name, trials, SLOTS, line.utilisation(SLOTS), line.seconds)
        for name, line in lines.items()
    ]


async def _bare(api: Api, cluster: DevCluster, number: int, setting: Setting) -> bare.Bare:
    namespace = f"bare-{number}"
    create_namespace(cluster, namespace)
    before = used_by_cluster(cluster.directory)
    bare_run = await bare.run(api, namespace, setting.bare_trials, setting.parallelism)
    bare_run.milliseconds = _milliseconds(before, cluster, bare_run.trials)
    _progress(
        f"bare loop: {bare_run.trials} trials, {bare_run.rate:.1f} a second; processor ms each: "
        f"{_told(bare_run.milliseconds)}"
    )
    jobs = jobs_path(namespace)
    await api.request("DELETE", jobs, propagationPolicy="Background")
    await _until_empty(api, namespace)
    return bare_run


async def _search(
    api: Api, cluster: DevCluster, size: int, setting: Setting, restart: int | None
) -> Scale:
    namespace = f"search-{size}"
    operator = _operator(cluster, namespace, setting.log)
    before = used_by_cluster(cluster.directory)
    operator.start()
    try:
        manifest = random_search("search", size, setting.parallelism)
        counted = counted_by_server(await api.metrics())
        course = await follow(api, namespace, manifest, operator, restart_after=restart)
        counted = counted_by_server(await api.metrics()) - counted
        scale = Scale.of(size, course, counted, operator)
        own = {"operator": operator.processor_seconds / size * 1000}
        scale.milliseconds = _milliseconds(before, cluster, size) | own
        line = await _paced(api, namespace, size, setting)
        scale.set_reactions(line.reactions(PACED_PARALLELISM))
    finally:
        operator.kill()
    _progress(
        f"search: {size} trials, {scale.rate:.1f} a second, {sum(scale.writes.values()):.2f} "
        f"writes each; processor ms each: {_told(scale.milliseconds)}"
    )
    await api.request("DELETE", f"{searches_path(namespace)}/search")
    await _until_empty(api, namespace)
    return scale


async def _paced(api: Api, namespace: str, size: int, setting: Setting) -> Timeline:
    """Let a finished search go on, with trials that take their time and few slots."""
    path = f"{searches_path(namespace)}/search"
    more = {"parallelism": PACED_PARALLELISM, "budget": {"trials": size + setting.paced_trials}}
    patch = {"spec": more | paced()}
    return await watch(api, namespace, "search", lambda: api.merge(path, patch))


def _merged(spec: Json, more: Json) -> Json:
    trial = {**spec.get("trial", {}), **more["trial"]}
    return {**spec, "trial": trial}


def _milliseconds(
    before: Mapping[str, float], cluster: DevCluster, trials: int
) -> dict[str, float]:
    after = used_by_cluster(cluster.directory)
    return {name: (after[name] - before[name]) / trials * 1000 for name in sorted(before)}


def _told(milliseconds: Mapping[str, float]) -> str:
    parts = ", ".join(f"{name} {value:.1f}" for name, value in milliseconds.items())
    return f"{sum(milliseconds.values()):.1f} ({parts})"


def _operator(cluster: DevCluster, namespace: str, log: Path | None) -> OperatorProcess:
    create_namespace(cluster, namespace)
    kubeconfig = cluster.kubeconfig_for(USER)
    return OperatorProcess(kubeconfig, [namespace], log or cluster.logs / "operator.log")


@contextmanager
def simulated_cluster() -> Iterator[DevCluster]:
    """Start a control plane whose nodes are simulated, and define BlockSearches in it."""
    stages = [
        complete_stage(0.0, 0.0, paced=False),
        complete_stage(SHORTEST, LONGEST, paced=True),
    ]
    name = f"bench-{uuid.uuid4().hex[:8]}"
    with DevCluster.start(name, node=False) as cluster, SimulatedNodes(cluster, NODES, stages):
        _install(cluster)
        yield cluster


def _install(cluster: DevCluster) -> None:
    files = (str(ROOT / "crds"), str(ROOT / "operator" / "role.yaml"))
    cluster.kubectl("apply", "--server-side", "-f", files[0], "-f", files[1])
    binding = ("create", "clusterrolebinding", USER, f"--clusterrole={USER}", f"--user={USER}")
    cluster.kubectl(*binding)
    cluster.wait_for_definitions()


def create_namespace(cluster: DevCluster, name: str) -> None:
    """Create a namespace with the account that Pods need, which a controller makes too late."""
    metadata = {"name": "default", "namespace": name}
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
    ]
    apply = ("apply", "--server-side", "--force-conflicts")
    cluster.kubectl(*apply, "-f", "-", input=yaml.safe_dump_all(objects))


async def _until_empty(api: Api, namespace: str) -> None:
    """Wait until the garbage collector is done, so that it does not disturb what comes next."""
    deadline = time.monotonic() + 600
    for path in (jobs_path(namespace), f"/api/v1/namespaces/{namespace}/pods"):
        while (await api.request("GET", path, limit="1"))["items"]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{path} is not empty ten minutes after its search")
            await asyncio.sleep(0.5)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
