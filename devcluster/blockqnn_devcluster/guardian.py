"""The guardian: a process that outlives its owner only to end what the owner left behind.

Run as `python -I -S guardian.py`, with the reading end of a pipe as its standard input. The owner
and its children write one line for each fact:

    +PGID   this process group belongs to the owner
    -PGID   it is gone
    /PATH   remove this directory at the end

When the owner ends, whatever ended it, the pipe reads as closed. The guardian then kills every
process group still listed, waits until they are gone, removes the directories and exits. It works
on every POSIX system and reaches grandchildren, which a parent-death signal does not. Files that
the owner handed to it (a lock) stay open until then.

It imports next to nothing, so that it starts in about 10 ms.
"""

import os
import shutil
import signal
import sys
import time

GONE_WITHIN = 3.0
"""Seconds to wait for killed groups: what the kernel cannot end must not hold us for ever."""


def alive(groups: set[int]) -> set[int]:
    """Return the groups that have a process left.

    A zombie is none: whoever adopted it may take its time to collect it. Where the system has no
    /proc (macOS) zombies cannot be told apart.
    """
    if not os.path.exists("/proc/self/stat"):
        return {group for group in groups if signalled(group, 0)}
    living = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    state, _, group = file.read().rpartition(")")[2].split()[:3]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z":
                living.add(int(group))
    return groups & living


def signalled(group: int, number: int) -> bool:
    """Signal the group; tell whether it is there, and ours."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def main() -> None:
    """Follow the owner's lines until it is gone, then end what it left."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    directories: set[str] = set()
    for line in sys.stdin:
        fact = line.rstrip("\n")
        if fact.startswith("+"):
            groups.add(int(fact[1:]))
        elif fact.startswith("-"):
            groups.discard(int(fact[1:]))
        elif fact.startswith("/"):
            directories.add(fact)
    for group in groups:
        signalled(group, signal.SIGKILL)
    deadline = time.monotonic() + GONE_WITHIN
    while alive(groups) and time.monotonic() < deadline:
        time.sleep(0.01)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
