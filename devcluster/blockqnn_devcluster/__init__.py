"""A real Kubernetes on one machine: etcd, control plane and a node, as plain processes.

For the demo and the tests. `python -m blockqnn_devcluster --help` shows the verbs.
"""

from .cluster import DevCluster
from .errors import DevClusterError

__all__ = ["DevCluster", "DevClusterError"]
