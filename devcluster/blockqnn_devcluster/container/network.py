"""Addresses of the container node, and the commands that connect it to the machine. Pure."""

from __future__ import annotations

from ..access import CONTAINER_NODE, CONTAINER_NODE_HOST

HOST_ADDRESS = CONTAINER_NODE_HOST
NODE_ADDRESS = CONTAINER_NODE
PREFIX = 30
POD_RANGE = "10.213.1.0/24"
HOST_INTERFACE = "blockqnn-node"
"""One name, so that there is one container node on a machine: its addresses are fixed as well."""
NODE_INTERFACE = "eth0"

Command = list[str]


def cable(node_process: int) -> Command:
    """Return what creates both ends of the cable, the node's in its network namespace."""
    return [
        "ip", "link", "add", HOST_INTERFACE, "type", "veth",
        "peer", "name", NODE_INTERFACE, "netns", str(node_process),
    ]  # fmt: skip


def host_setup() -> list[Command]:
    """Return what gives the machine its address and its way to the pods."""
    return [
        ["ip", "address", "add", f"{HOST_ADDRESS}/{PREFIX}", "dev", HOST_INTERFACE],
        ["ip", "link", "set", HOST_INTERFACE, "up"],
        ["ip", "route", "add", POD_RANGE, "via", NODE_ADDRESS, "dev", HOST_INTERFACE],
    ]


def node_setup() -> list[Command]:
    """Return what the node does on its side, in its namespace.

    There is no way on from the machine: pods reach one another and the API server, nothing else.
    """
    return [
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", f"{NODE_ADDRESS}/{PREFIX}", "dev", NODE_INTERFACE],
        ["ip", "link", "set", NODE_INTERFACE, "up"],
        # kube-proxy's rules see only packets that a route exists for.
        ["ip", "route", "add", "default", "via", HOST_ADDRESS],
    ]


SYSTEM_CONTROLS = {
    "net/ipv4/ip_forward": "1",
    # A pod that talks to a service of its own node passes the bridge only.
    "net/bridge/bridge-nf-call-iptables": "1",
}
"""Settings of the node's own network namespace."""
