"""Files of keys, certificates and kubeconfigs: who may talk to the cluster, and as whom."""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from .certificates import (
    Credential,
    create_authority,
    create_signing_key,
    issue_client,
    issue_server,
)
from .layout import ClusterDirectory

LOOPBACK = "127.0.0.1"
SERVICE_ADDRESS = "10.96.0.1"
"""The address of the `kubernetes` service: first of the range that the API server is given."""
ADMINISTRATOR = ("blockqnn-devcluster-administrator", ("system:masters",))
NODE_NAME = "process-node"
CONTAINER_NODE_HOST = "10.213.0.1"
"""The machine's address on the cable to a container node: the API server listens there."""
CONTAINER_NODE = "10.213.0.2"
"""The node's address on that cable."""
KUBELET_CLIENT = "kube-apiserver-kubelet-client"
"""The name under which the API server asks the node for logs; nobody else gets any."""

KUBELET_CLIENT_GROUPS = ("system:masters",)
"""A kubelet asks the API server whether that name may read logs; nobody bound a role to it."""


def kubeconfig(server: str, authority: bytes, user: str, credential: Credential) -> dict[str, Any]:
    """Return a kubeconfig that holds everything it needs in itself."""
    cluster = {"server": server, "certificate-authority-data": _base64(authority)}
    keys = {
        "client-certificate-data": _base64(credential.certificate),
        "client-key-data": _base64(credential.key),
    }
    context = {"cluster": "devcluster", "user": user, "namespace": "default"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "devcluster", "cluster": cluster}],
        "users": [{"name": user, "user": keys}],
        "contexts": [{"name": "devcluster", "context": context}],
        "current-context": "devcluster",
    }


def user_file_name(user: str, groups: Sequence[str]) -> str:
    """Return a file name for a user and groups: readable, and different for different ones."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", user).strip("-.")[:60]
    digest = hashlib.sha256("\0".join((user, *groups)).encode()).hexdigest()[:8]
    return f"{readable}-{digest}.kubeconfig"


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)


def create_certificates(directory: ClusterDirectory) -> None:
    """Create the authority and the certificates of the servers, for a new cluster."""
    now = _now()
    folder = directory.certificates
    authority = create_authority("blockqnn-devcluster", now)
    hosts = (
        LOOPBACK, CONTAINER_NODE_HOST, SERVICE_ADDRESS, "localhost", "kubernetes",
        "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
    )  # fmt: skip
    credentials = {
        "authority": authority,
        "kube-apiserver": issue_server(authority, "kube-apiserver", hosts, now),
        "etcd": issue_server(authority, "etcd", (LOOPBACK,), now),
        "node": issue_server(authority, "node", (LOOPBACK, CONTAINER_NODE), now),
        "etcd-client": issue_client(authority, "kube-apiserver-etcd-client", (), now),
        "kubelet-client": issue_client(authority, KUBELET_CLIENT, KUBELET_CLIENT_GROUPS, now),
        "node-client": issue_client(authority, f"system:node:{NODE_NAME}", ("system:nodes",), now),
        "administrator": issue_client(authority, *ADMINISTRATOR, now),
    }
    for name, credential in credentials.items():
        write_private(folder / f"{name}.crt", credential.certificate)
        write_private(folder / f"{name}.key", credential.key)
    private, public = create_signing_key()
    write_private(folder / "service-account.key", private)
    write_private(folder / "service-account.pub", public)


def write_kubeconfig(
    directory: ClusterDirectory, path: Path, server: str, user: str, groups: Iterable[str]
) -> None:
    """Issue a certificate for the user and write the kubeconfig that uses it."""
    folder = directory.certificates
    authority = Credential(
        (folder / "authority.crt").read_bytes(), (folder / "authority.key").read_bytes()
    )
    credential = issue_client(authority, user, groups, _now())
    config = kubeconfig(server, authority.certificate, user, credential)
    write_private(path, yaml.safe_dump(config, sort_keys=False).encode())


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
