"""``python -m benchmarks.operator.neighbours``: a search alone, beside greedy ones, alone again.

The greedy searches lie in another namespace. Each asks as much of its agent as the definition
allows in one respect. All trials end at once, so that the operator alone limits the searches.
"""

import argparse
import asyncio
import time
import urllib.request
from typing import Any

from benchmarks.operator.api import Api
from benchmarks.operator.fixtures import Json, search
from benchmarks.operator.measure import searches_path
from benchmarks.operator.process import OperatorProcess
from benchmarks.operator.report import quantile
from benchmarks.operator.runs import USER, create_namespace, simulated_cluster
from benchmarks.report import is_quick, write

VICTIM, GREEDY = "victim", "greedy"
"""Namespaces, one for each user."""

PARALLELISM = 16
"""Trials at a time of the search that is watched. The greedy ones have 1, so that their agents are
measured and not their share of the control plane."""

TRIALS = 99_999
"""The budget: more than any of them reaches."""


def greedy_searches() -> list[Json]:
    """Return searches of which each is at a maximum of the definition."""
    updates = {"updates": 1_000_000}
    return [
        _learning("updates", 1, replay=updates),
        _learning("samples", 1, replay=updates | {"sampleSize": 65_536}),
        _learning("candidates", 4096, predictor={"candidates": 100, "warmup": 2}),
        _learning("batch", 4096, replay=updates),
        _search(
            "evolution",
            batchSize=4096,
            algorithm="Evolution",
            evolution={"populationSize": 10_000, "sampleSize": 10_000},
        ),
    ]


def _learning(name: str, batch: int, parallelism: int = 1, **agent: Any) -> Json:
    """Return a search whose every iteration depends on the values."""
    schedule = [{"epsilon": 0.5, "iterations": -(-TRIALS // batch)}]
    return _search(name, parallelism, batchSize=batch, epsilonSchedule=schedule, **agent)


def _search(name: str, parallelism: int = 1, **agent: Any) -> Json:
    manifest = search(name, TRIALS, parallelism)
    manifest["spec"] |= {"preset": "Efficient", "agent": agent}
    return manifest


async def measure(seconds: float) -> Json:
    """Measure both for a time each, and return the figures."""
    with simulated_cluster() as cluster:
        async with Api(cluster.kubeconfig) as api:
            create_namespace(cluster, VICTIM)
            create_namespace(cluster, GREEDY)
            log = cluster.logs / "operator.log"
            operator = OperatorProcess(cluster.kubeconfig_for(USER), [VICTIM, GREEDY], log)
            operator.start()
            try:
                return await _measure(api, operator, seconds)
            finally:
                operator.kill()


async def _measure(api: Api, operator: OperatorProcess, seconds: float) -> Json:
    victim = _learning("victim", PARALLELISM, PARALLELISM)
    await api.request("POST", searches_path(VICTIM), victim)
    await _until(api, 64)
    before, answers_before = await _observe(api, operator, seconds)
    for manifest in greedy_searches():
        await api.request("POST", searches_path(GREEDY), manifest)
    await asyncio.sleep(seconds / 3)
    beside, answers = await _observe(api, operator, seconds)
    body = await api.request("GET", searches_path(GREEDY))
    states = {
        item["metadata"]["name"]: "{progress}: {message}".format_map(item["status"])
        for item in body["items"]
    }
    for name in states:
        await api.request("DELETE", f"{searches_path(GREEDY)}/{name}")
    await asyncio.sleep(seconds / 3)
    after, answers_after = await _observe(api, operator, seconds)
    return {
        "trials a second, alone, before and after": (before, after),
        "trials a second, beside greedy searches": beside,
        "share": beside / ((before + after) / 2),
        "healthz p99 alone, s": quantile(sorted(answers_before + answers_after), 0.99),
        "healthz p99, s": quantile(sorted(answers), 0.99),
        "healthz longest, s": max(answers),
        "answers": len(answers),
        "greedy": states,
    }


async def _observe(
    api: Api, operator: OperatorProcess, seconds: float
) -> tuple[float, list[float]]:
    """Return the victim's trials a second, and how long each probe took."""
    before, begun = await _total(api), time.monotonic()
    answers: list[float] = []
    while time.monotonic() - begun < seconds:
        answers.append(await asyncio.to_thread(_probe, operator.port("--probe-port")))
        await asyncio.sleep(0.1)
    return (await _total(api) - before) / (time.monotonic() - begun), answers


def _probe(port: int) -> float:
    begun = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=120) as answer:
        answer.read()
    return time.monotonic() - begun


async def _total(api: Api) -> int:
    body = await api.request("GET", f"{searches_path(VICTIM)}/victim")
    return int(body.get("status", {}).get("trials", {}).get("total", 0))


async def _until(api: Api, count: int) -> None:
    async with asyncio.timeout(120):
        while await _total(api) < count:
            await asyncio.to_thread(time.sleep, 0.5)


def main() -> None:
    """Measure, print the figures, and write build/benchmarks/neighbours.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operator.neighbours")
    seconds = 15.0 if is_quick() else 60.0
    parser.add_argument(
        "--seconds", type=float, default=seconds, help="of each measurement (default: %(default)s)"
    )
    figures = asyncio.run(measure(parser.parse_args().seconds))
    for name, value in figures.items():
        print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
    print(f"written to {write('neighbours', figures)}")


if __name__ == "__main__":
    main()
