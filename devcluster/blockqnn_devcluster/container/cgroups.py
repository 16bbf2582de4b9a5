"""The cgroups of a container node: one directory in each hierarchy, made and removed by us."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..errors import UnsupportedMachineError

NEEDED = frozenset({"cpu", "memory", "pids"})
"""Controllers without which a kubelet cannot hold a pod to its limits."""
_MOUNTS = Path("/proc/self/mountinfo")


def hierarchies(mountinfo: str) -> dict[Path, frozenset[str]]:
    """Return where each hierarchy is mounted, and the controllers that its mount names.

    Version 1 has one hierarchy for each controller or a few. Version 2 has one for all, whose mount
    names none; beside those of version 1 it has none, and yet the kubelet makes cgroups in it.
    """
    mounted: dict[Path, frozenset[str]] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4])
        kind, _, options = after.split()[:3]
        if kind == "cgroup":
            mounted[point] = frozenset(options.split(",")) - {"rw", "ro"}
        elif kind == "cgroup2":
            mounted[point] = frozenset()
    return mounted


def directories(cgroup: str) -> list[Path]:
    """Return the directory of a cgroup in each hierarchy of this machine."""
    return [point / cgroup.lstrip("/") for point in hierarchies(_MOUNTS.read_text())]


def create(cgroup: str) -> None:
    """Create the cgroup in each hierarchy."""
    for directory in directories(cgroup):
        directory.mkdir(exist_ok=True)


def remove(cgroup: str) -> None:
    """Remove the cgroup and those below it; no process may be left in them."""
    for top in directories(cgroup):
        # The files of a cgroup go with it and cannot be deleted.
        for directory, _, _ in os.walk(top, topdown=False):
            with suppress(FileNotFoundError):
                Path(directory).rmdir()


def check() -> None:
    """Raise `UnsupportedMachineError` where the machine has no usable cgroups."""
    mounted = hierarchies(_MOUNTS.read_text())
    controllers: set[str] = set().union(*mounted.values())
    for point, named in mounted.items():
        if not named:
            controllers |= set((point / "cgroup.subtree_control").read_text().split())
    if missing := NEEDED - controllers:
        raise UnsupportedMachineError(
            f"a container node needs the cgroup controllers {', '.join(sorted(missing))}, which "
            "this machine does not offer to processes at the root of its cgroups"
        )
    probe = f"blockqnn-probe-{os.getpid()}"
    try:
        create(probe)
    except OSError as error:
        raise UnsupportedMachineError(f"no cgroup can be made here: {error}") from None
    finally:
        remove(probe)
