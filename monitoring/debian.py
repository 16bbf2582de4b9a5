"""Programs of Debian's packages, unpacked into the user's cache: no root, nothing installed.

``python -m monitoring.debian`` fetches all of them and says where they are.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blockqnn.errors import BlockQNNError


class Unavailable(BlockQNNError):
    """A program is not installed and cannot be fetched; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a package brings."""

    name: str
    """Under this name an installed one is looked for on PATH."""
    package: str
    path: str
    """Path in the package."""
    needs_libraries: bool
    """True if the libraries that the machine lacks are fetched with it."""


PROMETHEUS = Program("prometheus", "prometheus", "usr/bin/prometheus", needs_libraries=False)
PROMTOOL = Program("promtool", "prometheus", "usr/bin/promtool", needs_libraries=False)
CHROMIUM = Program(
    "chromium",
    "chromium-headless-shell",
    "usr/lib/chromium/chromium-headless-shell",
    needs_libraries=True,
)
"""The browser without windows: 100 MB to fetch, of which 80 are itself."""

PROGRAMS = (PROMETHEUS, PROMTOOL, CHROMIUM)


@dataclass(frozen=True, slots=True)
class Installed:
    """A program that can be run."""

    path: Path
    libraries: Path | None = None
    """Folder of its libraries that the machine lacks."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment to run it in."""
        if self.libraries is None:
            return dict(os.environ)
        known = os.environ.get("LD_LIBRARY_PATH")
        paths = [
            str(self.libraries),
            str(self.libraries / "pulseaudio"),
            *([known] if known else []),
        ]
        return os.environ | {"LD_LIBRARY_PATH": ":".join(paths)}


def find(program: Program) -> Installed | None:
    """Return a program that is installed or was fetched before; None where it is neither."""
    on_path = shutil.which(program.name)
    if on_path is not None:
        return Installed(Path(on_path))
    root = _cache() / program.package
    if not (root / program.path).exists():
        return None
    libraries = next(iter(sorted((root / "usr" / "lib").glob("*-linux-*"))), None)
    return Installed(root / program.path, libraries if program.needs_libraries else None)


def fetch(program: Program) -> Installed:
    """Return a program, fetching its package where it is not there yet.

    Raises:
        Unavailable: when it is not installed, and this is no Debian or the archive does not answer.
    """
    found = find(program)
    if found is not None:
        return found
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise Unavailable(
            f"{program.name} is not on PATH, and this machine has no apt-get to fetch it with; "
            f"install {program.name}."
        )
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="partial-") as partial:
        unpacked = _unpacked(program, Path(partial))
        # Whoever fetches the same at the same time fetches the same bytes; the first one stays.
        if not (cache / program.package).exists():
            unpacked.rename(cache / program.package)
    fetched = find(program)
    if fetched is None:
        raise Unavailable(f"Debian's package {program.package} has no file {program.path}.")
    return fetched


def _unpacked(program: Program, scratch: Path) -> Path:
    """Download a package, and what it needs, and unpack them into one tree."""
    # As another user than root's helper account, so that the folder need not be readable by it.
    options = ["-o", "APT::Sandbox::User="]
    try:
        _download(program, scratch, options)
    except subprocess.CalledProcessError:
        # The machine has no lists of packages, or old ones; those of our own need no root.
        options += ["-o", f"Dir::State::Lists={scratch / 'lists'}", "-o", f"Dir::Cache={scratch}"]
        (scratch / "lists" / "partial").mkdir(parents=True)
        (scratch / "archives" / "partial").mkdir(parents=True)
        try:
            _apt(scratch, *options, "update")
            _download(program, scratch, options)
        except subprocess.CalledProcessError as error:
            said = error.stderr.strip().splitlines()[-1:] or ["it says nothing"]
            raise Unavailable(
                f"{program.name} is not on PATH, and apt-get cannot fetch Debian's package "
                f"{program.package}: {said[0]}"
            ) from None
    root = scratch / "root"
    for package in sorted(scratch.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)
    return root


def _download(program: Program, scratch: Path, options: Sequence[str]) -> None:
    packages = [program.package]
    if program.needs_libraries:
        wanted = ("install", "--simulate", "--no-install-recommends", program.package)
        lines = _apt(scratch, *options, *wanted).splitlines()
        packages = [line.split()[1] for line in lines if line.startswith("Inst ")] or packages
    _apt(scratch, *options, "download", *packages)


def _apt(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["apt-get", "--quiet", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "blockqnn" / "debian"


def main() -> int:
    """Fetch every program; returns the exit status."""
    missing = 0
    for program in PROGRAMS:
        try:
            print(f"{program.name}: {fetch(program).path}")
        except Unavailable as error:
            print(f"warning: {error}", file=sys.stderr)
            missing += 1
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
