"""The container node itself: what it enforces, and that nothing of it is left, whatever ends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blockqnn_devcluster import DevCluster
from blockqnn_devcluster.container.configuration import PAUSE_IMAGE
from blockqnn_devcluster.container.first_process import KERNEL_SETTINGS, MOUNT_POINTS
from blockqnn_devcluster.container.network import HOST_ADDRESS, HOST_INTERFACE, POD_RANGE
from blockqnn_devcluster.errors import StartError
from blockqnn_devcluster.nodes import NodeKind

pytestmark = pytest.mark.timeout(600)


def pod(name: str, script: str, **container: Any) -> dict[str, Any]:
    """A pod that runs a script of busybox, as the Pod Security Standard `restricted` asks."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": PAUSE_IMAGE,
                    "command": ["/bin/busybox", "sh", "-c", script],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    **container,
                }
            ],
        },
    }


def run_pod(cluster: DevCluster, manifest: dict[str, Any], until: str) -> dict[str, Any]:
    """Create a pod, wait for its phase, and return the state of its container."""
    name = manifest["metadata"]["name"]
    # A cluster is ready a moment before its controllers have made the account of its pods.
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s")
    cluster.kubectl("create", "-f", "-", input=json.dumps(manifest))
    cluster.kubectl("wait", f"pod/{name}", f"--for=jsonpath={{.status.phase}}={until}",
                    "--timeout=60s")  # fmt: skip
    read = json.loads(cluster.kubectl("get", "pod", name, "-o", "json").stdout)
    state: dict[str, Any] = read["status"]["containerStatuses"][0]["state"]
    return state


class TestPods:
    @pytest.fixture(scope="class")
    @classmethod
    def cluster(cls) -> Iterator[DevCluster]:
        with DevCluster.start(f"pods-{uuid.uuid4().hex[:6]}", node=NodeKind.CONTAINER) as cluster:
            yield cluster

    def test_a_container_is_held_to_its_user_and_cannot_write_its_image(self, cluster):
        script = "/bin/busybox id -u; /bin/busybox touch /x; echo $? > /dev/termination-log"
        state = run_pod(cluster, pod("confined", script), "Succeeded")
        assert state["terminated"]["message"] == "1\n"
        logs = cluster.kubectl("logs", "confined").stdout
        # The two streams come by pipes of their own, in any order.
        assert "65532" in logs.splitlines()
        assert "Read-only file system" in logs

    def test_a_container_that_takes_too_much_memory_is_killed_for_it(self, cluster):
        # The shell doubles a string until it has no room.
        script = "a=0123456789; while true; do a=$a$a; done"
        manifest = pod("greedy", script, resources={"limits": {"memory": "32Mi"}})
        state = run_pod(cluster, manifest, "Failed")["terminated"]
        assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)

    def test_a_pod_reaches_the_api_server_by_the_address_of_its_service(self, cluster):
        script = "/bin/busybox nc -w 5 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null"
        run_pod(cluster, pod("caller", script), "Succeeded")

    def test_there_is_room_for_one_on_a_machine(self, cluster):
        with pytest.raises(StartError, match="another container node runs on this machine"):
            DevCluster.start(f"second-{uuid.uuid4().hex[:6]}", node=NodeKind.CONTAINER)
        assert cluster.kubectl("get", "nodes", "-o", "name").stdout == "node/container-node\n"


def traces() -> dict[str, Any]:
    """Traces that a container node could leave on the machine."""

    def said(*command: str) -> list[str]:
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return sorted(out.splitlines())

    programs = ("kubelet", "kube-proxy", "containerd", "containerd-shim", "busybox")
    return {
        "cgroups": sorted(map(str, Path("/sys/fs/cgroup").rglob("blockqnn-*"))),
        "interfaces": [line for line in said("ip", "-br", "link") if HOST_INTERFACE in line],
        "routes": [r for r in said("ip", "route") if POD_RANGE in r or HOST_ADDRESS in r],
        "rules": [line for line in said("iptables-save") if "KUBE" in line or "CNI" in line],
        "mounts": [m for m in said("mount") if "kubelet" in m or "netns" in m or "containerd" in m],
        "paths": [str(p) for p in (*MOUNT_POINTS, Path("/opt/containerd")) if p.exists()],
        "settings": {s: (Path("/proc/sys") / s).read_text() for s in KERNEL_SETTINGS},
        "processes": [line for line in said("ps", "-eo", "comm") if line.startswith(programs)],
    }


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_of_a_node_whose_cluster_was_ended_by(number, eventually):
    before = traces()
    cluster = DevCluster.start(f"ended-{uuid.uuid4().hex[:6]}", node=NodeKind.CONTAINER)
    try:
        run_pod(cluster, pod("sleeper", "/bin/busybox sleep 1000"), "Running")
        assert traces() != before
        os.kill(json.loads((cluster.directory / "cluster.json").read_bytes())["pid"], number)
        eventually(lambda: traces() == before, within=20)
    finally:
        cluster.stop()
        # A killed process deletes nothing; the next `up` or `down` of the name would.
        shutil.rmtree(cluster.directory, ignore_errors=True)
