"""The command line of each component of the control plane. Pure: paths and ports in, words out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .access import LOOPBACK
from .layout import ClusterDirectory

QPS = 500
"""Requests per second of controllers and scheduler. Their defaults (20 to 50) cap an operator that
runs on the cluster at 3.4 Jobs a second; with these, 53 were measured on two cores."""
BURST = 2 * QPS
JOB_WORKERS = 50
"""Jobs that the Job controller handles at once; its default, 5, is part of the same cap."""
AUDITED = "devcluster.blockqnn.dev:audited"
"""The API server records every request of a user in this group, and no others."""
NODE_GRACE = "5m0s"
"""Time that a silent node counts as healthy. The default, 50 s, evicts the pods of a machine whose
cores are all training."""


@dataclass(frozen=True)
class Ports:
    """Ports, on loopback but for the API server's, of one attempt to start the cluster."""

    etcd: int
    api_server: int
    controller_manager: int
    scheduler: int
    address: str = LOOPBACK
    """Address of the API server; with a container node, one that its pods reach."""

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return f"https://{self.address}:{self.api_server}"


def etcd(programs: Path, directory: ClusterDirectory, ports: Ports) -> list[str]:
    """Return the command of etcd."""
    certificates = directory.certificates
    url = f"https://{LOOPBACK}:{ports.etcd}"
    return [
        str(programs / "etcd"),
        f"--data-dir={directory.etcd}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        # A cluster of one: nobody joins, so any port will do, and the system chooses it.
        f"--listen-peer-urls=https://{LOOPBACK}:0",
        "--client-cert-auth",
        f"--trusted-ca-file={certificates}/authority.crt",
        f"--cert-file={certificates}/etcd.crt",
        f"--key-file={certificates}/etcd.key",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={certificates}/authority.crt",
        f"--peer-cert-file={certificates}/etcd.crt",
        f"--peer-key-file={certificates}/etcd.key",
        # The data is deleted with the cluster: there is no crash that it has to survive, and
        # waiting for the disk is most of the time of a write.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(programs: Path, directory: ClusterDirectory, ports: Ports) -> list[str]:
    """Return the command of kube-apiserver."""
    certificates = directory.certificates
    return [
        str(programs / "kube-apiserver"),
        f"--bind-address={ports.address}",
        f"--advertise-address={ports.address}",
        f"--secure-port={ports.api_server}",
        f"--etcd-servers=https://{LOOPBACK}:{ports.etcd}",
        f"--etcd-cafile={certificates}/authority.crt",
        f"--etcd-certfile={certificates}/etcd-client.crt",
        f"--etcd-keyfile={certificates}/etcd-client.key",
        f"--tls-cert-file={certificates}/kube-apiserver.crt",
        f"--tls-private-key-file={certificates}/kube-apiserver.key",
        f"--client-ca-file={certificates}/authority.crt",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--anonymous-auth=false",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={certificates}/service-account.pub",
        f"--service-account-signing-key-file={certificates}/service-account.key",
        "--service-cluster-ip-range=10.96.0.0/16",
        # A loopback address is not a valid endpoint: the server would complain for ever.
        f"--endpoint-reconciler-type={'none' if ports.address == LOOPBACK else 'lease'}",
        f"--kubelet-certificate-authority={certificates}/authority.crt",
        f"--kubelet-client-certificate={certificates}/kubelet-client.crt",
        f"--kubelet-client-key={certificates}/kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--audit-policy-file={directory.audit_policy}",
        f"--audit-log-path={directory.audit_log}",
        # By default a line may be written a moment after its request was answered.
        "--audit-log-mode=blocking",
        "--profiling=false",
    ]


def audit_policy() -> dict[str, Any]:
    """Return what is recorded: what the audited users asked for, and how it was answered."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [{"level": "Metadata", "userGroups": [AUDITED]}, {"level": "None"}],
    }


def controller_manager(programs: Path, directory: ClusterDirectory, ports: Ports) -> list[str]:
    """Return the command of kube-controller-manager."""
    certificates = directory.certificates
    config = directory.users / "kube-controller-manager.kubeconfig"
    return [
        str(programs / "kube-controller-manager"),
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.controller_manager}",
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--tls-cert-file={certificates}/kube-apiserver.crt",
        f"--tls-private-key-file={certificates}/kube-apiserver.key",
        f"--client-ca-file={certificates}/authority.crt",
        f"--root-ca-file={certificates}/authority.crt",
        f"--cluster-signing-cert-file={certificates}/authority.crt",
        f"--cluster-signing-key-file={certificates}/authority.key",
        f"--service-account-private-key-file={certificates}/service-account.key",
        "--use-service-account-credentials",
        "--leader-elect=false",
        f"--kube-api-qps={QPS}",
        f"--kube-api-burst={BURST}",
        f"--concurrent-job-syncs={JOB_WORKERS}",
        f"--node-monitor-grace-period={NODE_GRACE}",
        "--profiling=false",
    ]


def scheduler(programs: Path, directory: ClusterDirectory, ports: Ports) -> list[str]:
    """Return the command of kube-scheduler; its other settings are in `scheduler_configuration`."""
    certificates = directory.certificates
    config = directory.users / "kube-scheduler.kubeconfig"
    return [
        str(programs / "kube-scheduler"),
        f"--config={scheduler_configuration_path(directory)}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.scheduler}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--tls-cert-file={certificates}/kube-apiserver.crt",
        f"--tls-private-key-file={certificates}/kube-apiserver.key",
        f"--client-ca-file={certificates}/authority.crt",
    ]


def scheduler_configuration_path(directory: ClusterDirectory) -> Path:
    """Return where the scheduler's configuration file lies."""
    return directory.path / "scheduler.yaml"


def scheduler_configuration(directory: ClusterDirectory) -> dict[str, Any]:
    """Return the configuration of kube-scheduler: its request rate is not to be had as a flag."""
    config = directory.users / "kube-scheduler.kubeconfig"
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(config), "qps": QPS, "burst": BURST},
        "leaderElection": {"leaderElect": False},
        "enableProfiling": False,
    }
