"""The configuration files of the container node's programs. Pure: data in, text out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..layout import ClusterDirectory
from .network import NODE_ADDRESS, POD_RANGE

NODE_NAME = "container-node"
NODE_USER = (f"system:node:{NODE_NAME}", ("system:nodes",))
PROXY_USER = ("system:kube-proxy", ())
PAUSE_IMAGE = "localhost/blockqnn-pause:1"
LEFT_FREE = "1Gi"
"""Room on the disk below which pods are evicted; the default, 15 %, is 75 GB of a disk of 500."""
CONTAINERD_OWN = "io.containerd.internal.v1.opt"
"""A plugin that makes /opt/containerd on the machine, which nothing here uses."""


@dataclass(frozen=True)
class NodeFiles:
    """Paths of the node's files, all below the cluster's directory."""

    layout: ClusterDirectory

    @property
    def path(self) -> Path:
        """The node's own directory."""
        return self.layout.path / "container-node"

    @property
    def connected(self) -> Path:
        """Exists once the machine has the address at which the API server listens."""
        return self.path / "connected"

    @property
    def socket(self) -> Path:
        """Socket of containerd."""
        return self.path / "containerd.sock"

    @property
    def cgroup(self) -> str:
        """The cgroup of all pods, below the root of each hierarchy."""
        return f"/blockqnn-{self.layout.path.name}"

    def file(self, name: str) -> Path:
        """Return the path of a file or directory in the node's directory."""
        return self.path / name


def containerd(files: NodeFiles, plugins: Path) -> str:
    """Return containerd's configuration; `plugins` is where the CNI plugins are installed."""
    # A JSON string is a TOML string.
    quoted = {
        name: json.dumps(str(value))
        for name, value in {
            "root": files.file("containerd"),
            "socket": files.socket,
            "plugins": plugins,
            "networks": files.file("networks"),
            "pause": PAUSE_IMAGE,
            "own": CONTAINERD_OWN,
        }.items()
    }
    return f"""\
version = 2
root = {quoted["root"]}
state = "/run/containerd"
disabled_plugins = [{quoted["own"]}]

[grpc]
  address = {quoted["socket"]}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {quoted["pause"]}
  # Without CAP_SYS_RESOURCE no container could be started otherwise.
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {quoted["plugins"]}
    conf_dir = {quoted["networks"]}

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def network(files: NodeFiles) -> str:
    """Return the CNI configuration: a bridge, and addresses handed out by this node itself."""
    return json.dumps(
        {
            "cniVersion": "0.4.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": "pods0",
                    "isGateway": True,
                    "hairpinMode": True,
                    "ipam": {
                        "type": "host-local",
                        "ranges": [[{"subnet": POD_RANGE}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                        "dataDir": str(files.file("addresses")),
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        },
        indent=2,
    )


def kubelet(files: NodeFiles) -> str:
    """Return the kubelet's configuration."""
    certificates = files.layout.certificates
    configuration: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{certificates}/authority.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{certificates}/node.crt",
        "tlsPrivateKeyFile": f"{certificates}/node.key",
        "containerRuntimeEndpoint": f"unix://{files.socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": files.cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDomain": "cluster.local",
        "resolvConf": str(files.file("resolv.conf")),
        "podLogsDir": str(files.layout.logs / "pods"),
        "volumePluginDir": str(files.file("volume-plugins")),
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": LEFT_FREE,
            "imagefs.available": LEFT_FREE,
        },
        # An image that is deleted could not be pulled again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }
    return yaml.safe_dump(configuration, sort_keys=False)


def kubelet_command(programs: Path, files: NodeFiles) -> list[str]:
    """Return the kubelet's command line."""
    return [
        str(programs / "kubelet"),
        f"--config={files.file('kubelet.yaml')}",
        f"--kubeconfig={files.file('kubelet.kubeconfig')}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_ADDRESS}",
    ]


def proxy(files: NodeFiles) -> str:
    """Return kube-proxy's configuration."""
    keep = {"maxPerCore": 0, "min": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s"}
    configuration: dict[str, Any] = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(files.file("kube-proxy.kubeconfig"))},
        "clusterCIDR": POD_RANGE,
        "hostnameOverride": NODE_NAME,
        # These belong to the whole machine.
        "conntrack": keep,
    }
    return yaml.safe_dump(configuration, sort_keys=False)
