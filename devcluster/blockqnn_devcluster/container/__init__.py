"""The container node: containerd, a kubelet and kube-proxy in namespaces of their own.

Everything of it lives in one PID, one mount and one network namespace. When the first process of
these ends, the kernel ends all others, and with them go mounts, interfaces, routes and packet
filter rules: a node that was killed leaves what one that was stopped leaves.
"""
