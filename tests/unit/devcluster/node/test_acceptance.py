"""Which pods the process node accepts, and what it says of those it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from blockqnn_devcluster.node.acceptance import problems


def spec(container: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "none", "command": ["true"], **(container or {})}
    return {"containers": [main], "restartPolicy": "Never", **fields}


def mounted(path: str, volume: dict[str, Any]) -> dict[str, Any]:
    mounts = [{"name": "v", "mountPath": path, "readOnly": True}]
    return spec({"volumeMounts": mounts}, volumes=[{"name": "v", **volume}])


ACCEPTED = {
    "a hardened production container": spec(
        {
            "securityContext": {"runAsNonRoot": True, "readOnlyRootFilesystem": True},
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
            "ports": [{"containerPort": 8000}],
            "imagePullPolicy": "Always",
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "FallbackToLogsOnError",
        },
        securityContext={"fsGroup": 1},
        tolerations=[{"operator": "Exists"}],
        nodeSelector={"a": "b"},
        priorityClassName="low",
        enableServiceLinks=True,
        dnsPolicy="ClusterFirst",
    ),
    "a host path where it lies": mounted("/data/", {"hostPath": {"path": "/data"}}),
    "a temporary directory": mounted("/tmp", {"emptyDir": {}}),
    "shared memory": mounted("/dev/shm", {"emptyDir": {"medium": "Memory"}}),
    "fields that ask for nothing": spec(hostNetwork=False, hostAliases=[], hostname=""),
    "fields of the pod in the environment": spec(
        {
            "env": [
                {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": path}}}
                for path in ("metadata.name", "metadata.labels['x/y']", "status.podIP")
            ]
        }
    ),
}

REFUSED = [
    (spec({"command": None}), "(main).command: missing"),
    (spec({"livenessProbe": {}, "readinessProbe": {"exec": {}}}), "(main).readinessProbe"),
    (spec({"lifecycle": {"preStop": {}}}), "(main).lifecycle"),
    (spec({"restartPolicy": "Always"}), "(main).restartPolicy"),
    (spec({"envFrom": [{}]}), "(main).envFrom"),
    (spec({"tty": True}), "(main).tty"),
    (spec({"terminationMessagePath": "/x"}), "TERMINATION_MESSAGE_PATH"),
    (spec(hostNetwork=True), "spec.hostNetwork: cannot be honoured"),
    (spec(hostPID=True), "spec.hostPID"),
    (spec(runtimeClassName="x"), "spec.runtimeClassName"),
    (spec(resourceClaims=[{"name": "x"}]), "spec.resourceClaims"),
    (spec(aFieldOfTheFuture=1), "spec.aFieldOfTheFuture"),
    (mounted("/other", {"hostPath": {"path": "/data"}}), "mountPath must equal its path, /data"),
    (mounted("/cache", {"emptyDir": {}}), "(v).emptyDir: mounted at /cache"),
    (mounted("/x", {"persistentVolumeClaim": {"claimName": "c"}}), "(v).persistentVolumeClaim"),
    (
        mounted("/x", {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}),
        "set spec.automountServiceAccountToken: false",
    ),
    (
        spec({"volumeMounts": [{"name": "v", "mountPath": "/tmp", "subPath": "x"}]}),
        "(main).volumeMounts[0].subPath",
    ),
    (
        spec({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]}),
        "(main).env[0] (A).valueFrom.secretKeyRef",
    ),
    (
        spec({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]}),
        "fieldPath: spec.x",
    ),
    (
        {**spec(), "initContainers": [{"name": "i", "command": ["a"], "startupProbe": {"x": 1}}]},
        "spec.initContainers[0] (i).startupProbe",
    ),
]


@pytest.mark.parametrize("pod", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts(pod: dict[str, Any]) -> None:
    assert problems(pod) == []


@pytest.mark.parametrize(("pod", "sentence"), REFUSED, ids=[s for _, s in REFUSED])
def test_refuses_and_names_the_field(pod: dict[str, Any], sentence: str) -> None:
    [problem] = problems(pod)
    assert sentence in problem


def test_every_problem_is_named_at_once() -> None:
    assert len(problems(spec({"tty": True, "command": []}, hostIPC=True))) == 3
