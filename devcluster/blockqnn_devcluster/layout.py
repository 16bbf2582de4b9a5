"""Paths: the cache of programs, and the state directory of each cluster."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError

DIRECTORY_VARIABLE = "BLOCKQNN_DEVCLUSTER_DIR"
"""The environment variable that tells a program which running cluster to use."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


def cache_home() -> Path:
    """Return the per-user directory of built programs, which may be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "blockqnn" / "devcluster"


def state_home() -> Path:
    """Return the per-user directory that holds one directory for each running cluster."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "blockqnn" / "devcluster"


def check_name(name: str) -> str:
    """Return a usable cluster name; raise `UsageError` for one that cannot name a directory."""
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"cluster name {name!r}: use 1 to 40 of a-z, 0-9 and '-', "
            "beginning and ending with a letter or a digit"
        )
    return name


@dataclass(frozen=True)
class ClusterDirectory:
    """The files of one cluster. Everything in it is the user's alone (mode 0700)."""

    path: Path

    @classmethod
    def named(cls, name: str) -> ClusterDirectory:
        """Return the directory of the cluster `name`, whether or not it exists."""
        return cls(state_home() / check_name(name))

    @property
    def lock(self) -> Path:
        """The lock lies beside the directory, so that deleting the directory keeps it."""
        return self.path.with_name(self.path.name + ".lock")

    @property
    def description(self) -> Path:
        """`cluster.json`, which exists exactly while the cluster is ready."""
        return self.path / "cluster.json"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.path / "kubeconfig"

    @property
    def users(self) -> Path:
        """Kubeconfigs of other users and of the cluster's own components."""
        return self.path / "users"

    @property
    def certificates(self) -> Path:
        """The cluster's own authority, certificates and keys."""
        return self.path / "certificates"

    @property
    def etcd(self) -> Path:
        """The data of etcd."""
        return self.path / "etcd"

    @property
    def logs(self) -> Path:
        """One log file for each component, and `pods/` with those of the containers."""
        return self.path / "logs"

    @property
    def audit_policy(self) -> Path:
        """Whose requests the API server records."""
        return self.path / "audit-policy.yaml"

    @property
    def audit_log(self) -> Path:
        """One line of JSON for each request of a user in the group `flags.AUDITED`."""
        return self.logs / "audit.jsonl"

    @property
    def resting(self) -> Path:
        """One file for each component that somebody asked to rest; it holds text once it does."""
        return self.path / "resting"

    @property
    def kubectl_cache(self) -> Path:
        """Discovery cache of kubectl: kept here because ports are used again by other clusters."""
        return self.path / "kubectl-cache"
