"""Properties of the process and the machine, read without torch: age, processors, memory."""

import os
import resource
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from blockqnn_trainer.errors import InvalidTrial

THREADS_VARIABLE = "BLOCKQNN_THREADS"
"""The environment variable that fixes the number of threads; it takes precedence."""

_IMPORTED = time.monotonic()
_STARTTIME_FIELD = 22  # of /proc/PID/stat, counted from 1; the name is field 2
_CGROUP = Path("/sys/fs/cgroup")


def process_age(stat: Path = Path("/proc/self/stat")) -> float:
    """Return the seconds since this process began, the start of the interpreter included.

    If the kernel does not report it (anything but Linux), seconds since this module was imported.
    """
    try:
        # The process name, in parentheses, may itself contain blanks and parentheses.
        fields = stat.read_text().rpartition(")")[2].split()
        ticks = int(fields[_STARTTIME_FIELD - 3])
        began = ticks / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began)
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED


def thread_count(environment: Mapping[str, str], cgroup: Path = _CGROUP) -> int:
    """Return the number of threads that a CPU training may use; at least 1.

    ``BLOCKQNN_THREADS``, else ``OMP_NUM_THREADS``, else the processors that this process may run
    on, or fewer where the container's CPU limit allows fewer. A limit is rounded down: one thread
    too many waits at every barrier for the scheduler to let it run again.

    Raises:
        InvalidTrial: when ``BLOCKQNN_THREADS`` is no whole number from 1.
    """
    if THREADS_VARIABLE in environment:
        text = environment[THREADS_VARIABLE]
        if not text.isdecimal() or int(text) < 1:
            raise InvalidTrial(
                f"The environment variable {THREADS_VARIABLE} is {text!r}; "
                "it must be a whole number from 1."
            )
        return int(text)
    # OpenMP allows a list, one number for each level of nesting; the first counts here.
    outermost = environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if outermost.isdecimal() and int(outermost) >= 1:
        return int(outermost)
    processors = len(os.sched_getaffinity(0))
    return max(1, min(processors, int(_cpu_limit(cgroup) or processors)))


def set_threads(environment: Mapping[str, str]) -> int:
    """Let a CPU training use its threads, before torch is imported; return their number.

    Raises:
        InvalidTrial: as :func:`thread_count`.
    """
    count = thread_count(environment)
    # Read by OpenMP when torch loads it; without it, one thread for each processor of the node.
    os.environ["OMP_NUM_THREADS"] = str(count)
    return count


def _cpu_limit(cgroup: Path) -> float | None:
    """Return the CPU limit of the container in processors, None when it has none."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    # No limit is written as "max" by version 2 of cgroups and as -1 by version 1.
    return int(quota) / int(period) if quota.isdecimal() and int(period) > 0 else None


def memory_limit(cgroup: Path = _CGROUP, meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return the memory this process may use, in bytes: the container's limit or the machine's."""
    limits = [sys.maxsize]
    with suppress(OSError):  # a kernel without such a file
        limits.append(_field(meminfo, "MemTotal"))
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # versions 2 and 1 of cgroups
        try:
            text = (cgroup / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():  # no limit is written as "max", or as more than any machine has
            limits.append(int(text))
    return min(limits)


_SHARE = 0.95  # the rest is for what a limit counts besides: page tables, buffers of the kernel


def limit_memory(limit: int) -> None:
    """Make allocations fail that would bring this process to its memory limit.

    Otherwise the kernel kills it there, without a message about the block that needed so much.
    Memory mapped and not touched so far (0.4 GB after torch is imported) does not count; memory
    mapped from now on counts whether it is touched or not, as tensors are. Does nothing where the
    kernel has no ``/proc``.

    Args:
        limit: the result of :func:`memory_limit`, in bytes.
    """
    status = Path("/proc/self/status")
    try:
        mapped, touched = _field(status, "VmData"), _field(status, "RssAnon")
    except (OSError, LookupError):
        return
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = max(mapped, mapped - touched + int(limit * _SHARE))
    if hard == resource.RLIM_INFINITY or soft < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _field(path: Path, name: str) -> int:
    """Return a field of one of the kernel's tables, in bytes."""
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise LookupError(f"{path} has no field {name}")
