"""A cluster leaves nothing behind, whatever ends it, and stands beside others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from blockqnn_devcluster import DevCluster
from blockqnn_devcluster.build import programs_directory
from blockqnn_devcluster.errors import DevClusterError
from blockqnn_devcluster.layout import DIRECTORY_VARIABLE, ClusterDirectory

Eventually = Callable[..., Any]
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not Path("/proc/self/stat").exists(),
        reason="looks for processes in /proc, which is Linux's",
    ),
]
MODULE = [sys.executable, "-m", "blockqnn_devcluster"]

SLEEPER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "sleeper"},
    "spec": {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": "main",
                "image": "none",
                # A shell that ignores SIGTERM, and a child of its own.
                "command": ["sh", "-c", "trap '' TERM; sleep 600 & sleep 600"],
            }
        ],
    },
}


@pytest.fixture
def name() -> str:
    return f"life-{uuid.uuid4().hex[:8]}"


@pytest.fixture(autouse=True)
def _no_cluster_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)


def _hear_signals() -> None:
    """Undo what a background job or nohup passes on: signals that are ignored from the start."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def running_up(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Start `up` and wait for its ready line; whatever happens, it is gone at the end."""
    process = subprocess.Popen(
        [*MODULE, "up", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_hear_signals,
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("ready:"):
                break
        else:
            pytest.fail("up ended before it was ready:\n" + "".join(lines))
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate()


def verb(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MODULE, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def processes() -> dict[int, tuple[int, str]]:
    """Return the parent and the command of each process that runs; zombies do not run."""
    processes = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # The name, in parentheses, may itself hold spaces and parentheses.
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (entry / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            processes[int(entry.name)] = int(parent), command
    return processes


def family_of(ancestor: int) -> set[int]:
    """Return the process and all its descendants."""
    table = processes()
    descendants = {ancestor}
    while True:
        more = {pid for pid, (parent, _) in table.items() if parent in descendants} - descendants
        if not more:
            return descendants
        descendants |= more


def remaining(family: set[int]) -> set[int]:
    return family & set(processes())


def attach(name: str) -> DevCluster:
    return DevCluster.attach(ClusterDirectory.named(name).path)


def process_named(family: set[int], program: str) -> int:
    commands = {pid: command for pid, (_, command) in processes().items() if pid in family}
    return next(pid for pid, command in commands.items() if program in command)


def start_sleeper(cluster: DevCluster, eventually: Eventually) -> int:
    cluster.kubectl("create", "-f", "-", input=json.dumps(SLEEPER))
    running = eventually(
        lambda: (
            cluster.kubectl(
                "get", "pod", "sleeper", "-o", "jsonpath={.status.containerStatuses[0].containerID}"
            ).stdout
        )
    )
    return int(running.removeprefix("process://"))


def test_clusters_stand_side_by_side_and_end_by_interrupt_and_by_down(
    name: str, eventually: Eventually
) -> None:
    other = f"{name}-b"
    with running_up("--name", name) as first, running_up("--name", other, "--no-node") as second:
        families = family_of(first.pid) | family_of(second.pid)
        assert len(families) > 10
        clusters = attach(name), attach(other)
        assert clusters[0].server != clusters[1].server

        refused = verb("up", "--name", name)
        assert refused.returncode == 1
        assert f"error: cluster '{name}' is running already" in refused.stderr

        status = verb("status")
        assert status.returncode == 0
        assert f"{name}: ready at {clusters[0].server}, node process-node" in status.stdout
        assert f"{other}: ready at {clusters[1].server}, node none" in status.stdout

        assert verb("down", "--name", other).returncode == 0
        assert second.wait(timeout=5) == 0
        assert verb("kubectl", "--name", name, "get", "node", "process-node").returncode == 0
        assert not clusters[1].directory.exists()

        first.send_signal(signal.SIGINT)
        assert first.wait(timeout=20) == 0
        eventually(lambda: not remaining(families))
        assert not clusters[0].directory.exists()
    again = verb("down", "--name", name)
    assert again.returncode == 1
    assert f"no cluster '{name}' is running" in again.stderr


def test_nothing_outlives_a_killed_node_or_a_killed_cluster(
    name: str, eventually: Eventually
) -> None:
    with running_up("--name", name) as up:
        cluster = attach(name)
        container = start_sleeper(cluster, eventually)
        pod = family_of(container)
        assert len(pod) == 3
        node = process_named(family_of(up.pid), "blockqnn_devcluster.node")
        os.kill(node, signal.SIGKILL)
        eventually(lambda: not remaining(pod))
        reason = eventually(
            lambda: (
                cluster.kubectl(
                    "get", "pod", "sleeper", "-o", "jsonpath={.status.phase} {.status.reason}"
                ).stdout
                == "Failed NodeRestarted"
            )
        )
        assert reason
        cluster.kubectl("delete", "pod", "sleeper", "--wait")

        everything = family_of(start_sleeper(cluster, eventually)) | family_of(up.pid)
        up.kill()
        eventually(lambda: not remaining(everything), within=5)
    # The name is free at once, and what the killed cluster left is no obstacle.
    with running_up("--name", name, "--no-node") as up:
        assert attach(name).kubectl("get", "pods").stdout == ""
        everything = family_of(up.pid)
        up.send_signal(signal.SIGHUP)
        assert up.wait(timeout=20) == 0
        eventually(lambda: not remaining(everything))
    assert not ClusterDirectory.named(name).path.exists()


def test_a_cluster_ends_with_the_program_that_started_it(name: str, eventually: Eventually) -> None:
    program = (
        "import sys; from blockqnn_devcluster import DevCluster\n"
        "cluster = DevCluster.start(sys.argv[1], node=False)\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as started:  # fmt: skip
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        everything = family_of(started.pid)
        assert len(everything) > 5
        started.kill()
    eventually(lambda: not remaining(everything))
    eventually(lambda: not ClusterDirectory.named(name).path.exists())


def test_run_gives_the_command_a_cluster_and_returns_its_status(name: str) -> None:
    script = (
        f'test -n "$KUBECONFIG" && {sys.executable} -m blockqnn_devcluster kubectl '
        "get namespace default -o name && exit 7"
    )
    done = verb("run", "--name", name, "--no-node", "--", "sh", "-c", script)
    assert done.returncode == 7, done.stderr
    assert done.stdout == "namespace/default\n"
    assert not ClusterDirectory.named(name).path.exists()


def test_a_cluster_ends_with_a_clear_error_when_a_component_dies(
    name: str, eventually: Eventually
) -> None:
    with running_up("--name", name, "--no-node") as up:
        everything = family_of(up.pid)
        os.kill(process_named(everything, "/etcd "), signal.SIGKILL)
        output, _ = up.communicate(timeout=20)
        assert up.returncode == 1
        assert "error: etcd ended by itself with status -9" in output
        assert "Traceback" not in output
        eventually(lambda: not remaining(everything))


def test_a_component_that_dies_at_start_is_named_with_the_end_of_its_log(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    programs = programs_directory()
    programs.mkdir(parents=True)
    for program in ("etcd", "kube-apiserver"):
        fake = programs / program
        fake.write_text("#!/bin/sh\necho this is $0 and it is broken\nexit 3\n")
        fake.chmod(0o755)
    done = verb("up", "--name", name)
    assert done.returncode == 1
    assert "ended with status 3 while the cluster started" in done.stderr
    assert "and it is broken" in done.stderr
    assert "Traceback" not in done.stderr
    assert not ClusterDirectory.named(name).path.exists()


def test_a_part_of_the_control_plane_rests_when_asked_and_comes_back_with_its_data(
    name: str, eventually: Eventually
) -> None:
    with DevCluster.start(name, node=False) as cluster:
        cluster.kubectl("create", "namespace", "kept")
        for component in ("kube-apiserver", "etcd"):
            cluster.rest(component)
            asked = ("get", "namespace", "kept", "--request-timeout=2s")
            assert cluster.kubectl(*asked, check=False).returncode != 0
            cluster.resume(component)
            eventually(lambda: cluster.kubectl(*asked, check=False).returncode == 0)  # noqa: B023
        with pytest.raises(DevClusterError, match="'kubelet' cannot be stopped alone"):
            cluster.rest("kubelet")
