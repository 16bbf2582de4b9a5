"""Pods that this node can run. Pure.

Every field is honoured, or harmless, or announced as not enforced, or a reason to refuse the pod.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

UNSUPPORTED = "Unsupported"
"""The reason of a pod that failed because this node cannot honour one of its fields."""

NOT_ENFORCED_ANNOTATION = "devcluster.blockqnn.dev/not-enforced"
NOT_ENFORCED = (
    "image and imagePullPolicy (no image is used: containers run the machine's own programs)",
    "securityContext (containers run as the user who started the cluster)",
    "resources (requests and limits count for scheduling only)",
    "readOnly of mounts",
    "sizeLimit and medium of emptyDir volumes",
    "hostname (it sets the variable HOSTNAME and nothing else)",
    "ports, dnsPolicy and enableServiceLinks (containers share the machine's network)",
)
"""Fields that are accepted, because production pods carry them, but not provided here."""

TEMPORARY = "/tmp"
SHARED_MEMORY = "/dev/shm"
DEFAULT_MESSAGE_PATH = "/dev/termination-log"

# Honoured by this node, or by the control plane before the pod gets here.
_POD_FIELDS = {
    "activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "containers",
    "initContainers", "nodeName", "nodeSelector", "overhead", "preemptionPolicy", "priority",
    "priorityClassName", "restartPolicy", "schedulerName", "schedulingGates",
    "serviceAccount", "serviceAccountName", "terminationGracePeriodSeconds", "tolerations",
    "topologySpreadConstraints", "volumes",
}  # fmt: skip
# Accepted without effect; each is named by NOT_ENFORCED, or says nothing to a node without images.
_POD_FIELDS_WITHOUT_EFFECT = {
    "dnsPolicy", "enableServiceLinks", "hostname", "imagePullSecrets", "securityContext",
}  # fmt: skip
_CONTAINER_FIELDS = {
    "args", "command", "env", "name", "terminationMessagePath", "terminationMessagePolicy",
    "volumeMounts", "workingDir",
}  # fmt: skip
_CONTAINER_FIELDS_WITHOUT_EFFECT = {
    "image", "imagePullPolicy", "ports", "resizePolicy", "resources", "securityContext",
}  # fmt: skip
_MOUNT_FIELDS = {"mountPath", "name", "readOnly"}
_FIELD_PATHS = {
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
    "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
}  # fmt: skip

Object = dict[str, Any]


def problems(spec: Object) -> list[str]:
    """Return one sentence for each field of the pod's spec that this node cannot honour."""
    return list(_pod_problems(spec))


def _pod_problems(spec: Object) -> Iterator[str]:
    known_fields = _POD_FIELDS | _POD_FIELDS_WITHOUT_EFFECT
    yield from _unknown_fields(spec, known_fields, "spec")
    mounts = _mounts_by_volume(spec)
    for index, volume in enumerate(spec.get("volumes") or []):
        paths = mounts.get(volume["name"], [])
        yield from _volume_problems(volume, paths, f"spec.volumes[{index}]")
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or []):
            yield from _container_problems(container, f"spec.{kind}[{index}]")


def _mounts_by_volume(spec: Object) -> dict[str, list[str]]:
    paths_by_volume: dict[str, list[str]] = {}
    for kind in ("initContainers", "containers"):
        for container in spec.get(kind) or []:
            for mount in container.get("volumeMounts") or []:
                paths_by_volume.setdefault(mount["name"], []).append(mount["mountPath"])
    return paths_by_volume


def _volume_problems(volume: Object, mounted_at: list[str], where: str) -> Iterator[str]:
    kinds = sorted(key for key, value in volume.items() if key != "name" and value is not None)
    where = f"{where} ({volume['name']})"
    if kinds == ["hostPath"]:
        path = volume["hostPath"]["path"]
        for mount in mounted_at:
            if _plain(mount) != _plain(path):
                yield (
                    f"{where}.hostPath: mounted at {mount}, but a process sees the machine's own "
                    f"files, so that mountPath must equal its path, {path}"
                )
    elif kinds == ["emptyDir"]:
        for mount in mounted_at:
            if _plain(mount) not in (TEMPORARY, SHARED_MEMORY):
                yield (
                    f"{where}.emptyDir: mounted at {mount}, but only {TEMPORARY} (as TMPDIR) and "
                    f"{SHARED_MEMORY} are supported"
                )
    elif kinds == ["projected"] and _is_token(volume["projected"]):
        yield (
            f"{where}.projected: a service account token cannot be mounted: "
            "set spec.automountServiceAccountToken: false"
        )
    else:
        kind = ", ".join(kinds) or "of no type"
        yield f"{where}.{kind}: only hostPath and emptyDir volumes are supported"


def _plain(path: str) -> str:
    return path.rstrip("/") or "/"


def _is_token(projected: Object) -> bool:
    return any("serviceAccountToken" in source for source in projected.get("sources") or [])


def _container_problems(container: Object, where: str) -> Iterator[str]:
    where = f"{where} ({container['name']})"
    known_fields = _CONTAINER_FIELDS | _CONTAINER_FIELDS_WITHOUT_EFFECT
    yield from _unknown_fields(container, known_fields, where)
    if not container.get("command"):
        yield f"{where}.command: missing, and there is no image to take one from"
    path = container.get("terminationMessagePath") or DEFAULT_MESSAGE_PATH
    if path != DEFAULT_MESSAGE_PATH:
        yield (
            f"{where}.terminationMessagePath: only {DEFAULT_MESSAGE_PATH} is supported; the "
            "process "
            "finds the file that stands for it in the variable TERMINATION_MESSAGE_PATH"
        )
    for index, mount in enumerate(container.get("volumeMounts") or []):
        yield from _unknown_fields(mount, _MOUNT_FIELDS, f"{where}.volumeMounts[{index}]")
    for index, variable in enumerate(container.get("env") or []):
        yield from _variable_problems(variable, f"{where}.env[{index}] ({variable['name']})")


def _variable_problems(variable: Object, where: str) -> Iterator[str]:
    source = variable.get("valueFrom")
    if not source:
        return
    reference = source.get("fieldRef")
    if reference is None:
        yield f"{where}.valueFrom.{next(iter(source))}: only fieldRef is supported"
        return
    path = reference["fieldPath"]
    subscripted = path.startswith(("metadata.labels['", "metadata.annotations['"))
    if path not in _FIELD_PATHS and not (subscripted and path.endswith("']")):
        yield f"{where}.valueFrom.fieldRef.fieldPath: {path} is not supported"


def _unknown_fields(holder: Object, known_fields: set[str], where: str) -> Iterator[str]:
    for field, value in holder.items():
        # An empty value asks for nothing: `hostNetwork: false`, `securityContext: {}`.
        if field not in known_fields and value not in (None, False, [], {}, ""):
            yield f"{where}.{field}: cannot be honoured by the process node"
