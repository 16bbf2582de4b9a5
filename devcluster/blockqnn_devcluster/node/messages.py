"""Termination messages, and the ends of logs."""

from __future__ import annotations

import os
from pathlib import Path

MESSAGE_BYTES = 4096
LOG_BYTES = 2048
LOG_LINES = 80
"""The limits that the kubelet has."""


def termination_message(message: Path, log: Path, policy: str, code: int) -> str:
    """Return the message that a container leaves: the end of its file, or of its log.

    The log stands in, under the policy `FallbackToLogsOnError`, for a failed container that wrote
    no message. What is not UTF-8 is replaced.
    """
    text = _decode(last_bytes(message, MESSAGE_BYTES))
    if text or code == 0 or policy != "FallbackToLogsOnError":
        return text
    lines = last_bytes(log, LOG_BYTES).splitlines(keepends=True)
    return _decode(b"".join(lines[-LOG_LINES:]))


def last_bytes(path: Path, limit: int) -> bytes:
    """Return at most the last `limit` bytes of a file; one that is not there is empty."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            return file.read(limit)
    except OSError:
        return b""


def last_lines(content: bytes, count: int) -> bytes:
    """Return the last `count` lines."""
    return b"".join(content.splitlines(keepends=True)[-count:]) if count > 0 else b""


def _decode(content: bytes) -> str:
    return content.decode(errors="replace")
