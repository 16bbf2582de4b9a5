"""Output of every benchmark: a table to read, and a file for programs."""

import json
import math
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).resolve().parents[1] / "build" / "benchmarks"
"""Folder of the files."""


def is_quick() -> bool:
    """True if ``QUICK=1`` asks for the short form."""
    return os.environ.get("QUICK", "0") not in ("", "0")


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error; an error of 0 for a single value."""
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return mean, 0.0
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return mean, math.sqrt(variance / count)


def machine() -> str:
    """Return the kind of processor and how many of them there are."""
    kind = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        kind = names[0].partition(":")[2].strip() if names else kind
    return f"{kind}, {os.cpu_count()} processors, Python {platform.python_version()}"


def write(name: str, figures: dict[str, Any], directory: Path = OUTPUT) -> Path:
    """Write ``NAME.json`` with the figures, the command, the date and the machine kind."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    module = sys.modules["__main__"].__spec__
    command = f"python -m {module.parent}" if module else "python"
    if is_quick():
        command = f"QUICK=1 {command}"
    document = {
        "benchmark": name,
        "command": " ".join([command, *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        **figures,
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path
