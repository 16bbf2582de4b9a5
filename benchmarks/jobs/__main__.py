"""Measure, print a table, write the figures down."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import geometric_mean, mean
from typing import Any

from benchmarks.operator.process import OperatorProcess
from benchmarks.report import is_quick, mean_and_error, write
from blockqnn_api.history import shards as history
from blockqnn_api.history.trial_record import TrialRecord, read_lines
from blockqnn_devcluster import DevCluster

ROOT = Path(__file__).resolve().parents[2]
USER = "blockqnn-operator"
ITERATION = 8
"""Trials of an iteration: as many as a Job may train at most."""
DEADLINE = 900.0
"""Seconds of a search, which takes a tenth of that on idle processors."""


@dataclass(frozen=True)
class Run:
    """One search."""

    blocks: int
    """Of a Job."""
    trained: int
    """Trials that were trained; those that share a result take no Job."""
    seconds: float
    """From the creation of the search to its completion."""
    training: float
    """Seconds of the trials that went into training and evaluation, on average."""
    overall: float
    """Seconds of the trials in their processes, the start included, on average."""
    accuracies: list[float | None]

    @property
    def rate(self) -> float:
        """Trained trials a second."""
        return self.trained / self.seconds


def main() -> None:
    """Run the benchmark."""
    options = _options(is_quick())
    runs: list[Run] = []
    with DevCluster.start("bench-jobs", cpus=options.cpus) as cluster:
        _install(cluster)
        for repeat in range(options.repeats):
            for blocks in options.blocks:
                manifest = _search(blocks, options.trials, options.cpus)
                run = _measure(cluster, f"jobs-{blocks}-{repeat}", manifest)
                runs.append(run)
                text = f"{blocks} blocks a Job: {run.trained} trials in {run.seconds:.1f} s"
                print(text, file=sys.stderr, flush=True)
    assert len({tuple(run.accuracies) for run in runs}) == 1, "the searches must reach the same"
    print(_table(runs))
    figures = {"parallelism": options.cpus, "runs": [asdict(run) for run in runs]}
    print(f"written to {write('jobs', figures)}")


def _options(quick: bool) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("--trials", type=int, default=8 if quick else 24, help="of each search")
    parser.add_argument("--repeats", type=int, default=1 if quick else 3)
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 4, 8], help="of a Job")
    parser.add_argument(
        "--cpus", type=int, default=2, help="of the node, and Jobs at a time; default: %(default)s"
    )
    return parser.parse_args()


def _search(blocks: int, trials: int, parallelism: int) -> dict[str, Any]:
    spec = {
        "dataset": {"name": "digits"},
        "parallelism": parallelism,
        "budget": {"trials": trials},
        "space": {"maxLayers": 8},
        # Nothing is learned, so that Jobs are short of nothing but processors.
        "agent": {"algorithm": "RandomSearch", "batchSize": ITERATION},
        "network": {"filters": [8, 16], "repeats": 1},
        "training": {"batchSize": 64, "optimizer": {"learningRate": 0.01}},
        "trial": {"blocksPerJob": blocks, "resources": {"requests": {"cpu": "1"}}},
    }
    return {
        "apiVersion": "blockqnn.dev/v1alpha1",
        "kind": "BlockSearch",
        "metadata": {"name": "search"},
        "spec": spec,
    }


def _measure(cluster: DevCluster, namespace: str, manifest: dict[str, Any]) -> Run:
    def kubectl(*arguments: str, **options: Any) -> str:
        return str(cluster.kubectl("-n", namespace, *arguments, **options).stdout)

    def phase() -> str:
        return kubectl("get", "bs", "search", "-o", "jsonpath={.status.phase}")

    cluster.kubectl("create", "namespace", namespace)
    operator = OperatorProcess(cluster.kubeconfig_for(USER), namespace, cluster.logs / "operator")
    operator.start()
    try:
        # The API server refuses Pods until the controller manager has made this account.
        _until(lambda: kubectl("get", "serviceaccount", "default", check=False) != "")
        began = time.monotonic()
        kubectl("create", "-f", "-", input=json.dumps(manifest))
        _until(lambda: phase() in ("Complete", "Failed"))
        seconds = time.monotonic() - began
    finally:
        operator.kill()
    if phase() == "Failed":
        raise SystemExit(f"The search has failed:\n{kubectl('get', 'bs', 'search', '-o', 'yaml')}")
    selector = "blockqnn.dev/search=search,app.kubernetes.io/component=history"
    shards = json.loads(kubectl("get", "configmaps", "-o", "json", "-l", selector))["items"]
    stored = sorted(map(history.read_shard, shards), key=lambda shard: shard.number)
    run = _run_of(list(read_lines(history.lines(stored))[1]), manifest, seconds)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")
    return run


def _run_of(records: list[TrialRecord], manifest: dict[str, Any], seconds: float) -> Run:
    spent = [record.seconds for record in records if record.seconds is not None]
    return Run(
        manifest["spec"]["trial"]["blocksPerJob"],
        len(spent),
        seconds,
        mean_and_error([seconds.train + seconds.evaluate for seconds in spent])[0],
        mean_and_error([seconds.total for seconds in spent])[0],
        [record.accuracy for record in records],
    )


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"The search was not over within {DEADLINE:.0f} s.")
        time.sleep(0.1)


def _install(cluster: DevCluster) -> None:
    apply = ("apply", "--server-side")
    cluster.kubectl(*apply, "-f", str(ROOT / "crds"), "-f", str(ROOT / "operator" / "role.yaml"))
    role = (f"--clusterrole={USER}", f"--user={USER}")
    cluster.kubectl("create", "clusterrolebinding", USER, *role)
    cluster.wait_for_definitions()


def _table(runs: Sequence[Run]) -> str:
    lines = [
        "| Blocks a Job | Trials a second | Times as many | Seconds in its process | of training |",
        "|---|---|---|---|---|",
    ]
    by_blocks = {blocks: [run for run in runs if run.blocks == blocks] for blocks in _order(runs)}
    alone = next(iter(by_blocks.values()))
    for blocks, same in by_blocks.items():
        rate, error = mean_and_error([run.rate for run in same])
        gain = geometric_mean(run.rate / other.rate for run, other in zip(same, alone, strict=True))
        overall, training = (mean([getattr(run, name) for run in same]) for name in MEANS)
        lines.append(
            f"| {blocks} | {rate:.3f} ± {error:.3f} | {gain:.2f} | {overall:.2f} | {training:.2f} |"
        )
    return "\n".join(lines)


MEANS = ("overall", "training")


def _order(runs: Sequence[Run]) -> list[int]:
    return list(dict.fromkeys(run.blocks for run in runs))


if __name__ == "__main__":
    main()
