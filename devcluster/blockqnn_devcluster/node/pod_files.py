"""The files of one pod: its logs, and its scratch directory."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .acceptance import TEMPORARY
from .environment import Places


class MountError(Exception):
    """A volume cannot be had as the pod wants it."""


class PodFiles:
    """Folders in which the containers of one pod run, write and log.

    The scratch directory has a short path, because programs make sockets in TMPDIR and a socket's
    path is limited to about 100 bytes. It goes when the pod's processes are gone; the logs go when
    the pod is deleted.
    """

    def __init__(self, pod: Mapping[str, Any], logs: Path, scratch: Path, programs: Path) -> None:
        metadata = pod["metadata"]
        self._logs = logs / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"
        self._scratch = scratch
        self._programs = programs
        volumes = pod["spec"].get("volumes") or []
        self._empty = {volume["name"] for volume in volumes if "emptyDir" in volume}

    @property
    def temporary(self) -> Path:
        """Folder in place of the pod's /tmp."""
        return self._scratch / "tmp"

    @property
    def working_directory(self) -> Path:
        """Folder of a container without a workingDir."""
        return self._scratch / "work"

    def log(self, container: str, attempt: int) -> Path:
        """Return the log file of one attempt to run a container."""
        return self._logs / container / f"{attempt}.log"

    def create(self, spec: Mapping[str, Any]) -> None:
        """Make the directories, and look whether the host's paths are what the pod expects."""
        for volume in spec.get("volumes") or []:
            if "hostPath" in volume:
                check_host_path(volume["name"], volume["hostPath"])
        for folder in (self.temporary, self.working_directory, self._scratch / "messages"):
            folder.mkdir(parents=True, exist_ok=True)

    def places(self, container: Mapping[str, Any], attempt: int) -> Places:
        """Return the places of one attempt, with an empty file for its termination message."""
        message = self._scratch / "messages" / f"{container['name']}-{attempt}"
        message.touch()
        self.log(container["name"], attempt).parent.mkdir(parents=True, exist_ok=True)
        mounted = any(
            mount["name"] in self._empty and mount["mountPath"].rstrip("/") == TEMPORARY
            for mount in container.get("volumeMounts") or []
        )
        temporary = self.temporary if mounted else None
        return Places(programs=self._programs, message=message, temporary=temporary)

    def remove_scratch(self) -> None:
        """Remove what the pod's processes used."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def remove_logs(self) -> None:
        """Remove the logs."""
        shutil.rmtree(self._logs, ignore_errors=True)


def check_host_path(volume: str, source: Mapping[str, Any]) -> None:
    """Honour the `type` of a hostPath; raise `MountError` where the path is something else."""
    path, kind = Path(source["path"]), source.get("type") or ""
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch()
    expected = {
        "Directory": path.is_dir, "DirectoryOrCreate": path.is_dir,
        "File": path.is_file, "FileOrCreate": path.is_file,
        "Socket": path.is_socket, "CharDevice": path.is_char_device,
        "BlockDevice": path.is_block_device, "": path.exists,
    }  # fmt: skip
    # Without a type nothing is looked at, as in Kubernetes.
    if kind and not expected[kind]():
        raise MountError(f"volume {volume}: hostPath {path} is not a {kind}")
