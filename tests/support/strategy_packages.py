"""Installs packages with strategies, as pip would: files, and metadata with an entry point."""

import re
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from repository_paths import ROOT

from blockqnn.strategies.registry import GROUP, find_strategy

PAGE = ROOT / "docs" / "tasks" / "write-a-strategy.md"


def documented(language: str) -> str:
    """Return the first block of a language in docs/tasks/write-a-strategy.md."""
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found.group(1)


def entry_points() -> dict[str, str]:
    """Return what the documented package registers."""
    project = tomllib.loads(documented("toml"))["project"]
    points: dict[str, str] = project["entry-points"][GROUP]
    return points


@contextmanager
def installed(folder: Path, package: str, points: dict[str, str], **modules: str) -> Iterator[None]:
    """Install a package into an empty folder; afterwards it is as if it had never been there."""
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)
    metadata = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"[{GROUP}]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        find_strategy.cache_clear()
        yield
    for module in modules:
        sys.modules.pop(module, None)
    find_strategy.cache_clear()


@contextmanager
def hill_climbing(folder: Path) -> Iterator[None]:
    """Install the documented strategy."""
    folder.mkdir(exist_ok=True)
    with installed(
        folder, "blockqnn-hill-climbing", entry_points(), hill_climbing=documented("python")
    ):
        yield
