"""The sources of a pinned Go module, where they hold files that are wanted as they are."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from .build import Announce, module_directory
from .errors import BuildError
from .layout import cache_home
from .toolchain import find_go


def module_sources(announce: Announce, name: str) -> Path:
    """Return the directory with the sources of the one module that `programs/NAME/go.mod` requires.

    Go fetches them into its own cache where they are not there yet, and holds them against the sum
    in `go.sum`.

    Raises:
        BuildError: when they are not to be had, or are not what was pinned.
    """
    programs = module_directory()
    module = programs / name
    required = re.search(r"^require (\S+) v", (module / "go.mod").read_text(), re.MULTILINE)
    if required is None:
        raise BuildError(f"{module / 'go.mod'}: no line requires a module")
    go = find_go(programs, module, cache_home(), announce)
    done = subprocess.run(
        [go, "mod", "download", "-json", required[1]],
        cwd=module,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=readonly"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        # Go says it as JSON where it got so far, and on its standard error otherwise.
        said = json.loads(done.stdout or "{}").get("Error") or done.stderr.strip()
        raise BuildError(f"the sources of {required[1]} cannot be fetched: {said}")
    return Path(json.loads(done.stdout)["Dir"])
