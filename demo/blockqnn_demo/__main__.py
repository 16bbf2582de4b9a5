"""``make demo``: a cluster, the operator, ``examples/quickstart.yaml``, and what it found.

Everything runs as processes of this user and ends with this program: the cluster by its own
guardian, the operator by this one.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from rich.console import Console

from blockqnn.errors import BlockQNNError
from blockqnn_cli import terminal_views
from blockqnn_cli.learning import in_words, learning
from blockqnn_cli.searches import Searches
from blockqnn_cli.view import SearchView
from blockqnn_cli.watching import watch
from blockqnn_devcluster import DevCluster, DevClusterError
from blockqnn_devcluster.processes import ProcessFamily

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "quickstart.yaml"
NAMESPACE, NAME = "default", "quickstart"
CLUSTER_NAME = "demo"

OPERATOR_USER = "blockqnn-operator"
"""The operator runs under its own name, with the rights of operator/role.yaml and no others."""

STOP_SECONDS = 10
"""Seconds that the operator may take to end; it needs less than one."""


class DemoError(BlockQNNError):
    """Something that ends the demo; its text is a complete sentence."""


def main() -> int:
    """Run the demo; returns the exit status."""
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(highlight=False)
    started = time.monotonic()
    try:
        search = _run(console)
    except (BlockQNNError, DevClusterError) as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe demo was interrupted; everything it started has ended.", file=sys.stderr)
        return 130
    console.rule("the best block")
    console.print(terminal_views.best_block(search))
    console.print()
    console.print(in_words(search, learning(search)), soft_wrap=True)
    console.print(
        f"The demo took {time.monotonic() - started:.0f} s and has cleaned up after itself. "
        "Next: docs/getting-started.md explains it; docs/tasks/install.md is about a cluster of "
        "your own.",
        soft_wrap=True,
    )
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(console: Console) -> SearchView:
    console.print("[1/5] starting Kubernetes; the first time, building it")
    with DevCluster.start(
        CLUSTER_NAME, progress=lambda line: console.print(f"      {line}")
    ) as cluster:
        console.print("[2/5] installing the BlockSearch resource and the operator's rights")
        _kubectl(cluster, "apply", "-f", str(ROOT / "crds"), "-f", str(ROOT / "operator/role.yaml"))
        _kubectl(
            cluster,
            "create",
            "clusterrolebinding",
            OPERATOR_USER,
            f"--clusterrole={OPERATOR_USER}",
            f"--user={OPERATOR_USER}",
        )
        cluster.wait_for_definitions()
        log = cluster.logs / "blockqnn-operator.log"
        console.print(f"[3/5] starting the operator; its log: {log}")
        with _operator(cluster, log) as operator:
            console.print(f"[4/5] kubectl apply -f {EXAMPLE.relative_to(ROOT)}")
            _kubectl(cluster, "apply", "-f", str(EXAMPLE))
            _say_how_to_look(console, cluster)
            console.print("[5/5] following the search")
            searches = Searches(str(cluster.kubeconfig))
            search = watch(
                console,
                lambda: searches.get(NAMESPACE, NAME),
                lambda: _check_running(operator, log),
            )
            console.print(_kubectl(cluster, "get", "blocksearch"), end="")
    if search.status.get("phase") != "Complete":
        raise DemoError(str(search.status.get("message", "the search ended in an unknown way.")))
    return search


def _kubectl(cluster: DevCluster, *arguments: str) -> str:
    done = cluster.kubectl(*arguments, check=False)
    if done.returncode != 0:
        raise DemoError(f"`kubectl {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return str(done.stdout)


@contextlib.contextmanager
def _operator(cluster: DevCluster, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    kubeconfig = cluster.kubeconfig_for(OPERATOR_USER)
    # In a family, the operator cannot outlive the demo, even if that is killed.
    with ProcessFamily() as family, log.open("wb") as output:
        process = family.spawn(
            [sys.executable, "-m", "blockqnn_operator.shell.main"],
            output=output,
            environment=os.environ | {"KUBECONFIG": str(kubeconfig)},
        )
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)


def _check_running(operator: "subprocess.Popen[bytes]", log: Path) -> None:
    if operator.poll() is not None:
        last = log.read_text(errors="replace").splitlines()[-5:]
        raise DemoError(
            f"the operator ended with status {operator.returncode}; the end of its log is:\n"
            + "\n".join(last)
        )


def _say_how_to_look(console: Console, cluster: DevCluster) -> None:
    console.print("      to look at it from another terminal:")
    console.print(f"        export KUBECONFIG={cluster.kubeconfig}", soft_wrap=True)
    console.print(f"        alias kubectl={cluster.kubectl_program}", soft_wrap=True)
    console.print("        kubectl get blocksearch,jobs,pods; kubectl describe blocksearch")
    console.print(f"        kubectl logs job/{NAME}-t00000-a0")


if __name__ == "__main__":
    sys.exit(main())
