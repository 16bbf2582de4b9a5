"""The Node object and its heartbeats."""

from __future__ import annotations

import asyncio
import datetime
import logging
import os
import platform
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from ..programs import KUBERNETES_VERSION
from .acceptance import NOT_ENFORCED, NOT_ENFORCED_ANNOTATION
from .api import Api, ApiError, Object
from .environment import ADDRESS
from .pod_status import timestamp

MAXIMUM_PODS = 110
"""The default of a kubelet."""
LEASE_LASTS = 40
LEASE_RENEWED = 10.0
STATUS_RENEWED = 60.0
"""Seconds. Those of a kubelet, but for the status, which is cheap on one machine."""
RETRY = 0.1
"""Seconds before a failed registration is tried again: the API server may just be starting."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Machine:
    """Resources that the node announces."""

    name: str
    cpus: int
    memory_kib: int
    storage_kib: int
    log_port: int


def measure(name: str, cpus: int | None, log_port: int, directory: Path) -> Machine:
    """Measure this machine; `cpus` overrides what is found."""
    if hasattr(os, "sched_getaffinity"):
        found = len(os.sched_getaffinity(0))
    else:
        found = os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    storage = shutil.disk_usage(directory).free
    return Machine(name, cpus or found, memory // 1024, storage // 1024, log_port)


def node_object(machine: Machine, now: datetime.datetime) -> Object:
    """Return the Node to register."""
    labels = {
        "kubernetes.io/hostname": machine.name,
        "kubernetes.io/os": sys.platform,
        "kubernetes.io/arch": _architecture(),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": machine.name,
            "labels": labels,
            "annotations": {NOT_ENFORCED_ANNOTATION: "; ".join(NOT_ENFORCED)},
        },
        "status": node_status(machine, now),
    }


def node_status(machine: Machine, now: datetime.datetime) -> Object:
    """Return the status of the Node, a heartbeat among it."""
    resources = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory_kib}Ki",
        "ephemeral-storage": f"{machine.storage_kib}Ki",
        "pods": str(MAXIMUM_PODS),
    }
    return {
        "capacity": resources,
        "allocatable": resources,
        "addresses": [
            {"type": "InternalIP", "address": ADDRESS},
            {"type": "Hostname", "address": machine.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": machine.log_port}},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "ProcessNodeReady",
                "message": "the process node takes pods",
                "lastHeartbeatTime": timestamp(now),
            }
        ],
        "nodeInfo": {
            "architecture": _architecture(),
            "operatingSystem": sys.platform,
            "kernelVersion": platform.release(),
            "osImage": platform.system(),
            "kubeletVersion": f"v{KUBERNETES_VERSION}",
            "kubeProxyVersion": "",
            "containerRuntimeVersion": "process://1",
            "machineID": socket.gethostname(),
            "systemUUID": "",
            "bootID": "",
        },
    }


def lease(name: str, now: datetime.datetime) -> Object:
    """Return the Lease that says that the node lives."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_LASTS,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }


async def register(api: Api, machine: Machine) -> None:
    """Create or renew the Node object, however long the API server takes to answer."""
    while True:
        try:
            await _write_node(api, machine)
            await _write_lease(api, machine.name)
        except ApiError as error:
            # Forbidden, too: the rights of nodes are among the first things the server creates.
            logger.info("registering: %s", error)
            await asyncio.sleep(RETRY)
        else:
            return


async def keep_alive(api: Api, machine: Machine) -> None:
    """Renew the lease, and less often the status, for ever."""
    loop = asyncio.get_running_loop()
    status_at = loop.time() + STATUS_RENEWED
    while True:
        await asyncio.sleep(LEASE_RENEWED)
        try:
            await _write_lease(api, machine.name)
            if loop.time() >= status_at:
                await _write_node(api, machine)
                status_at = loop.time() + STATUS_RENEWED
        except ApiError as error:
            logger.warning("heartbeat: %s", error)


async def _write_node(api: Api, machine: Machine) -> None:
    node = node_object(machine, _now())
    path = f"/api/v1/nodes/{machine.name}"
    try:
        await api.patch(f"{path}/status", {"status": node["status"]})
    except ApiError as error:
        if error.status != 404:
            raise
        condition = node["status"]["conditions"][0]
        condition["lastTransitionTime"] = condition["lastHeartbeatTime"]
        await api.create("/api/v1/nodes", node)


async def _write_lease(api: Api, name: str) -> None:
    body = lease(name, _now())
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    try:
        await api.patch(f"{path}/{name}", {"spec": body["spec"]})
    except ApiError as error:
        if error.status != 404:
            raise
        await api.create(path, body)


def _architecture() -> str:
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
