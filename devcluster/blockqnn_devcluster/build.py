"""Build programs once for each version and platform, and keep them in the user's cache."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from .errors import BuildError
from .layout import cache_home
from .locks import FileLock
from .processes import ProcessFamily, kill_and_wait
from .programs import CLUSTER_PROGRAMS, Program, ProgramSet, build_command
from .toolchain import find_go

PROGRESS_EVERY = 10.0
"""Seconds between two lines about a build that goes on."""

Announce = Callable[[str], None]


def module_directory(programs: ProgramSet = CLUSTER_PROGRAMS) -> Path:
    """Return the directory of the Go module; raise `BuildError` in an install without one."""
    directory = Path(__file__).resolve().parent.parent / "programs" / programs.module
    if not (directory / "go.mod").exists():
        raise BuildError(
            f"{directory} is missing: the development cluster runs from a checkout of the project"
        )
    return directory


def cache_key(programs: Sequence[Program], module: bytes, sums: bytes, machine: str) -> str:
    """Return a name that changes whenever different programs would come out of the build."""
    digest = hashlib.sha256()
    for program in programs:
        digest.update(" ".join(build_command("go", program.name, [program])).encode() + b"\n")
    for part in (module, sums, machine.encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def programs_directory(programs: ProgramSet = CLUSTER_PROGRAMS) -> Path:
    """Return where the programs of this checkout and machine lie in the cache once built."""
    module = module_directory(programs)
    key = cache_key(
        programs.programs,
        (module / "go.mod").read_bytes(),
        (module / "go.sum").read_bytes(),
        f"{sys.platform}-{platform.machine()}",
    )
    return cache_home() / key / "bin"


def ensure_programs(announce: Announce, programs: ProgramSet = CLUSTER_PROGRAMS) -> Path:
    """Return the directory of the programs, having built them where the cache has none.

    Two processes that need them at once build once: the second waits. A build that is broken off
    leaves nothing that a later one would take for complete.
    """
    directory = programs_directory(programs)
    if directory.exists():
        return directory
    lock = FileLock.wait(
        cache_home() / "build.lock",
        lambda: announce("another process is building programs: waiting for it"),
    )
    try:
        if not directory.exists():
            _build(programs, directory, announce)
    finally:
        lock.release()
    return directory


def _build(programs: ProgramSet, directory: Path, announce: Announce) -> None:
    began = time.monotonic()
    module = module_directory(programs)
    go = find_go(module_directory(), module, cache_home(), announce)
    announce(
        f"building {', '.join(program.name for program in programs.programs)} with {go}: "
        f"about {programs.takes} on two cores the first time"
    )
    partial = directory.parent.with_name(f"{directory.parent.name}.partial-{os.getpid()}")
    # We hold the lock: whatever is unfinished there was left by a build that was killed.
    for unfinished in cache_home().glob("*.partial-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    try:
        (partial / "bin").mkdir(parents=True)
        with ProcessFamily() as family:
            for _, group in groupby(programs.programs, key=lambda program: program.stamps):
                chosen = list(group)
                output = partial / "bin" if len(chosen) > 1 else partial / "bin" / chosen[0].name
                command = build_command(go, str(output), chosen)
                _run(family, command, module, partial / "build.log", began, announce)
        _check_complete(programs, partial / "bin")
        partial.rename(directory.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    announce(f"built in {time.monotonic() - began:.0f} s: {directory}")


def _run(
    family: ProcessFamily,
    command: list[str],
    module: Path,
    log: Path,
    began: float,
    announce: Announce,
) -> None:
    # -v names each package as it is compiled, which is the only sign of life a Go build gives.
    command = [*command[:2], "-v", *command[2:]]
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "",
    }
    with log.open("wb") as output:
        process = family.spawn(command, output=output, environment=environment, directory=module)
        try:
            while True:
                try:
                    status = process.wait(PROGRESS_EVERY)
                    break
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - began
                    compiled = log.read_bytes().count(b"\n")
                    announce(f"  {elapsed:4.0f} s: {compiled} packages compiled or fetched")
        except BaseException:
            kill_and_wait(process)
            raise
        finally:
            family.forget(process)
    if status != 0:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise BuildError(f"{' '.join(command[:2])} ended with status {status}:\n{last}")


def _check_complete(programs: ProgramSet, directory: Path) -> None:
    missing = [p.name for p in programs.programs if not os.access(directory / p.name, os.X_OK)]
    if missing:
        raise BuildError(f"the build ended well but did not make {', '.join(missing)}")
