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
"""Seconds to wait for killed groups: a zombie that nobody collects must not hold us for ever."""


def exists(group: int) -> bool:
    """Tell whether any process of the group is left (a zombie counts)."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def kill(group: int) -> None:
    """Kill the group; one that is gone, or that another user took over, is none of ours."""
    try:  # noqa: SIM105 - contextlib would be one more import at every start
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


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
        kill(group)
    deadline = time.monotonic() + GONE_WITHIN
    while any(exists(group) for group in groups) and time.monotonic() < deadline:
        time.sleep(0.01)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
