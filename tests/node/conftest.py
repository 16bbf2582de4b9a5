"""Fixtures for tests on a container node. They need Linux, root and Debian's packages for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pytest
from waiting import waiting

from blockqnn_devcluster.container.requirements import check_machine


class Eventually(Protocol):
    """Waits for a condition and returns its first true value."""

    def __call__(self, condition: Callable[[], Any], *, within: float = 60.0) -> Any: ...


@pytest.fixture(scope="session", autouse=True)
def _machine() -> None:
    """Fail at once, with what is missing, where no container node can run; never skip."""
    check_machine()


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Wait until a condition is true, and return its value; fail with its last value."""
    return waiting(60.0, 0.2)
