"""Simulated nodes: KWOK plays the kubelets of many nodes, and no process runs for any pod.

For measurements at scale. What becomes of a pod is what a stage says: data that KWOK writes into
its status. Without a stage of the caller's, pods start and then run for ever.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from .build import ensure_programs
from .cluster import DevCluster, to_stderr
from .errors import StartError
from .processes import ProcessFamily
from .programs import KWOK

READY_WITHIN = 60.0
"""Seconds for the nodes to become ready; about one is usual."""
LEASE_SECONDS = 40
"""Seconds for which a node's lease is valid, as a kubelet's: KWOK renews it in time."""
STAGES_AT_ONCE = 64
"""Pods that KWOK changes at a time; its default, 4, would be the bottleneck of any measurement.
"""
NODE_ANNOTATION = "kwok.x-k8s.io/node"

Stage = dict[str, Any]

NODE_STAGES = """
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: node-initialize}
spec:
  resourceRef: {apiGroup: v1, kind: Node}
  selector:
    matchExpressions:
    - {key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: NotIn, values: ["True"]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      {{ range NodeConditions }}
      - lastHeartbeatTime: {{ $now | Quote }}
        lastTransitionTime: {{ $now | Quote }}
        message: {{ .message | Quote }}
        reason: {{ .reason | Quote }}
        status: {{ .status | Quote }}
        type: {{ .type | Quote }}
      {{ end }}
      allocatable: {cpu: 1k, memory: 1Ti, pods: 100k}
      capacity: {cpu: 1k, memory: 1Ti, pods: 100k}
"""  # noqa: E501

POD_STAGES = """
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-ready}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .status.phase, operator: In, values: [Pending]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      {{ range $type := list "Initialized" "Ready" "ContainersReady" }}
      - {lastTransitionTime: {{ $now | Quote }}, status: "True", type: {{ $type }}}
      {{ end }}
      containerStatuses:
      {{ range .spec.containers }}
      - image: {{ .image | Quote }}
        name: {{ .name | Quote }}
        ready: true
        restartCount: 0
        state: {running: {startedAt: {{ $now | Quote }}}}
      {{ end }}
      phase: Running
      startTime: {{ $now | Quote }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-delete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: Exists}
    # One that has ended needs no kubelet to go.
    - {key: .status.phase, operator: NotIn, values: [Succeeded, Failed]}
  next: {delete: true}
"""


class SimulatedNodes:
    """Nodes that KWOK plays in a running cluster, while the context lasts.

    Args:
        cluster: the cluster, best one without a node of its own.
        count: how many nodes.
        stages: what becomes of pods that run, as KWOK's Stage objects.
    """

    def __init__(self, cluster: DevCluster, count: int, stages: Sequence[Stage] = ()) -> None:
        self._cluster, self._count, self._stages = cluster, count, stages
        self._family: ProcessFamily | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        program = ensure_programs(to_stderr, KWOK) / "kwok"
        configuration = self._cluster.directory / "kwok.yaml"
        configuration.write_text(kwok_configuration(self._stages))
        nodes = [node_manifest(number) for number in range(self._count)]
        self._cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(nodes))
        self._family = ProcessFamily()
        try:
            self._start(program, configuration)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._family is not None:
            self._family.close()
        if self._process is not None:
            self._process.wait()

    def _start(self, program: Path, configuration: Path) -> None:
        log = self._cluster.logs / "kwok.log"
        command = [
            str(program), f"--config={configuration}", f"--kubeconfig={self._cluster.kubeconfig}",
            f"--manage-nodes-with-annotation-selector={NODE_ANNOTATION}=fake",
            f"--node-lease-duration-seconds={LEASE_SECONDS}",
        ]  # fmt: skip
        assert self._family is not None
        with log.open("ab") as output:
            process = self._family.spawn(command, output=output, environment=dict(os.environ))
        self._process = process
        deadline = time.monotonic() + READY_WITHIN
        path = '-o=jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
        while True:
            ready = self._cluster.kubectl("get", "nodes", path).stdout.split()
            if ready.count("True") >= self._count:
                return
            if process.poll() is not None or time.monotonic() > deadline:
                last = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
                raise StartError(f"the simulated nodes did not become ready; KWOK says:\n{last}")
            time.sleep(0.1)


def kwok_configuration(stages: Sequence[Stage]) -> str:
    """Return KWOK's configuration file: its options, then every stage."""
    options = {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {
            "podPlayStageParallelism": STAGES_AT_ONCE,
            "nodePlayStageParallelism": STAGES_AT_ONCE,
            "nodeLeaseParallelism": 4,
        },
    }
    every = [options, *yaml.safe_load_all(NODE_STAGES), *yaml.safe_load_all(POD_STAGES), *stages]
    return str(yaml.safe_dump_all(every))


def node_manifest(number: int) -> dict[str, Any]:
    """Return a node for KWOK to play."""
    name = f"simulated-{number}"
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {NODE_ANNOTATION: "fake"},
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
        },
    }
