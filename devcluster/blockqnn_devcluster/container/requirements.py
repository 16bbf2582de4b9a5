"""Requirements of a container node, checked before anything is started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ..errors import UnsupportedMachineError
from . import cgroups

DEBIAN_PACKAGES = "containerd runc containernetworking-plugins iptables iproute2 busybox-static"
PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "iptables", "ip", "busybox")
PLUGINS = ("bridge", "host-local", "loopback", "portmap")
PLUGIN_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Folders of administrators' programs, which root's own PATH may lack."""

_PROBE = """
set -e
mount -t tmpfs tmpfs /run
mkdir /run/lower /run/upper /run/work /run/merged
mount -t overlay overlay -o lowerdir=/run/lower,upperdir=/run/upper,workdir=/run/work /run/merged
ip link add probe0 type veth peer name probe1
ip link add probe2 type bridge
iptables -w -t nat -A POSTROUTING -s 192.0.2.1 -m comment --comment probe -j MASQUERADE
"""
"""Trial of everything that the node does to its namespaces, in namespaces that end with it."""


def check_machine() -> None:
    """Raise `UnsupportedMachineError`, with what to do, where no container node can run here."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise UnsupportedMachineError("a container node needs Linux and root")
    missing = [name for name in PROGRAMS if shutil.which(name, path=SYSTEM_PATH) is None]
    if missing:
        raise UnsupportedMachineError(
            f"a container node needs {', '.join(missing)}; on Debian: "
            f"apt-get install {DEBIAN_PACKAGES}"
        )
    find_plugins()
    probe = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", _PROBE],
        env=system_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode != 0:
        raise UnsupportedMachineError(
            "this machine does not let root make what a container node needs (namespaces, an "
            f"overlay mount, interfaces, packet filter rules): {probe.stderr.strip()}"
        )
    cgroups.check()


def find_plugins() -> Path:
    """Return the directory of the CNI plugins; raise `UnsupportedMachineError` without one."""
    for directory in PLUGIN_DIRECTORIES:
        if all((directory / plugin).exists() for plugin in PLUGINS):
            return directory
    raise UnsupportedMachineError(
        f"a container node needs the CNI plugins {', '.join(PLUGINS)} in one of "
        f"{', '.join(map(str, PLUGIN_DIRECTORIES))}; on Debian: "
        "apt-get install containernetworking-plugins"
    )


def find_busybox() -> Path:
    """Return the path of a static busybox, which pods' pause containers run."""
    found = shutil.which("busybox", path=SYSTEM_PATH)
    if found is None:
        raise UnsupportedMachineError("a container node needs busybox (busybox-static on Debian)")
    return Path(found)


def system_environment() -> dict[str, str]:
    """Return this process' environment with a PATH on which administrators' programs are found."""
    return {**os.environ, "PATH": SYSTEM_PATH}
