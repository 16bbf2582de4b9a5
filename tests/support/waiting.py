"""Waiting for a condition, for the fixtures of every kind of cluster."""

import time
from collections.abc import Callable
from typing import Any

import pytest


def waiting(usually: float, pause: float) -> Callable[..., Any]:
    """Return a function that waits until a condition is true and returns its value.

    It fails with the last value.

    Args:
        usually: how long it waits, in seconds, unless it is told otherwise by `within`.
        pause: seconds between two looks.
    """

    def wait(condition: Callable[[], Any], *, within: float = usually) -> Any:
        deadline = time.monotonic() + within
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                pytest.fail(f"not within {within} s; the last value was {value!r}")
            time.sleep(pause)

    return wait
